"""What a request asks, once its method, parameters, headers and body are known (xAPI-Communication 1.3, 1.4, 2.1)."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import orjson

from connectors.receiver.store import Search
from schemas import xapi
from transforms.statement_terms import agent_terms

VERSION_HEADER = "x-experience-api-version"
_SINGLE = {"statementId", "voidedStatementId"}
_FILTERS = {"agent", "verb", "activity", "registration", "related_activities", "related_agents", "since", "until", "limit",
            "ascending", "after"}  # fmt: skip
_HOW = {"format", "attachments"}
_FORM_HEADERS = {"authorization", "x-experience-api-version", "content-type", "content-length", "if-match", "if-none-match",
                 "accept-language", "accept"}  # fmt: skip
MOST = 1_000  # statements in one answer


class Refused(Exception):
    """A request that is not served: the status, the reason in words, headers that go with it."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, headers or {}


@dataclass(frozen=True)
class Asked:
    """A request, the alternate syntax resolved; names of headers in lower case."""

    method: str
    parameters: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    version: str = "1.0.3"


@dataclass(frozen=True)
class Wanted:
    """What a GET wants: one statement by id (voided or not), or those of a search; in which form, with attachments or not."""

    statement_id: str | None
    voided: bool
    search: Search
    form: str
    attachments: bool


async def read_body(chunks: AsyncIterator[bytes], declared: str | None, most: int) -> bytes:
    """A body of at most `most` bytes; 413 before more than that is held."""
    if declared and declared.isdigit() and int(declared) > most:
        raise Refused(413, f"a request may have {most:,} bytes; this one has {int(declared):,}")
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > most:
            raise Refused(413, f"a request may have {most:,} bytes")
    return bytes(body)


def asked(method: str, query: str, headers: Mapping[str, str], body: bytes) -> Asked:
    """A request as it is meant. A POST with the parameter `method` carries parameters and headers in a form (1.3)."""
    parameters = _parameters(query)
    is_alternate = method == "POST" and "method" in parameters
    if is_alternate:
        if len(parameters) > 1:
            raise Refused(400, "in the alternate syntax, `method` is the only parameter of the query")
        form = _parameters(_text(body))
        method = parameters["method"].upper()
        if method not in ("GET", "PUT", "POST", "HEAD"):
            raise Refused(405, f"there is no method {method[:20]!r} here")
        of_form = {key.lower(): value for key, value in form.items() if key.lower() in _FORM_HEADERS}
        content = form.get("content", "").encode()
        if method in ("PUT", "POST"):
            of_form.setdefault("content-type", "application/json")
        parameters = {
            key: value for key, value in form.items() if key != "content" and key.lower() not in _FORM_HEADERS
        }
        rest = {key: value for key, value in headers.items() if key not in ("content-type", "content-length")}
        resolved = Asked(method, parameters, {**rest, **of_form}, content)
    else:
        resolved = Asked(method, parameters, headers, body)
    version = _version(resolved.headers)
    if is_alternate and version == "2.0":
        raise Refused(400, "version 2.0 has no alternate request syntax")
    return Asked(resolved.method, resolved.parameters, resolved.headers, resolved.body, version)


def wanted(asked: Asked, own: str | None) -> Wanted:
    """What a GET of the statements resource wants (2.1.2, 2.1.3); `own` is the client that may read its own only."""
    given = asked.parameters
    unknown = set(given) - _SINGLE - _FILTERS - _HOW
    if unknown:
        raise Refused(400, f"unknown parameters: {', '.join(sorted(unknown))[:200]}")
    form = given.get("format", "exact")
    if form not in ("ids", "exact", "canonical"):
        raise Refused(400, f"format is ids, exact or canonical; found {form[:50]!r}")
    single = _SINGLE & set(given)
    attachments = _truth(given, "attachments")
    if not single:
        return Wanted(None, False, _search(given, own, asked.version), form, attachments)
    if len(single) > 1 or set(given) - _SINGLE - _HOW:
        raise Refused(400, "beside statementId or voidedStatementId stand only format and attachments")
    name = single.pop()
    return Wanted(
        _valid(given[name], "uuid", name, asked.version).lower(),
        name == "voidedStatementId",
        Search(),
        form,
        attachments,
    )


def statement_id(asked: Asked) -> str:
    """The statementId of a PUT, which has no other parameter."""
    if set(asked.parameters) != {"statementId"}:
        raise Refused(400, "a PUT has the parameter statementId, and no other")
    return _valid(asked.parameters["statementId"], "uuid", "statementId", asked.version).lower()


def _search(given: Mapping[str, str], own: str | None, version: str) -> Search:
    terms = []
    if "agent" in given:
        agent = _json(given["agent"], "agent")
        kind = "group" if isinstance(agent, dict) and agent.get("objectType") == "Group" else "agent"
        if not xapi.is_valid_part(kind, agent, version) or not set(agent) & {
            "mbox",
            "mbox_sha1sum",
            "openid",
            "account",
        }:
            raise Refused(400, "agent is an agent or an identified group, as JSON")
        terms.append(agent_terms(agent, _truth(given, "related_agents")))
    if "verb" in given:
        terms.append(f"verb:{_valid(given['verb'], 'iri', 'verb', version)}")
    if "activity" in given:
        kind = "related_activity" if _truth(given, "related_activities") else "activity"
        terms.append(f"{kind}:{_valid(given['activity'], 'iri', 'activity', version)}")
    if "registration" in given:
        terms.append(f"registration:{_valid(given['registration'], 'uuid', 'registration', version).lower()}")
    for name in ("related_agents", "related_activities"):
        _truth(given, name)
    limit = _number(given, "limit")
    return Search(
        terms, _moment(given, "since", version), _moment(given, "until", version), own, _truth(given, "ascending"),
        _number(given, "after") if "after" in given else None, min(limit or MOST, MOST),
    )  # fmt: skip


def _parameters(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict")
    except ValueError as error:
        raise Refused(400, f"parameters cannot be read: {error}") from None
    if len({key for key, _ in pairs}) != len(pairs):
        raise Refused(400, "a parameter stands twice")
    return dict(pairs)


def _version(headers: Mapping[str, str]) -> str:
    given = headers.get(VERSION_HEADER)
    if given is None:
        raise Refused(400, "the header X-Experience-API-Version is missing")
    if given in ("1.0", "1.0.0", "1.0.1", "1.0.2", "1.0.3"):
        return "1.0.3"
    if given in ("2.0", "2.0.0"):
        return "2.0"
    raise Refused(400, f"versions are 1.0.0 to 1.0.3 and 2.0.0; found {given[:20]!r}")


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Refused(400, "a form is text in UTF-8") from None


def _json(text: str, name: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"{name} is JSON; {error}") from None


def _truth(given: Mapping[str, str], name: str) -> bool:
    value = given.get(name, "false").lower()
    if value not in ("true", "false"):
        raise Refused(400, f"{name} is true or false; found {value[:20]!r}")
    return value == "true"


def _number(given: Mapping[str, str], name: str) -> int:
    value = given.get(name, "0")
    if not (value.isascii() and value.isdigit() and len(value) < 19):
        raise Refused(400, f"{name} is a whole number, 0 or more; found {value[:20]!r}")
    return int(value)


def _moment(given: Mapping[str, str], name: str, version: str) -> int | None:
    """An instant in µs since 1970."""
    if name not in given:
        return None
    try:
        moment = xapi.parse_timestamp(_valid(given[name], "timestamp", name, version))
    except ValueError as error:
        raise Refused(400, f"{name} is no instant of the calendar; {error}") from None
    return round(moment.timestamp() * 1_000_000)


def _valid(value: str, part: str, name: str, version: str) -> str:
    if not xapi.is_valid_part(part, value, version):
        raise Refused(400, f"{name} is no {part}: found {value[:100]!r}")
    return value
