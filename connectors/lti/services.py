"""What the tool asks of a platform: its keys, access tokens, line items and scores (AGS 2.0), members (NRPS 2.0)."""

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit
from uuid import uuid4

import httpx
import jwt
import orjson

from connectors.http import Api, Pace
from connectors.lti.store import Context, Key, LtiStore, Platform
from schemas.errors import InputError, UnavailableError

_AGS = "https://purl.imsglobal.org/spec/lti-ags/scope"
LINE_ITEMS, SCORES = f"{_AGS}/lineitem", f"{_AGS}/score"
MEMBERS = "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly"
SCOPES = (LINE_ITEMS, SCORES, MEMBERS)
_LINE_ITEM = "application/vnd.ims.lis.v2.lineitem+json"
_LINE_ITEMS = "application/vnd.ims.lis.v2.lineitemcontainer+json"
_SCORE = "application/vnd.ims.lis.v1.score+json"
_MEMBERS = "application/vnd.ims.lti-nrps.v2.membershipcontainer+json"
_TAG = "proficio"
_PAGES = 1_000  # of a list, at most
_ASKED_AGAIN_SECONDS = 30  # after which keys that were just read are read again for one that is not among them


class KeySets:
    """The key sets of platforms, kept until a message is signed with a key that is not among them."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._kept: dict[str, tuple[jwt.PyJWKSet, float]] = {}

    def of(self, platform: Platform, kid: str | None) -> jwt.PyJWKSet:
        """The keys of a platform. UnavailableError where it does not give them."""
        kept, read_at = self._kept.get(platform.jwks_url, (None, 0.0))
        known = kept is not None and any(one.key_id == kid for one in kept.keys)
        if kept is None or (not known and time.monotonic() - read_at > _ASKED_AGAIN_SECONDS):
            remote = Api(platform.jwks_url, pace=self._pace)
            try:
                body, _ = remote.exchange("GET", platform.jwks_url)
                kept = jwt.PyJWKSet.from_json(body.decode())
            except (jwt.PyJWTError, ValueError, InputError) as error:
                told = f"{platform.jwks_url} gives no keys: {error}"
                raise UnavailableError(told, "Check the platform's keys.") from None
            finally:
                remote.close()
            self._kept[platform.jwks_url] = kept, time.monotonic()
        return kept


class Services:
    """The services of one platform, asked with tokens for the tool's own signature (RFC 7523)."""

    def __init__(self, remote: Api, platform: Platform, key: Key) -> None:
        self._remote, self._platform, self._key = remote, platform, key
        self._tokens: dict[str, tuple[str, float]] = {}

    def score(self, store: LtiStore, context: Context, resource: str, label: str, score: Mapping[str, Any]) -> None:
        """Post a score to the line item of a resource in a course; the line item is made where there is none."""
        for known in (store.line_item(context, resource), None):
            url = known or self._line_item(context, resource, label, float(score["scoreMaximum"]))
            try:
                self._ask("POST", _below(url, "scores"), SCORES, orjson.dumps(score), {"Content-Type": _SCORE})
            except InputError:
                if known is None:
                    raise
                continue  # it was removed there: make it anew
            store.note_line_item(context, resource, url)
            return

    def members(self, context: Context) -> Iterator[dict[str, Any]]:
        """The members of a course: user_id, roles, and what else the platform tells."""
        for page in self._pages(context.memberships_url, MEMBERS, _MEMBERS):
            yield from page["members"]

    def _line_item(self, context: Context, resource: str, label: str, most: float) -> str:
        asked = _with_query(context.line_items_url, resource_id=resource, tag=_TAG)
        for page in self._pages(asked, LINE_ITEMS, _LINE_ITEMS):
            for one in page:
                if one.get("resourceId") == resource and one.get("tag") == _TAG:
                    return str(one["id"])
        made = {"scoreMaximum": most, "label": label, "resourceId": resource, "tag": _TAG}
        headers = {"Content-Type": _LINE_ITEM, "Accept": _LINE_ITEM}
        body, _ = self._ask("POST", context.line_items_url, LINE_ITEMS, orjson.dumps(made), headers)
        return str(orjson.loads(body)["id"])

    def _pages(self, url: str, scope: str, kind: str) -> Iterator[Any]:
        for _ in range(_PAGES):
            body, headers = self._ask("GET", url, scope, None, {"Accept": kind})
            yield orjson.loads(body)
            following = httpx.Response(200, headers=headers).links.get("next", {}).get("url")
            if not following:
                return
            url = following

    def _ask(
        self, method: str, url: str, scope: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[bytes, httpx.Headers]:
        bearer = {"Authorization": f"Bearer {self._token(scope)}"}
        return self._remote.exchange(method, url, body, {**headers, **bearer})

    def _token(self, scope: str) -> str:
        token, ends_at = self._tokens.get(scope, ("", 0.0))
        if ends_at < time.monotonic():
            token, seconds = self._new_token(scope)
            self._tokens[scope] = token, time.monotonic() + max(seconds - 60, 0)
        return token

    def _new_token(self, scope: str) -> tuple[str, float]:
        platform, now = self._platform, int(time.time())
        assertion = {
            "iss": platform.client_id, "sub": platform.client_id, "aud": platform.token_audience or platform.token_url,
            "iat": now, "exp": now + 300, "jti": str(uuid4()),
        }  # fmt: skip
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": jwt.encode(assertion, self._key.pem, "RS256", {"kid": self._key.kid}), "scope": scope,
        }  # fmt: skip
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        body, _ = self._remote.exchange("POST", platform.token_url, urlencode(form).encode(), headers)
        answer = orjson.loads(body)
        return str(answer["access_token"]), float(answer.get("expires_in", 3600))


def score(sub: str, level: int | None, levels: int, comment: str, now: datetime | None = None) -> dict[str, Any]:
    """A level as a score of AGS 2.0 (3.4): its place among the levels, final as long as no other comes; None takes it back."""
    given = {"activityProgress": "Initialized", "gradingProgress": "NotReady"}
    if level is not None:
        given = {"activityProgress": "Completed", "gradingProgress": "FullyGraded"}
    return {
        "userId": sub, **({} if level is None else {"scoreGiven": level}), "scoreMaximum": levels, "comment": comment, **given,
        "timestamp": (now or datetime.now(UTC)).isoformat(timespec="milliseconds"),
    }  # fmt: skip


def _below(url: str, name: str) -> str:
    """An address below another's path; parameters stay (as Moodle has them)."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{name}"))


def _with_query(url: str, **parameters: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, urlencode(parameters))))))
