"""From the bytes of a record to a valid statement with an id, or to the reason why not."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b, sha1
from typing import Any
from uuid import UUID

import orjson

from schemas import xapi
from schemas.records import StoredRecord
from schemas.repairs import Repair
from schemas.xapi import Statement, Violation
from transforms.repair import repair

# The namespace of ids that proficio gives to statements whose source gave none.
NAMESPACE = UUID("5f2f7a3c-6b7e-5d0a-9c39-6d1f3a1c9e51")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MAX_DEPTH = 254  # what orjson writes; deeper statements are refused when they are read

# topic, partition, offset, received_at (µs), source, statement id, timestamp, actor id, version, repairs, JSON text
Judged = tuple[str, int, int, int, str, str, str | None, str, str, list[str], bytes]


@dataclass(frozen=True)
class Rejection:
    """Why a record did not become a row: the broken clause, the place in the statement, the reason in words."""

    clause: str
    path: str
    reason: str


def parse(record_value: bytes | None) -> tuple[Statement, bytes]:
    """A statement from the bytes of one record, and its JSON without white space (canonical where it has no id).

    Stricter than most JSON readers: a key that stands twice in an object is refused (xAPI-Data 2.2), as are NaN,
    Infinity, lone surrogates, invalid UTF-8 and a nesting deeper than 254 levels. Raises `RefusedStatement`.
    """
    value = record_value or b""
    try:
        statement = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        if value.startswith(BYTE_ORDER_MARK):
            return parse(value[3:])
        reason = f"expected JSON in UTF-8; {error}" if value.strip() else "the record is empty"
        raise RefusedStatement("RFC 8259", "", reason) from None
    if type(statement) is not dict:
        found = type(statement).__name__
        raise RefusedStatement("xAPI-Data 2.2", "", f"expected one JSON object a record; found {found}")
    try:
        text = orjson.dumps(statement, option=None if "id" in statement else orjson.OPT_SORT_KEYS)
    except TypeError:
        raise RefusedStatement("RFC 8259", "", f"nested deeper than {MAX_DEPTH} levels") from None
    if text == value:
        return statement, value  # what orjson wrote is what came, so no key was lost, and one copy is enough
    # A key lost to its double takes its quotes along; only an escaped quote (\u0022) could hide that.
    if value.count(b'"') != text.count(b'"') or (b"\\" in value and b"\\u0022" in value):
        json.loads(value, object_pairs_hook=_refuse_double_keys)
    return statement, text


class RefusedStatement(Exception):
    """A record that is no valid statement; carries the `Rejection`."""

    def __init__(self, clause: str, path: str, reason: str) -> None:
        super().__init__(reason)
        self.rejection = Rejection(clause, path, reason)


def _refuse_double_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        double = next(key for key in keys if keys.count(key) > 1)
        raise RefusedStatement("xAPI-Data 2.2", "", f"a key may stand only once in an object; {double!r} stands twice")
    return result


def identify(statement: Statement, source: str, canonical: bytes) -> str:
    """The statement's id in lower case, or uuid5 of its canonical JSON and its source, so a resend is the same one.

    RFC 4122 4.3 with SHA-1, as `uuid.uuid5` has it, in a third of the time.
    """
    own = statement.get("id")
    if own is not None:
        return str(own).lower()
    digest = sha1(NAMESPACE.bytes + source.encode() + b"\n" + canonical, usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digest[16], 16) & 3]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"


def actor_id(actor: dict[str, Any]) -> str:
    """One string for an actor's inverse functional identifier (xAPI-Data 2.4.2.3); the key of its records.

    mbox: the mailto IRI in lower case; mbox_sha1sum: "sha1:…"; openid: the URI; account: "homePage|name";
    an anonymous group: "group:" and its members' identifiers, sorted.
    """
    if "account" in actor:
        return f"{actor['account']['homePage']}|{actor['account']['name']}"
    if "mbox" in actor:
        return str(actor["mbox"]).lower()
    if "mbox_sha1sum" in actor:
        return f"sha1:{actor['mbox_sha1sum'].lower()}"
    if "openid" in actor:
        return str(actor["openid"])
    return "group:" + " ".join(sorted(actor_id(member) for member in actor.get("member", ())))


def key_of(statement: Statement) -> str | None:
    """The record key for a statement, or None where its actor cannot be read (landing will say why)."""
    try:
        return actor_id(statement["actor"])
    except (KeyError, TypeError, AttributeError):
        return None


def content_hash(statement: Statement) -> str:
    """Hash of a statement less what xAPI-Data 2.3.1 lets differ between two copies of it.

    Left out: id, stored, authority, version, attachments, displays of verbs, definitions of activities. Timestamps
    count as instants, members of a group as a set, identifiers of mail addresses without case.
    """
    parts = {k: v for k, v in statement.items() if k not in ("id", "stored", "authority", "version", "attachments")}
    if "timestamp" in parts:
        parts["timestamp"] = xapi.parse_timestamp(parts["timestamp"]).timestamp()
    canonical = orjson.dumps(_immutable(parts), option=orjson.OPT_SORT_KEYS)
    return blake2b(canonical, digest_size=16).hexdigest()


def _immutable(node: Any) -> Any:
    if type(node) is dict:
        return {
            key: value if key == "extensions" else _members(value) if key == "member" else _immutable(value)
            for key, value in node.items()
            if key not in ("definition", "display")
        }
    if type(node) is list:
        return [_immutable(item) for item in node]
    return node


def _members(members: list[dict[str, Any]]) -> list[str]:
    return sorted(actor_id(member) for member in members)


def validate(statement: Statement, repairs: Iterable[Repair], version: str) -> list[str]:
    """The names of the repairs that made a statement valid, none for most. Raises `RefusedStatement`.

    Repairs are tried only on statements that break a rule, so a valid statement is never changed.
    """
    if xapi.is_valid(statement, version):
        return _NO_REPAIRS
    names = repair(statement, repairs)
    if names and xapi.is_valid(statement, version):
        return names
    first: Violation = xapi.violations(statement, version)[0]
    raise RefusedStatement(first.clause, first.path, first.message)


_NO_REPAIRS: list[str] = []


def judge(record: StoredRecord, repairs: Iterable[Repair], default_version: str = "1.0.3") -> Judged:
    """A record as a valid statement, mended where a repair says how. Raises `RefusedStatement` with the reason.

    The specification version is the statement's own, else the record's `xapi-version` header, else the default.
    """
    statement, text = parse(record.value)
    headers = record.headers
    version = xapi.version_of(statement, _header_version(headers, default_version))
    source = headers.get("source", "")
    statement_id = identify(statement, source, text)
    mended = validate(statement, repairs, version)
    if mended:
        text = orjson.dumps(statement)
    if "id" not in statement:
        text = b'{"id":"%b",%b' % (statement_id.encode(), text[1:])
    return (
        record.topic,
        record.partition,
        record.offset,
        record.timestamp * 1000,
        source,
        statement_id,
        statement.get("timestamp"),
        actor_id(statement["actor"]),
        version,
        mended,
        text,
    )


def _header_version(headers: dict[str, str], default: str) -> str:
    header = headers.get("xapi-version")
    if header is None:
        return default
    return "2.0" if header.startswith("2.") else "1.0.3" if header.startswith("1.") else default
