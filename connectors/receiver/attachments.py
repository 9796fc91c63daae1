"""Attachments: what comes in parts beside statements (xAPI-Data 2.4.11, xAPI-Communication 1.5)."""

from collections.abc import Iterable, Iterator
from email.parser import BytesParser
from email.policy import HTTP
from hashlib import sha256
from typing import Any

from connectors.receiver.asking import Refused
from connectors.receiver.contents import Contents
from schemas.xapi import Statement

BOUNDARY = "proficio-attachments"


def split(content_type: str, body: bytes) -> tuple[bytes, dict[str, bytes]]:
    """The statements' JSON, and the attachments by their SHA-256, of a multipart/mixed body. Refused where a part is wrong."""
    if "\r" in content_type or "\n" in content_type:
        raise Refused(400, "the content type is no header")
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    parts = list(message.iter_parts()) if message.is_multipart() else []
    if not parts or parts[0].get_content_type() != "application/json":
        raise Refused(400, "the first part of multipart/mixed holds the statements, as application/json")
    contents: dict[str, bytes] = {}
    for part in parts[1:]:
        content = part.get_payload(decode=True)
        told = str(part.get("X-Experience-API-Hash", "")).strip()
        if part.get("Content-Transfer-Encoding", "").strip().lower() != "binary" or not isinstance(content, bytes):
            raise Refused(400, "an attachment's part has Content-Transfer-Encoding: binary")
        if sha256(content).hexdigest() != told.lower():
            raise Refused(
                400, f"an attachment's X-Experience-API-Hash is not the SHA-256 of its content: {told[:100]!r}"
            )
        contents[told.lower()] = content
    first = parts[0].get_payload(decode=True)
    return first if isinstance(first, bytes) else b"", contents


def check(statements: Iterable[Statement], contents: dict[str, bytes]) -> None:
    """Every attachment without a fileUrl must have come, and every one that came be named."""
    named = list(of(statements))
    missing = [one["sha2"] for one in named if "fileUrl" not in one and one["sha2"].lower() not in contents]
    if missing:
        raise Refused(400, f"an attachment has neither a fileUrl nor a part: {missing[0][:100]}")
    wrong = [
        one for one in named if one["sha2"].lower() in contents and one["length"] != len(contents[one["sha2"].lower()])
    ]
    if wrong:
        raise Refused(400, f"an attachment is not as long as its statement says: {wrong[0]['sha2'][:100]}")
    loose = set(contents) - {one["sha2"].lower() for one in named}
    if loose:
        raise Refused(400, f"no statement names the attachment {loose.pop()}")


def of(statements: Iterable[Statement]) -> Iterator[dict[str, Any]]:
    """The attachments that statements name, those of sub-statements too."""
    for one in statements:
        yield from one.get("attachments", ())
        if one["object"].get("objectType") == "SubStatement":
            yield from one["object"].get("attachments", ())


def joined(kept: Contents, result: bytes, statements: Iterable[Statement]) -> bytes:
    """A multipart/mixed body: the result, then each attachment that is kept, once."""
    parts = [(b"Content-Type: application/json", result)]
    for name, one in {one["sha2"].lower(): one for one in of(statements)}.items():
        content = kept.get(name)
        if content is not None:
            kind = "".join(c for c in one["contentType"] if c.isprintable()).encode("latin-1", "replace")
            head = b"Content-Type: %b\r\nContent-Transfer-Encoding: binary\r\nX-Experience-API-Hash: %b" % (
                kind,
                name.encode(),
            )
            parts.append((head, content))
    edge = b"--" + BOUNDARY.encode()
    return (
        b"".join(edge + b"\r\n" + head + b"\r\n\r\n" + content + b"\r\n" for head, content in parts) + edge + b"--\r\n"
    )
