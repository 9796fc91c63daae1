"""Landing: records of the event log become rows of the lake, exactly once; bad ones become dead letters."""

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from connectors import lake
from connectors.event_log import EventLog, Membership
from flows.backlog import Waiting, backlog
from flows.copying import check_copied
from flows.dead_letters import record_of
from flows.gates import passed
from flows.late import take_out_erased
from flows.logs import logger
from flows.opening import event_log, lake_of, repairs
from flows.replay import migrate
from flows.settings import Settings
from schemas.records import REJECTED, STATEMENTS, Record
from schemas.repairs import Repair
from transforms.rows import to_table
from transforms.statements import Judged, RefusedStatement, judge

Progress = Callable[[int], None]
_OTHERS_SECONDS = 0.5  # between looks at whether others have landed what is theirs


def _silent(_count: int) -> None:
    """Progress that nobody watches."""


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


def land(
    settings: Settings, log: EventLog | None = None, progress: Progress = _silent, mine: Membership | None = None
) -> Landed:
    """Land everything that the event log holds now and the lake does not. Safe to kill at any instant.

    With land.group any number of processes share the partitions (`mine` says which are this one's, where the caller is a member
    already), and each returns when all is landed, by whomever: partitions of one that dies or stops answering go to the others.
    QualityError stops it before a batch that breaks a gate is published; nothing is lost, its offsets are landed next.
    """
    if log is None:
        with event_log(settings) as opened:
            return land(settings, opened, progress, mine)
    if mine is not None:
        return _land_beside_others(settings, log, progress, mine)
    with joined(settings, log) as member:
        if member is not None:
            return _land_beside_others(settings, log, progress, member)
        with lake_of(settings).locked():
            _make_ready(settings, log)
            return _land(settings, log, progress, None)


def _land_beside_others(settings: Settings, log: EventLog, progress: Progress, mine: Membership) -> Landed:
    with lake_of(settings).tried() as alone:
        if alone:  # otherwise whoever lands already has done it
            _make_ready(settings, log)
    with lake_of(settings).shared():
        return _land(settings, log, progress, mine)


@contextmanager
def joined(settings: Settings, log: EventLog) -> Iterator[Membership | None]:
    """Be a member of land.group, if there is one."""
    if not settings.land.group:
        yield None
        return
    with log.member(STATEMENTS, settings.land.group, settings.land.session_seconds) as mine:
        yield mine


def _make_ready(settings: Settings, log: EventLog) -> None:
    check_copied(settings)
    lake_of(settings).sweep()
    migrate(settings, log)


def _land(settings: Settings, log: EventLog, progress: Progress, mine: Membership | None) -> Landed:
    """Land what waits now; as a member of a group, what of that is this one's, until nothing of it waits."""
    total, mends = Landed(), repairs(settings)
    ends: dict[int, int] | None = None
    while waiting := backlog(settings, log, ends):
        ends = ends or {partition: waits.end for partition, waits in waiting.items()}
        if any([lake_of(settings).finish(STATEMENTS, partition, one.follows) for partition, one in waiting.items()]):
            continue  # what a killed worker left is published now
        held = waiting if mine is None else {partition: waiting[partition] for partition in mine() & set(waiting)}
        if held:
            follows = {partition: one.follows for partition, one in held.items()}
            total = _sum(total, _land_held(settings, log, progress, mends, _Held(held, mine, follows)))
        else:
            time.sleep(_OTHERS_SECONDS)
    return total


def _land_held(
    settings: Settings, log: EventLog, progress: Progress, mends: tuple[Repair, ...], held: "_Held"
) -> Landed:
    """Read and judge one batch while the one before is checked and published."""
    total = Landed()
    with ThreadPoolExecutor(max_workers=1) as settler:
        settling: Future[Landed] | None = None
        for batch in _batches(settings, log, mends, held):
            if settling is not None:
                total = _sum(total, settling.result())
            progress(batch.records)
            settling = settler.submit(_settle_and_tidy, settings, log, batch, held)
            del batch
        if settling is not None:
            total = _sum(total, settling.result())
    return total


@dataclass
class _Held:
    """The partitions that are being landed. One that another worker goes on with is `lost`, with whatever was read of it."""

    waiting: Mapping[int, Waiting]
    mine: Membership | None
    follows: dict[int, int]
    lost: set[int] = field(default_factory=set)

    def keeps(self, partition: int) -> bool:
        return partition not in self.lost and (self.mine is None or partition in self.mine())


def _batches(settings: Settings, log: EventLog, mends: tuple[Repair, ...], held: _Held) -> Iterator[Batch]:
    version = settings.land.xapi_version
    batch, room, bytes_left = Batch(), settings.land.batch_records, settings.land.batch_bytes
    for partition, (_, first, end) in held.waiting.items():
        if not held.keeps(partition):
            continue
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
                    if not held.keeps(partition):
                        start = end
                        break
        if start < end:
            batch.ranges[partition] = (start, end - 1)
    if batch.ranges:
        yield batch


def _settle_and_tidy(settings: Settings, log: EventLog, batch: Batch, held: _Held) -> Landed:
    """Settle a batch, then free the cycles that checking it left: reading goes on without the garbage collector."""
    landed = _settle(settings, log, batch, held)
    gc.collect(0)
    return landed


def _settle(settings: Settings, log: EventLog, batch: Batch, held: _Held) -> Landed:
    """Check a batch, then publish it: dead letters first, so that a crash repeats rather than loses them."""
    repaired = sum(1 for names in batch.judged if names[9])
    table = to_table(batch.judged)
    batch.judged.clear()  # the table holds it now, and twice would be too much
    table, rejected = passed(settings, table, batch.rejected)
    table, rejected, erased = take_out_erased(settings, log, table, rejected)
    if rejected:
        log.append(REJECTED, rejected)
    rows = list(_publish(settings, batch, table, held))
    return Landed(sum(rows), len(rejected), len(rows), repaired, erased)


def _publish(settings: Settings, batch: Batch, table: pa.Table, held: _Held) -> Iterator[int]:
    """Publish what of a batch is still to be landed here; the rows of each file."""
    for partition, (first, last) in batch.ranges.items():
        rows = table.filter(pc.equal(table["log_partition"], partition))
        for start, end, day, part in _by_day(rows, first, last):
            if partition in held.lost:
                break
            follows = held.follows[partition]
            try:
                lake_of(settings).publish(part, STATEMENTS, partition, start, end, day, follows)
            except lake.Fenced as fenced:
                logger().warning("%s; what was read of it here is left to the worker that did.", fenced)
                held.lost.add(partition)
                break
            held.follows[partition] = end + 1
            yield part.num_rows


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
