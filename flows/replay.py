"""Replaying: the lake's files are written anew, in place, from the event log or from the statements that they hold."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from connectors import lake
from connectors.event_log import EventLog
from connectors.lake import Lake
from flows.dead_letters import dead_letters, record_of
from flows.gates import passed
from flows.logs import logger
from flows.opening import lake_of, repairs
from flows.settings import Settings
from schemas.errors import StorageError
from schemas.lake import VERSION
from schemas.records import REJECTED, STATEMENTS, Record, StoredRecord
from transforms.rows import to_table
from transforms.statements import Judged, RefusedStatement, judge

Progress = Callable[[int], None]
Received = tuple[StoredRecord, list[str]]  # and the names of the repairs that mended it before
_PLACE = re.compile(rf"{re.escape(STATEMENTS)}-(\d+)@(\d+)")


@dataclass(frozen=True)
class Replayed:
    """What a replay did: files written anew, the rows in them, records refused."""

    files: int = 0
    rows: int = 0
    rejected: int = 0


def replay_log(settings: Settings, log: EventLog, progress: Progress = lambda count: None) -> Replayed:
    """Judge every record that is in the lake once more, as the event log has it. Safe to kill, and to begin again.

    StorageError, before anything is touched, where the log does not hold all of them any more.
    """
    where = lake_of(settings)
    with where.locked():
        where.sweep()
        files = where.published()
        held = log.offsets(STATEMENTS)
        for file in files:
            begin, end = held.get(file.partition, (0, 0))
            if not begin <= file.first <= file.last < end:
                raise StorageError(
                    f"The lake holds {STATEMENTS}-{file.partition} from offset {file.first} to {file.last}; the event log "
                    f"holds {begin} to {end - 1}.",
                    "What expired there can be replayed from the lake: proficio replay --from-lake.",
                )  # fmt: skip

        def received(file: lake.LakeFile) -> Iterator[Received]:
            for record in log.read(STATEMENTS, file.partition, file.first, file.last + 1):
                yield record, []

        done, refused = _rewrite(settings, log, files, received, progress)
        _settle_letters(log, files, refused)
    return done


def replay_lake(settings: Settings, log: EventLog, progress: Progress = lambda count: None) -> Replayed:
    """Judge and project every statement of the lake once more. Safe to kill, and to begin again."""
    where = lake_of(settings)
    with where.locked():
        where.sweep()
        done, _ = _rewrite(settings, log, where.published(), partial(_received, where), progress)
    return done


def migrate(settings: Settings, log: EventLog) -> Replayed:
    """Write files of an older schema version anew from the statements in them; the caller holds the lake.

    Whole statements are kept, so that a later version's columns can be filled for what came before it. StorageError for
    files of a newer version.
    """
    where = lake_of(settings)
    if where.state().version == VERSION:
        return Replayed()
    versions = {file: where.version(file) for file in where.published()}
    newer = next((file for file, version in versions.items() if version > VERSION), None)
    if newer:
        raise StorageError(
            f"{where.address(newer)} has version {versions[newer]} of the lake's schema; this proficio knows {VERSION}.",
            "Install the newer proficio again.",
        )
    older = [file for file, version in versions.items() if version < VERSION]
    done, _ = _rewrite(settings, log, older, partial(_received, where), lambda count: None)
    if done.files:
        logger().warning("The lake was migrated to version %d of its schema: %d files.", VERSION, done.files)
    where.note_state(replace(where.state(), version=VERSION))
    return done


def _rewrite(
    settings: Settings, log: EventLog, files: Iterable[lake.LakeFile],
    received: Callable[[lake.LakeFile], Iterator[Received]], progress: Progress,
) -> tuple[Replayed, set[str]]:  # fmt: skip
    """What was done, and where the records came from that were refused. Levels are estimated from nothing afterwards."""
    where, done, refused = lake_of(settings), Replayed(), set[str]()
    for number, file in enumerate(files):
        if number == 0:  # noted first: a run that is killed between two files has changed the lake
            before = where.state()
            where.note_state(replace(before, rewrites=before.rewrites + 1))
        rows = 0
        letters: list[Record] = []
        with where.replacing(file) as writer:
            for judged, rejected in _judged(settings, received(file)):
                table, bad = passed(settings, to_table(judged), rejected)
                progress(table.num_rows + len(bad))
                writer.write_table(table)
                rows += table.num_rows
                letters += bad
            if letters:
                log.append(REJECTED, letters)
        refused.update(letter.headers["origin"] for letter in letters)
        done = Replayed(done.files + 1, done.rows + rows, done.rejected + len(letters))
    return done, refused


def _judged(settings: Settings, received: Iterator[Received]) -> Iterator[tuple[list[Judged], list[Record]]]:
    """Batches of judged records and of the dead letters of the others."""
    mends, version = repairs(settings), settings.land.xapi_version
    judged: list[Judged] = []
    rejected: list[Record] = []
    for record, mended_before in received:
        try:
            one = judge(record, mends, version)
            judged.append((*one[:9], [*mended_before, *one[9]], one[10]))
        except RefusedStatement as refusal:
            rejected.append(record_of(record.place, record.value, refusal.rejection, record.headers))
        if len(judged) + len(rejected) >= settings.land.batch_records:
            yield judged, rejected
            judged, rejected = [], []
    yield judged, rejected


def _received(where: Lake, file: lake.LakeFile) -> Iterator[Received]:
    """The records of a file as they would come from the log, from what every version of the schema has."""
    names = ["log_partition", "log_offset", "received_at", "source", "xapi_version", "repairs", "statement"]
    for batch in where.batches(file):
        for row in batch.select(names).to_pylist():
            headers = {"source": row["source"] or "", "xapi-version": row["xapi_version"]}
            milliseconds = round(row["received_at"].timestamp() * 1000)
            value = row["statement"].encode()
            record = StoredRecord(
                file.topic, row["log_partition"], row["log_offset"], milliseconds, None, value, headers
            )
            yield record, row["repairs"] or []


def place_of(origin: str) -> StoredRecord | None:
    """The record of xapi.statements that a dead letter's origin names, by its place; None where it came from elsewhere."""
    found = _PLACE.fullmatch(origin)
    return StoredRecord(STATEMENTS, int(found[1]), int(found[2]), 0, None, None, {}) if found else None


def _settle_letters(log: EventLog, files: list[lake.LakeFile], refused: set[str]) -> None:
    """Mark dead letters whose record is in the lake now as replayed."""
    ends = lake.next_offsets(files, STATEMENTS)
    settled = []
    for letter in dead_letters(log):
        place = place_of(letter.origin)
        if place and letter.origin not in refused and place.offset < ends.get(place.partition, 0):
            settled.append(Record(letter.origin, b"", {"origin": letter.origin, "replayed": "true"}))
    if settled:
        log.append(REJECTED, settled)
