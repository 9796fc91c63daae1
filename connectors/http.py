"""Asking an HTTP API, for sources and sinks: what passes by itself is tried again, no answer is without end."""

import email.utils
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import orjson
import stamina

from schemas.errors import InputError, SettingsError, UnavailableError

_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
_MOST_BYTES = 50_000_000


@dataclass(frozen=True)
class Pace:
    """How long one answer is waited for, how long what may pass is tried again (0: not), how many times a second is asked."""

    timeout_seconds: float = 60
    patience_seconds: float = 600
    per_second: float | None = None


class Api:
    """One API under a base URL. Redirects are not followed, so credentials go nowhere else; TLS is verified."""

    def __init__(
        self, base_url: str, auth: httpx.Auth | tuple[str, str] | None = None, headers: Mapping[str, str] | None = None,
        pace: Pace = Pace(),
    ) -> None:  # fmt: skip
        self.base_url = base_url.rstrip("/")
        self._patience = pace.patience_seconds
        self._pause = 1 / pace.per_second if pace.per_second else 0.0
        self._next_at = 0.0
        self._client = httpx.Client(
            auth=auth, headers={"User-Agent": "proficio", **(headers or {})}, timeout=pace.timeout_seconds, follow_redirects=False
        )  # fmt: skip

    def get(self, path: str, parameters: Mapping[str, Any] | None = None) -> tuple[Any, httpx.Headers]:
        """The JSON of an answer to a path under the base URL, and its headers.

        Tried again, with jitter or after Retry-After (RFC 9110 10.2.3): timeouts, broken connections, 429 and 5xx.
        SettingsError for 401 and 403, InputError for another refusal or an answer that is no JSON or over 50 MB,
        UnavailableError where patience ends.
        """
        return self._ask("GET", f"{self.base_url}/{path}", params=parameters)

    def post(
        self,
        path: str,
        form: Mapping[str, Any] | None = None,
        json: Mapping[str, Any] | None = None,
        done: Callable[[], bool] = lambda: False,
    ) -> tuple[Any, httpx.Headers]:
        """The same of a form or of JSON posted. Before it is posted again, `done` is asked whether the other side has done it.

        For APIs that are read by posting there is nothing to ask. Where it was done, the answer is None without headers.
        """
        return self._ask("POST", f"{self.base_url}/{path}", done, data=form, json=json)

    def download(self, path: str, json: Mapping[str, Any]) -> bytes:
        """The bytes that an API answers to JSON posted."""
        return self._patiently("POST", f"{self.base_url}/{path}", json=json)[0]

    def send(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Post a body to the base URL itself. It may be posted again, so what hears it must know one that comes twice."""
        self._patiently("POST", self.base_url, content=body, headers=headers)

    def exchange(
        self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[bytes, httpx.Headers]:
        """What is answered to a request to a whole address, with credentials of its own in the headers; it may be asked again."""
        return self._patiently(method, url, content=body, headers=headers)

    def follow(self, link: str) -> tuple[Any, httpx.Headers]:
        """The same of a link that an answer gave, relative or not. InputError where it leads to another host."""
        url = urljoin(self.base_url + "/", link)
        if urlsplit(url)[:2] != urlsplit(self.base_url)[:2]:
            raise InputError(
                f"{_place(self.base_url)} gives a link to {_place(url)}, another host.", "It is not followed."
            )
        return self._ask("GET", url)

    def close(self) -> None:
        """Release connections."""
        self._client.close()

    def _ask(
        self, method: str, url: str, done: Callable[[], bool] = lambda: False, **what: Any
    ) -> tuple[Any, httpx.Headers]:
        body, headers = self._patiently(method, url, done, **what)
        try:
            return orjson.loads(body), headers
        except orjson.JSONDecodeError:
            told = " ".join(body[:100].decode(errors="replace").split())
            raise InputError(f"{_place(url)} does not answer with JSON but {told!r}", "Check the URL.") from None

    def _patiently(
        self, method: str, url: str, done: Callable[[], bool] = lambda: False, **what: Any
    ) -> tuple[bytes, httpx.Headers]:
        try:
            for attempt in stamina.retry_context(
                on=_wait,
                attempts=None if self._patience else 1,
                timeout=self._patience or None,
                wait_initial=1,
                wait_max=60,
                wait_jitter=5,
            ):
                with attempt:
                    if attempt.num > 1 and done():
                        return b"null", httpx.Headers()
                    return self._once(method, url, **what)
        except _Later as later:
            raise UnavailableError(f"{_place(url)} answers {later.status}.", "Try again later.") from None
        except httpx.TransportError as error:
            raise UnavailableError(
                f"{_place(url)} does not answer: {type(error).__name__}.", "Check the address and the network."
            ) from None
        raise AssertionError  # the loop returns or raises

    def _once(self, method: str, url: str, **what: Any) -> tuple[bytes, httpx.Headers]:
        time.sleep(max(self._next_at - time.monotonic(), 0))
        self._next_at = time.monotonic() + self._pause
        with self._client.stream(method, url, **what) as answer:
            status = answer.status_code
            seconds = _told_to_wait(answer.headers)
            if status in _TRANSIENT or (status == 403 and seconds is not None):
                if seconds is not None and seconds > self._patience:
                    raise UnavailableError(
                        f"{_place(url)} answers {status} and asks to wait {seconds:,.0f} s.", "Try again after that."
                    )
                raise _Later(status, seconds)
            if status in (401, 403):
                raise SettingsError(
                    f"{_place(url)} answers {status}: the credentials are wrong, have expired, or may not do this.",
                    "Make new ones there and set them here.",
                )
            if answer.is_redirect:
                target = _place(str(answer.headers.get("location", "")))
                raise SettingsError(f"{_place(url)} sends on to {target}.", "If that is right, set it as the URL.")
            body = bytearray()
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > _MOST_BYTES:
                    raise InputError(
                        f"{_place(url)} answers with more than {_MOST_BYTES:,} bytes.", "Ask for less at once."
                    )
            if not answer.is_success:
                told = " ".join(body[:300].decode(errors="replace").split())
                raise InputError(f"{_place(url)} answers {status}: {told!r}", "See what the other side says.")
            return bytes(body), answer.headers


class _Later(Exception):
    """An answer that asks for patience, of so many seconds where it says."""

    def __init__(self, status: int, seconds: float | None) -> None:
        super().__init__(status)
        self.status, self.seconds = status, seconds


def _wait(error: Exception) -> bool | float:
    """Whether to try again, or after how many seconds."""
    if isinstance(error, _Later):
        return True if error.seconds is None else error.seconds
    return isinstance(error, httpx.TransportError)


def _told_to_wait(headers: httpx.Headers) -> float | None:
    """The seconds that Retry-After asks for, or that a used-up rate limit takes to begin anew; None where neither is told."""
    told, now = headers.get("retry-after", "").strip(), time.time()
    if told.isdigit():
        return float(told)
    try:
        if told:
            return max(float(email.utils.parsedate_to_datetime(told).timestamp()) - now, 0.0)
        if headers.get("x-ratelimit-remaining") == "0":
            return max(float(headers["x-ratelimit-reset"]) - now, 0.0) + 1
    except (ValueError, KeyError):
        pass
    return None


def _place(url: str) -> str:
    """An address for people: no credentials, no parameters."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


@contextmanager
def api(*arguments: Any, **options: Any) -> Iterator[Api]:
    """An `Api`, closed afterwards. InputError where what it answers is not of the shape that its reader needs."""
    one = Api(*arguments, **options)
    try:
        yield one
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{_place(one.base_url)} answers what was not expected: {error!r}"[:500],
            "Check the URL, and that its version is one that docs/sources names.",
        ) from error
    finally:
        one.close()
