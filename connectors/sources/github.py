"""GitHub by its REST API (2022-11-28): pull requests, reviews, checks, issues and releases of repositories, new ones only."""

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import jwt

from connectors.http import Api, Pace, api
from connectors.sources.several import in_turn
from schemas.errors import InputError, SettingsError
from schemas.xapi import Statement
from transforms import github as told

_PAGE = 100
_OVERLAP = timedelta(hours=1)  # what GitHub may show later than it says it happened
_RENEWED = 300  # seconds before a token ends

Json = dict[str, Any]


@dataclass(frozen=True)
class App:
    """A GitHub App as it is installed in an organisation: ids of both, the private key in PEM."""

    app_id: str
    installation_id: str
    private_key: str


@dataclass(frozen=True)
class GitHub:
    """One GitHub: its name here, the address of its API (https://HOST/api/v3 of an Enterprise server), repositories as
    owner/name, and a token or an App.
    """

    name: str
    repositories: tuple[str, ...]
    access: str | App
    url: str = "https://api.github.com"
    patience_seconds: float = 600


def events(
    settings: tuple[GitHub, ...], cursor: dict[str, Any] | None
) -> Iterator[tuple[Statement | None, dict[str, Any]]]:
    """What happened in each repository since the last read, oldest update first.

    The cursor is {name: {repository: {"since": timestamp, "seen": [number, …], "released": timestamp, "whole": timestamp}}}: up
    to which update issues and pull requests were read, the numbers of those of that moment, the newest release, and when
    the last read that came to its end began: what happened before is not sent again.
    """
    cursors: dict[str, Any] = dict(cursor or {})

    def of_repository(one: tuple[GitHub, str]) -> Iterator[tuple[Statement | None, dict[str, Any]]]:
        where, repository = one
        headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
        if isinstance(where.access, App):
            auth = _Installation(where.url, where.access)
        else:
            auth, headers["Authorization"] = None, f"Bearer {where.access}"
        with api(where.url, auth, headers, pace=Pace(patience_seconds=where.patience_seconds)) as remote:
            for statement, own in _of_repository(remote, repository, cursors.get(where.name, {}).get(repository, {})):
                cursors[where.name] = {**cursors.get(where.name, {}), repository: own}
                yield statement, dict(cursors)

    return in_turn(((where, repository) for where in settings for repository in where.repositories), of_repository)


def cursor_at(settings: tuple[GitHub, ...], moment: datetime) -> dict[str, Any]:
    """The cursor of a read that had come up to a moment."""
    at = moment.isoformat()
    return {
        one.name: {repository: {"since": at, "released": at, "whole": at} for repository in one.repositories}
        for one in settings
    }


def _of_repository(remote: Api, name: str, cursor: Json) -> Iterator[tuple[Statement | None, Json]]:
    repository, headers = remote.get(f"repos/{name}")
    _expect(isinstance(repository, dict) and "html_url" in repository, f"the repository {name}", remote)
    begun = parsedate_to_datetime(headers["date"]) if "date" in headers else datetime.now(UTC)
    known = datetime.fromisoformat(cursor["whole"]) - _OVERLAP if cursor.get("whole") else None
    for thing, seen in _updated(remote, name, cursor.get("since"), cursor.get("seen", [])):
        for statement in _of_thing(remote, name, repository, thing):
            if known is None or datetime.fromisoformat(statement["timestamp"]) >= known:
                yield statement, cursor
        cursor = {**cursor, "since": thing["updated_at"], "seen": seen}
        yield None, cursor
    for release in _released(remote, name, cursor.get("released")):
        cursor = {**cursor, "released": release["published_at"]}
        for statement in told.release(repository, release):
            yield statement, cursor
    yield None, {**cursor, "whole": begun.isoformat()}


def _updated(remote: Api, name: str, since: str | None, seen: list[int]) -> Iterator[tuple[Json, list[int]]]:
    """Issues and pull requests updated since, with the numbers that were read of the same moment.

    Each page is asked for anew from the last update on: page numbers shift while people work.
    """

    def page_from(moment: str | None) -> tuple[Any, httpx.Headers]:
        asked = {"state": "all", "sort": "updated", "direction": "asc", "per_page": _PAGE}
        return remote.get(f"repos/{name}/issues", {**asked, **({"since": moment} if moment else {})})

    page, headers = page_from(since)
    while True:
        _expect(isinstance(page, list), f"issues of {name}", remote)
        begun = since
        for thing in page:
            moment, number = thing["updated_at"], thing["number"]
            if moment == since and number in seen:
                continue
            seen = [*(seen if moment == since else []), number]
            since = moment
            yield thing, seen
        following = _next(headers)
        if len(page) < _PAGE or not following:
            return
        page, headers = remote.follow(following) if since == begun else page_from(since)


def _of_thing(remote: Api, name: str, repository: Json, thing: Json) -> Iterator[Statement]:
    """The statements of an issue, or of the pull request that it is."""
    number = thing["number"]
    if "pull_request" not in thing:
        closer = thing.get("closed_by")
        if thing.get("closed_at") and not thing.get("assignees") and not closer:
            closer = remote.get(f"repos/{name}/issues/{number}")[0].get("closed_by")
        yield from told.issue(repository, thing, closer)
        return
    pull, _ = remote.get(f"repos/{name}/pulls/{number}")
    yield from told.pull_request(repository, pull)
    for review in _all(remote, f"repos/{name}/pulls/{number}/reviews"):
        yield from told.review(repository, pull, review)
    if pull.get("closed_at"):  # checks end without a word to the pull request: they are read when it is decided
        suites, _ = remote.get(f"repos/{name}/commits/{pull['head']['sha']}/check-suites", {"per_page": _PAGE})
        for suite in suites["check_suites"]:
            yield from told.check_suite(repository, suite)


def _released(remote: Api, name: str, since: str | None) -> list[Json]:
    """Releases published since, oldest first."""
    found: list[Json] = []
    for release in _all(remote, f"repos/{name}/releases"):
        if release.get("published_at") and not release.get("draft"):
            if since and datetime.fromisoformat(release["published_at"]) <= datetime.fromisoformat(since):
                break
            found.append(release)
    return sorted(found, key=lambda one: str(one["published_at"]))


def _all(remote: Api, path: str) -> Iterator[Json]:
    """Every item of a list, page after page."""
    page, headers = remote.get(path, {"per_page": _PAGE})
    while True:
        _expect(isinstance(page, list), path, remote)
        yield from page
        following = _next(headers)
        if not following:
            return
        page, headers = remote.follow(following)


def _next(headers: httpx.Headers) -> str | None:
    """The next page by the header Link (RFC 8288)."""
    return httpx.Response(200, headers={"link": headers.get("link", "")}).links.get("next", {}).get("url")


def _expect(holds: bool, what: str, remote: Api) -> None:
    if not holds:
        raise InputError(f"{remote.base_url} does not answer with {what} as GitHub does.", "Check sources.github.url.")


class _Installation(httpx.Auth):
    """Tokens of an installation, an hour each, asked for with a JWT of the App.

    https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
    """

    requires_response_body = True

    def __init__(self, url: str, app: App) -> None:
        self._url, self._app = f"{url.rstrip('/')}/app/installations/{app.installation_id}/access_tokens", app
        self._token, self._ends = "", 0.0

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if time.time() > self._ends - _RENEWED:
            answer = yield httpx.Request("POST", self._url, headers={"Authorization": f"Bearer {self._signed()}"})
            if answer.status_code != 201:
                raise SettingsError(
                    f"GitHub gives the App {self._app.app_id} no token: {answer.status_code}.",
                    "Check app_id, installation_id and the private key; the App must be installed there.",
                )
            given = answer.json()
            self._token, self._ends = given["token"], datetime.fromisoformat(given["expires_at"]).timestamp()
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request

    def _signed(self) -> str:
        now = int(time.time())
        try:
            claims = {"iat": now - 60, "exp": now + 540, "iss": self._app.app_id}
            return jwt.encode(claims, self._app.private_key, algorithm="RS256")
        except (ValueError, TypeError, jwt.PyJWTError):
            raise SettingsError(
                "sources.github.private_key_file holds no private key of RSA in PEM.",
                "Download it from the App's page.",
            ) from None
