"""Dead letters: records that could not be landed, with the reason, the clause and where they came from."""

from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import orjson

from connectors.event_log import EventLog
from connectors.storage import storage_errors
from schemas.records import REJECTED, STATEMENTS, Record, StoredRecord
from schemas.repairs import Repair
from transforms.statements import RefusedStatement, Rejection, judge, key_of, parse

_DAY = timedelta(days=1)
REJECTED_AT = "rejected-at"  # of a letter that was written again: when it was refused, ms since 1970


@dataclass(frozen=True)
class DeadLetter:
    """A rejected record: original bytes, why, and from where (`origin`: a place in the log, or file and line)."""

    origin: str
    source: str
    clause: str
    path: str
    reason: str
    rejected_at: datetime
    value: bytes
    xapi_version: str = ""


@dataclass(frozen=True)
class Selection:
    """Which dead letters: of a source, whose clause begins so, refused from a moment on; None is any."""

    source: str | None = None
    clause: str | None = None
    since: datetime | None = None

    def holds(self, letter: DeadLetter) -> bool:
        """Whether a letter is one of these."""
        return (
            self.source in (None, letter.source)
            and letter.clause.startswith(self.clause or "")
            and (self.since is None or letter.rejected_at >= self.since)
        )


def record_of(origin: str, value: bytes | None, rejection: Rejection, headers: dict[str, str]) -> Record:
    """The record for xapi.rejected. Its key is the origin, so a repetition after a crash replaces, not doubles."""
    told = {
        "origin": origin,
        "reason": rejection.reason,
        "clause": rejection.clause,
        "path": rejection.path,
        **{name: headers[name] for name in ("source", "xapi-version") if name in headers},
    }
    return Record(origin, value or b"", told)


def dead_letters(log: EventLog) -> Iterator[DeadLetter]:
    """The dead letters that stand: the newest of each origin, less those that were replayed since."""
    newest: dict[str, StoredRecord] = {}
    for partition, offsets in log.offsets(REJECTED).items():
        for record in log.read(REJECTED, partition, *offsets):
            newest[record.headers.get("origin", record.place)] = record
    for origin, record in newest.items():
        if "replayed" not in record.headers:
            yield DeadLetter(
                origin=origin,
                source=record.headers.get("source", ""),
                clause=record.headers.get("clause", ""),
                path=record.headers.get("path", ""),
                reason=record.headers.get("reason", ""),
                rejected_at=datetime.fromtimestamp(int(record.headers.get(REJECTED_AT, record.timestamp)) / 1000, UTC),
                value=record.value or b"",
                xapi_version=record.headers.get("xapi-version", ""),
            )


class Rise(NamedTuple):
    """A source of which more was rejected in the last day than before: how many, and how many a day in the week before."""

    source: str
    rejected: int
    before: float

    def __str__(self) -> str:
        return f"{self.source or 'no source'}: {self.rejected:,} rejected in a day, {self.before:.1f} a day in the week before"


def rising(letters: Iterable[DeadLetter], now: datetime, least: int, rise: float) -> list[Rise]:
    """Sources with at least `least` rejects in the last 24 hours, and over `rise` times the daily mean of the 7 days before."""
    today, before = Counter[str](), Counter[str]()
    for letter in letters:
        age = now - letter.rejected_at
        if age <= _DAY:
            today[letter.source] += 1
        elif age <= 8 * _DAY:
            before[letter.source] += 1
    return [
        Rise(source, count, before[source] / 7)
        for source, count in sorted(today.items())
        if count >= least and count > rise * before[source] / 7
    ]


def export(letters: Iterable[DeadLetter], path: Path) -> None:
    """Write letters as NDJSON, whole or not at all. `original` is the text of the record, `original_base64` where it is none."""
    lines = []
    for letter in letters:
        try:
            original = {"original": letter.value.decode()}
        except UnicodeDecodeError:
            original = {"original_base64": b64encode(letter.value).decode()}
        told = {name: value for name, value in asdict(letter).items() if name != "value"}
        lines.append(orjson.dumps({**told, **original}))
    temporary = path.with_name(f".{path.name}.tmp")
    with storage_errors(path):
        temporary.write_bytes(b"".join(line + b"\n" for line in lines))
        temporary.replace(path)


def replay(log: EventLog, letters: Iterable[DeadLetter], repairs: tuple[Repair, ...], version: str) -> tuple[int, int]:
    """Send dead letters that would now be accepted round again; how many went, how many stay as they are.

    A letter is marked only after its record stands in the log again; sent twice it is still one statement.
    """
    sent = kept = 0
    for letter in letters:
        headers = {"source": letter.source, "replayed-from": letter.origin}
        if letter.xapi_version:
            headers["xapi-version"] = letter.xapi_version
        try:
            judge(StoredRecord(REJECTED, 0, 0, 0, None, letter.value, headers), repairs, version)
        except RefusedStatement:
            kept += 1
            continue
        log.append(STATEMENTS, [Record(key_of(parse(letter.value)[0]), letter.value, headers)])
        log.append(REJECTED, [Record(letter.origin, b"", {"origin": letter.origin, "replayed": "true"})])
        sent += 1
    return sent, kept
