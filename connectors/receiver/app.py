"""The receiver as an ASGI application: xAPI's statements resource under /xapi/, tokens for it, and GitHub's webhook."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from hashlib import sha1
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.receiver import attachments, signatures, webhooks
from connectors.receiver.asking import Asked, Refused, Wanted, asked, read_body, statement_id, wanted
from connectors.receiver.authentication import TOKEN_SECONDS, TokenError, Tokens, authenticated, client_for_token
from connectors.receiver.clients import Client, Clients
from connectors.receiver.contents import Contents
from connectors.receiver.intake import Intake
from connectors.receiver.judging import ConflictError
from connectors.receiver.rates import Counting, Rate
from connectors.receiver.store import Kept, StatementStore
from connectors.receiver.webhooks import GitHubWebhook
from schemas.errors import ProficioError
from schemas.repairs import Repair
from schemas.xapi import Statement, version_of
from transforms.statement_terms import in_form
from transforms.statements import RefusedStatement, parse, validate

VERSIONS = {"1.0.3": "1.0.3", "2.0": "2.0.0"}
_ADDED = 5_000  # bytes at most that the receiver adds to a statement: id, stored, authority
_NOT_SERVED = ("activities/state", "activities/profile", "activities", "agents/profile", "agents")


@dataclass(frozen=True)
class Receiver:
    """What the application works with. `authority_home` is the homePage of the accounts that clients are as authorities."""

    intake: Intake
    store: StatementStore
    clients: Clients
    tokens: Tokens
    contents: Contents
    authority_home: str
    rate: Rate
    counted: Counting  # by which requests are held to the rate
    max_body_bytes: int = 20_000_000
    max_statements: int = 5_000
    body_seconds: float = 60
    max_record_bytes: int = 1_000_000  # of the event log
    repairs: tuple[Repair, ...] = ()
    repaired_clients: frozenset[str] = field(default_factory=frozenset)
    github: GitHubWebhook | None = None


def application(receiver: Receiver) -> Starlette:
    """The application. An answer 200 or 204 to a statement means that the event log has it durably."""

    async def begun(request: Request) -> tuple[Client, int]:
        """Who asks, and the moment up to which they can read everything."""
        authorization = request.headers.get("authorization", "")
        client, through = await asyncio.to_thread(_begun, receiver, authorization)
        if not await receiver.counted(client.name):
            raise _too_often(receiver.rate)
        return client, through

    async def about(_: Request) -> Response:
        return _json({"version": ["1.0.3", "2.0.0"], "extensions": {}})

    async def health(_: Request) -> Response:
        return _json({"status": "ok"})

    async def ready(_: Request) -> Response:
        await asyncio.to_thread(receiver.intake.check)
        return _json({"status": "ready"})

    async def body_of(request: Request) -> bytes:
        try:
            async with asyncio.timeout(receiver.body_seconds):
                declared = request.headers.get("content-length")
                return await read_body(request.stream(), declared, receiver.max_body_bytes)
        except TimeoutError:
            raise Refused(408, f"a request's body is to come within {receiver.body_seconds:g} s") from None

    async def token(request: Request) -> Response:
        form = dict(parse_qsl((await body_of(request)).decode(errors="replace")))
        fresh = {"Cache-Control": "no-store"}
        try:
            authorization = request.headers.get("authorization", "")
            client = await asyncio.to_thread(client_for_token, receiver.clients, authorization, form)
        except TokenError as error:
            status = 401 if error.error == "invalid_client" else 400
            return _json({"error": error.error, "error_description": str(error)}, status, fresh)
        given = {"access_token": receiver.tokens.give(client), "token_type": "Bearer", "expires_in": TOKEN_SECONDS}
        return _json({**given, "scope": " ".join(sorted(client.scopes))}, 200, fresh)

    async def github(request: Request) -> Response:
        if receiver.github is None:
            raise Refused(404, "no secret of a webhook is set here: receiver.github_secret_file")
        body = await body_of(request)
        given, names = await asyncio.to_thread(webhooks.statements, receiver.github, dict(request.headers), body)
        if given:
            await asyncio.wrap_future(receiver.intake.submit(given, "github", _authority(receiver, "github"), "1.0.3"))
            await asyncio.to_thread(receiver.github.deliveries.note, *names)
        return _json({"statements": [one["id"] for one in given]})

    async def statements(request: Request) -> Response:
        client, through = await begun(request)
        body = await body_of(request)
        meant = asked(request.method, request.url.query, dict(request.headers), body)
        if meant.method == "PUT":
            answer = await _put(receiver, client, meant)
        elif meant.method == "POST":
            answer = await _post(receiver, client, meant)
        else:
            answer = await _get(receiver, client, meant)
        answer.headers["X-Experience-API-Version"] = VERSIONS[meant.version]
        answer.headers["X-Experience-API-Consistent-Through"] = _timestamp(through)
        return answer

    async def not_served(request: Request) -> Response:
        await begun(request)
        raise Refused(501, "this receiver serves statements; states, profiles and agents it does not")

    return Starlette(
        routes=[
            Route("/xapi/about", _told_plainly(about), methods=["GET"]),
            Route("/health", _told_plainly(health), methods=["GET"]),
            Route("/ready", _told_plainly(ready), methods=["GET"]),
            Route("/oauth2/token", _told_plainly(token), methods=["POST"]),
            Route("/webhooks/github", _told_plainly(github), methods=["POST"]),
            Route("/xapi/statements", _told_plainly(statements), methods=["GET", "PUT", "POST"]),
            *(
                Route(f"/xapi/{path}", _told_plainly(not_served), methods=["GET", "PUT", "POST", "DELETE"])
                for path in _NOT_SERVED
            ),
        ]
    )


def _begun(receiver: Receiver, authorization: str) -> tuple[Client, int]:
    return authenticated(receiver.clients, receiver.tokens, authorization), receiver.intake.consistent_through()


def _too_often(rate: Rate) -> Refused:
    wait = math.ceil(rate.seconds / rate.most)
    return Refused(429, f"a client may ask {rate.most:,} times a {rate.period}", {"Retry-After": str(wait)})


Endpoint = Callable[[Request], Awaitable[Response]]


def _told_plainly(endpoint: Endpoint) -> Endpoint:
    """The endpoint, with every refusal as a status and a JSON message, and the version told with each answer."""

    async def told(request: Request) -> Response:
        try:
            answer = await endpoint(request)
        except Refused as refusal:
            answer = _json({"error": refusal.reason}, refusal.status)
            answer.headers.update(refusal.headers)
        except ConflictError as conflict:
            answer = _json({"error": str(conflict)}, 409)
        except RefusedStatement as refusal:
            why = refusal.rejection
            answer = _json({"error": why.reason, "clause": why.clause, "path": why.path}, 400)
        except ClientDisconnect:
            answer = Response(status_code=400)
        except ProficioError as error:
            answer = _json({"error": str(error)}, 503)
            answer.headers["Retry-After"] = "10"
        answer.headers.setdefault("X-Experience-API-Version", "2.0.0")
        return answer

    return told


async def _put(receiver: Receiver, client: Client, meant: Asked) -> Response:
    own_id = statement_id(meant)
    given, contents = _statements(receiver, client, meant, single=True)
    if given[0].setdefault("id", own_id).lower() != own_id:
        raise Refused(400, "the statement's id is not the parameter statementId")
    await _take(receiver, client, meant, given, contents)
    return Response(status_code=204)


async def _post(receiver: Receiver, client: Client, meant: Asked) -> Response:
    if meant.parameters:
        raise Refused(400, "a POST of statements has no parameters")
    given, contents = _statements(receiver, client, meant, single=False)
    return _json(await _take(receiver, client, meant, given, contents))


async def _take(
    receiver: Receiver, client: Client, meant: Asked, given: list[Statement], contents: dict[str, bytes]
) -> list[str]:
    if contents:
        await asyncio.to_thread(receiver.contents.keep, contents)
    authority = _authority(receiver, client.name)
    return await asyncio.wrap_future(receiver.intake.submit(given, client.name, authority, meant.version))


def _authority(receiver: Receiver, name: str) -> dict[str, Any]:
    return {"objectType": "Agent", "account": {"homePage": receiver.authority_home, "name": name}}


def _statements(
    receiver: Receiver, client: Client, meant: Asked, single: bool
) -> tuple[list[Statement], dict[str, bytes]]:
    """The valid statements of a request, and its attachments by hash."""
    if "write" not in client.scopes:
        raise Refused(403, "this client may not write")
    kind = meant.headers.get("content-type", "").partition(";")[0].strip().lower()
    text = meant.body
    contents: dict[str, bytes] = {}
    if kind == "multipart/mixed":
        text, contents = attachments.split(meant.headers["content-type"], meant.body)
    elif kind != "application/json":
        raise Refused(400, f"statements come as application/json or multipart/mixed; found {kind[:100]!r}")
    given = _pieces(text, single, receiver.max_statements)
    for one in given:
        if version_of(one, meant.version) != meant.version:
            raise Refused(400, f"the statement's version is not the request's, {VERSIONS[meant.version]}")
        if (
            len(text) > receiver.max_record_bytes - _ADDED
            and len(orjson.dumps(one)) > receiver.max_record_bytes - _ADDED
        ):
            raise Refused(413, f"a statement may have {receiver.max_record_bytes - _ADDED:,} bytes")
        validate(one, receiver.repairs if client.name in receiver.repaired_clients else (), meant.version)
    ids = [one["id"].lower() for one in given if "id" in one]
    if len(set(ids)) < len(ids):
        raise Refused(400, "two statements of the request have the same id")
    attachments.check(given, contents)
    signatures.check(given, contents)
    return given, contents


def _pieces(text: bytes, single: bool, most: int) -> list[Statement]:
    """The statements of a JSON object or array, each read as strictly as when it is landed."""
    if not text.lstrip().startswith(b"["):
        return [parse(text)[0]]
    if single:
        raise Refused(400, "a PUT has one statement")
    whole, _ = parse(b'{"statements":%b}' % text)
    if set(whole) != {"statements"}:
        raise Refused(400, "expected one JSON array")
    array: list[Any] = whole["statements"]
    if len(array) > most:
        raise Refused(413, f"a request may have {most:,} statements; this one has {len(array):,}")
    for one in array:
        if not isinstance(one, dict):
            raise Refused(400, f"a statement is a JSON object; found {type(one).__name__}")
    return array


async def _get(receiver: Receiver, client: Client, meant: Asked) -> Response:
    own = None if "read-all" in client.scopes else client.name
    if own and "read-own" not in client.scopes:
        raise Refused(403, "this client may not read")
    want = wanted(meant, own)
    await asyncio.wrap_future(receiver.intake.settled())
    languages = [one.partition(";")[0].strip() for one in meant.headers.get("accept-language", "").split(",")]
    if want.statement_id is not None:
        found = await asyncio.to_thread(receiver.store.get, want.statement_id)
        if found is None or found.voided != want.voided or (own and found.client != own):
            raise Refused(404, f"there is no {'voided ' if want.voided else ''}statement {want.statement_id}")
        answer = await asyncio.to_thread(_answer, receiver, want, [found], b"%b", languages)
        answer.headers["Last-Modified"] = formatdate(found.stored / 1e6, usegmt=True)
        return answer
    kept = await asyncio.to_thread(receiver.store.search, want.search)
    page = kept[: want.search.limit]
    more = ""
    if len(kept) > len(page):
        more = f"/xapi/statements?{urlencode({**meant.parameters, 'after': page[-1].number})}"
    frame = b'{"statements":[%b],"more":' + orjson.dumps(more).replace(b"%", b"%%") + b"}"
    return await asyncio.to_thread(_answer, receiver, want, page, frame, languages)


def _answer(receiver: Receiver, want: Wanted, kept: list[Kept], frame: bytes, languages: Sequence[str]) -> Response:
    texts = [one.text for one in kept]
    if want.form != "exact":
        texts = [orjson.dumps(in_form(orjson.loads(text), want.form, languages)) for text in texts]
    body, kind = frame % b",".join(texts), "application/json"
    if want.attachments:
        named = [orjson.loads(one.text) for one in kept]
        body = attachments.joined(receiver.contents, body, named)
        kind = f"multipart/mixed; boundary={attachments.BOUNDARY}"
    return Response(body, media_type=kind, headers={"ETag": f'"{sha1(body, usedforsecurity=False).hexdigest()}"'})


def _json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, media_type="application/json")


def _timestamp(microseconds: int) -> str:
    moment = datetime.fromtimestamp(microseconds // 1_000_000, UTC).replace(microsecond=microseconds % 1_000_000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
