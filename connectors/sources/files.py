"""Statements in files: one a line (NDJSON) or one JSON array, plain, gzip or Zstandard, of any size."""

import gzip
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from io import BufferedReader
from pathlib import Path
from typing import Protocol, cast

import zstandard

from schemas.errors import InputError
from transforms.statements import BYTE_ORDER_MARK

_CHUNK = 1 << 20
_KEPT = 64 << 10  # of what is too large to keep whole
_IN_STRING = re.compile(rb'\\.|"', re.DOTALL)
_OUTSIDE = re.compile(rb'["\[\]{},]')


class _Stream(Protocol):
    def read1(self, size: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Piece:
    """One statement's bytes as they stand in the file, and where. `fault` says why they cannot be a statement."""

    where: str
    value: bytes
    fault: str = ""


def pieces(path: Path | None, max_bytes: int) -> Iterator[Piece]:
    """The pieces of a file (None: standard input), in bounded memory.

    A piece larger than `max_bytes` comes with a fault and the first 64 KiB of it. InputError for a file that is not
    there, is empty, or breaks off; what came before the break has been yielded.
    """
    name = str(path) if path else "standard input"
    with _opened(path, name) as stream:
        first = b""
        while not first.strip():
            chunk = stream.read1(_CHUNK)
            if not chunk:
                raise InputError(
                    f"{name} holds no statements.",
                    "Give a file with one xAPI statement a line, or a JSON array of them.",
                )
            first += chunk
        first = first.removeprefix(BYTE_ORDER_MARK)
        cut = _elements if first.lstrip().startswith(b"[") else _lines
        yield from cut(stream, first, name, max_bytes)


@contextmanager
def _opened(path: Path | None, name: str) -> Iterator[_Stream]:
    try:
        if path is None:
            yield _decompressed(cast(BufferedReader, sys.stdin.buffer))
        else:
            with path.open("rb") as raw:
                yield _decompressed(raw)
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
        raise InputError(
            f"{name} breaks off or is damaged: {error}",
            "Fetch the whole file and ingest it again; statements that were taken already are known by their id.",
        ) from None
    except OSError as error:
        raise InputError(
            f"{name} cannot be read: {error.strerror or error}.", "Check the path and its rights."
        ) from None


def _decompressed(raw: BufferedReader) -> _Stream:
    start = raw.peek(4)[:4]
    if start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=raw)
    if start == b"\x28\xb5\x2f\xfd":
        return _WholeZstandard(raw)
    return raw


class _WholeZstandard:
    """A reader of Zstandard frames that tells a file that breaks off from one that ends."""

    def __init__(self, raw: BufferedReader) -> None:
        self._raw = raw
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._rest = b""

    def read1(self, size: int) -> bytes:
        while True:
            chunk = self._rest or self._raw.read(size)
            self._rest = b""
            if not chunk:
                if not self._frame.eof:
                    raise EOFError("the Zstandard frame is not complete")
                return b""
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            data = self._frame.decompress(chunk)
            self._rest = self._frame.unused_data if self._frame.eof else b""
            if data:
                return data


def _lines(stream: _Stream, first: bytes, name: str, max_bytes: int) -> Iterator[Piece]:
    number, rest, oversize = 0, first, None
    while True:
        *whole, rest = rest.split(b"\n")
        for line in whole:
            number += 1
            if oversize is not None:
                yield oversize.end(f"{name}:{number}", line)
                oversize = None
            elif len(line) > max_bytes:
                yield _Oversize(max_bytes).end(f"{name}:{number}", line)
            elif line.strip():
                yield Piece(f"{name}:{number}", line)
        if len(rest) > max_bytes:
            oversize = oversize or _Oversize(max_bytes)
            oversize.add(rest)
            rest = b""
        chunk = stream.read1(_CHUNK)
        if not chunk:
            break
        rest += chunk
    if oversize is not None:
        yield oversize.end(f"{name}:{number + 1}", rest)
    elif rest.strip():
        yield Piece(f"{name}:{number + 1}", rest)


def _elements(stream: _Stream, first: bytes, name: str, max_bytes: int) -> Iterator[Piece]:
    """The elements of one JSON array, cut out without parsing them."""
    buffer, position, start, depth, number, in_string = first, 0, 0, 0, 0, False
    oversize: _Oversize | None = None
    while True:
        while token := (_IN_STRING if in_string else _OUTSIDE).search(buffer, position):
            kind, position = token[0], token.end()
            if kind == b'"':
                in_string = not in_string
            elif kind in (b"{", b"["):
                depth += 1
                start = position if depth == 1 else start
            elif kind in (b"}", b"]", b",") and not in_string:
                if depth == 1:
                    where = f"{name}[{number}]"
                    element, start = buffer[start : token.start()], position
                    if oversize is not None or len(element) > max_bytes:
                        yield (oversize or _Oversize(max_bytes)).end(where, element)
                        oversize, number = None, number + 1
                    elif element.strip() or kind == b",":
                        fault = "" if element.strip() else "nothing stands between two commas"
                        yield Piece(where, element.strip(), fault)
                        number += 1
                depth -= kind != b","
                if depth == 0:
                    return
        open_escape = in_string and position < len(buffer) and buffer.endswith(b"\\")
        position = len(buffer) - open_escape
        if position - start > max_bytes:
            oversize = oversize or _Oversize(max_bytes)
            oversize.add(buffer[start:position])
            start = position
        buffer, position, start = buffer[start:], position - start, 0
        chunk = stream.read1(_CHUNK)
        if not chunk:
            raise EOFError(f"the JSON array does not end after element {number - 1}")
        buffer += chunk


class _Oversize:
    """What is known of a piece that is too large to keep: its start, its length, its hash."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes, self._start, self._length, self._hash = max_bytes, b"", 0, sha256()

    def add(self, part: bytes) -> None:
        self._start += part[: _KEPT - len(self._start)]
        self._length += len(part)
        self._hash.update(part)

    def end(self, where: str, part: bytes) -> Piece:
        self.add(part)
        fault = (
            f"{self._length:,} bytes, more than event_log.max_record_bytes = {self._max_bytes:,}; "
            f"SHA-256 {self._hash.hexdigest()}, the first {len(self._start):,} bytes are kept"
        )
        return Piece(where, self._start, fault)
