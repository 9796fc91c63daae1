"""Landing: records of the event log become rows of the lake, exactly once; bad ones become dead letters."""

import gc
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from connectors import lake
from connectors.event_log import EventLog
from flows.dead_letters import record_of
from flows.gates import passed
from flows.late import take_out_erased
from flows.opening import event_log, repairs
from flows.replay import migrate
from flows.settings import Settings
from schemas.errors import StorageError
from schemas.records import REJECTED, STATEMENTS, Record
from schemas.repairs import Repair
from transforms.rows import to_table
from transforms.statements import Judged, RefusedStatement, judge

Progress = Callable[[int], None]


@dataclass
class Batch:
    """Judged records of one or more partitions, and the offsets that they account for."""

    ranges: dict[int, tuple[int, int]] = field(default_factory=dict)
    judged: list[Judged] = field(default_factory=list)
    rejected: list[Record] = field(default_factory=list)

    @property
    def records(self) -> int:
        return len(self.judged) + len(self.rejected)


@dataclass(frozen=True)
class Landed:
    """What a landing did. `erased` were dropped, for the person was erased."""

    landed: int = 0
    rejected: int = 0
    files: int = 0
    repaired: int = 0
    erased: int = 0


def land(settings: Settings, log: EventLog | None = None, progress: Progress = lambda count: None) -> Landed:
    """Land everything that the event log holds now and the lake does not. Safe to kill at any instant.

    QualityError stops it before a batch that breaks a gate is published; nothing is lost, its offsets are landed next.
    """
    if log is None:
        with event_log(settings) as opened:
            return land(settings, opened, progress)
    total = Landed()
    with lake.locked(settings.lake), ThreadPoolExecutor(max_workers=1) as settler:
        lake.sweep(settings.lake)
        migrate(settings, log)
        settling: Future[Landed] | None = None
        for batch in _batches(settings, log, repairs(settings)):
            if settling is not None:
                total = _sum(total, settling.result())
            progress(batch.records)
            settling = settler.submit(_settle_and_tidy, settings, log, batch)
            del batch
        if settling is not None:
            total = _sum(total, settling.result())
    return total


def backlog(settings: Settings, log: EventLog) -> dict[int, tuple[int, int]]:
    """For each partition with records that are not landed, the first such offset and the end of the partition."""
    starts = lake.next_offsets(lake.published(settings.lake), STATEMENTS)
    waiting = {}
    for partition, (begin, end) in log.offsets(STATEMENTS).items():
        first = starts.get(partition, begin)
        if first > end:
            raise StorageError(
                f"The lake holds offset {first - 1} of {STATEMENTS}-{partition}, but the event log ends at {end}.",
                "The event log was replaced or cut. Bring it back, or start with another home.",
            )
        if first < begin and not settings.land.skip_expired:
            raise StorageError(
                f"{STATEMENTS}-{partition} starts at offset {begin}, but {first} is to be landed next: "
                f"{begin - first} records expired unlanded.",
                "Raise the topic's retention and land more often. To go on without them: land.skip_expired = true.",
            )
        first = max(first, begin)
        if first < end:
            waiting[partition] = (first, end)
    return waiting


def _batches(settings: Settings, log: EventLog, mends: tuple[Repair, ...]) -> Iterator[Batch]:
    version = settings.land.xapi_version
    batch, room, bytes_left = Batch(), settings.land.batch_records, settings.land.batch_bytes
    for partition, (first, end) in backlog(settings, log).items():
        start = first
        with _without_garbage_collection():
            for record in log.read(STATEMENTS, partition, first, end):
                try:
                    batch.judged.append(judge(record, mends, version))
                except RefusedStatement as refusal:
                    batch.rejected.append(record_of(record.place, record.value, refusal.rejection, record.headers))
                room -= 1
                bytes_left -= len(record.value or b"")
                if room <= 0 or bytes_left <= 0:
                    batch.ranges[partition] = (start, record.offset)
                    start = record.offset + 1
                    yield batch
                    batch, room, bytes_left = Batch(), settings.land.batch_records, settings.land.batch_bytes
        if start < end:
            batch.ranges[partition] = (start, end - 1)
    if batch.ranges:
        yield batch


def _settle_and_tidy(settings: Settings, log: EventLog, batch: Batch) -> Landed:
    """Settle a batch, then free the cycles that checking it left: reading goes on without the garbage collector."""
    landed = _settle(settings, log, batch)
    gc.collect(0)
    return landed


def _settle(settings: Settings, log: EventLog, batch: Batch) -> Landed:
    """Check a batch, then publish it: dead letters first, so that a crash repeats rather than loses them."""
    repaired = sum(1 for names in batch.judged if names[9])
    table = to_table(batch.judged)
    batch.judged.clear()  # the table holds it now, and twice would be too much
    table, rejected = passed(settings, table, batch.rejected)
    table, rejected, erased = take_out_erased(settings, log, table, rejected)
    if rejected:
        log.append(REJECTED, rejected)
    files = sum(1 for _ in _publish(settings, batch, table))
    return Landed(table.num_rows, len(rejected), files, repaired, erased)


def _publish(settings: Settings, batch: Batch, table: pa.Table) -> Iterator[lake.LakeFile]:
    for partition, (first, last) in batch.ranges.items():
        rows = table.filter(pc.equal(table["log_partition"], partition))
        for start, end, day, part in _by_day(rows, first, last):
            yield lake.publish(settings.lake, part, STATEMENTS, partition, start, end, day)


def _by_day(rows: pa.Table, first: int, last: int) -> Iterator[tuple[int, int, date, pa.Table]]:
    """Cut rows where the day received grows; ranges stay gapless. A clock that steps back opens no new file."""
    days: list[date] = []
    for moment in rows["received_at"].to_pylist() if _spans_days(rows) else ():
        days.append(max(days[-1], moment.date()) if days else moment.date())
    cuts = [position for position in range(1, len(days)) if days[position] != days[position - 1]]
    offsets = rows["log_offset"]
    start, before = first, 0
    for position in cuts:
        end = offsets[position].as_py() - 1
        yield start, end, days[before], rows.slice(before, position - before)
        start, before = end + 1, position
    day = days[before] if days else _day(rows)
    yield start, last, day, rows.slice(before)


def _spans_days(rows: pa.Table) -> bool:
    if rows.num_rows == 0:
        return False
    extremes = pc.min_max(rows["received_at"]).as_py()
    return bool(extremes["min"].date() != extremes["max"].date())


def _day(rows: pa.Table) -> date:
    return rows["received_at"][0].as_py().date() if rows.num_rows else datetime.now(UTC).date()


def _sum(one: Landed, other: Landed) -> Landed:
    return Landed(
        one.landed + other.landed,
        one.rejected + other.rejected,
        one.files + other.files,
        one.repaired + other.repaired,
        one.erased + other.erased,
    )


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Parsed statements hold no cycles, and looking for them costs 3 to 6 times the parsing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
