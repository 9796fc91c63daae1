"""The lake: Parquet files of statements, named by the log offsets they hold.

`received=2026-11-24/xapi.statements-0-00000000000000000000-00000000000000009999.parquet` holds what topic xapi.statements,
partition 0, offsets 0 to 9999 became. The names are the checkpoint of landing: they never overlap but for the moment in
which a compacted file stands beside those it replaces, and then the wider one counts.
"""

import fcntl
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from secrets import token_hex
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from connectors import claims
from schemas.errors import StorageError, UnavailableError
from schemas.lake import STATEMENTS

_NAME = re.compile(r"(?P<topic>.+)-(?P<partition>\d+)-(?P<first>\d{20})-(?P<last>\d{20})\.parquet")
_TEMPORARY = ".tmp"
_STATE = "state.json"
_ROWS = 20_000  # held in memory at once
COMPACT_BELOW = 64 << 20  # files smaller than this are worth merging, bytes


class LakeFile(NamedTuple):
    """One published file and the offsets, first to last inclusive, that it accounts for."""

    topic: str
    partition: int
    first: int
    last: int
    day: date
    path: Path


def published(lake: Path) -> list[LakeFile]:
    """The files that count, in log order: those inside the range of a wider (compacted) one are left out."""
    found = sorted(_all_files(lake), key=lambda file: (file.topic, file.partition, file.first, -file.last))
    visible: list[LakeFile] = []
    for file in found:
        before = visible[-1] if visible else None
        if before and (before.topic, before.partition) == (file.topic, file.partition) and file.last <= before.last:
            continue
        visible.append(file)
    return visible


def next_offsets(files: Iterable[LakeFile], topic: str) -> dict[int, int]:
    """For each partition of a topic that has landed files, the first offset not landed yet."""
    ends: dict[int, int] = {}
    for file in files:
        if file.topic == topic:
            ends[file.partition] = max(ends.get(file.partition, 0), file.last + 1)
    return ends


def publish(
    lake: Path,
    table: pa.Table,
    topic: str,
    partition: int,
    first: int,
    last: int,
    day: date,
    follows: int | None = None,
) -> LakeFile:
    """Write a table as one file, wholly or not at all: temporary name, fsync, claim, rename, fsync of the folder.

    It goes on from offset `follows`, which is `first` but where records between expired. claims.Fenced where another worker did.
    """
    folder = lake / f"received={day.isoformat()}"
    path = folder / f"{topic}-{partition}-{first:020d}-{last:020d}.parquet"
    with storage_errors(lake), _temporary(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
        _durable(temporary)
        claims.claim(lake, topic, partition, first if follows is None else follows, temporary, path)
        with suppress(FileNotFoundError):  # whoever lands next has finished it
            temporary.rename(path)
        claims.sync(folder)
    return LakeFile(topic, partition, first, last, day, path)


def read(file: LakeFile) -> pa.Table:
    """The rows of a file. StorageError, naming the file, where it is damaged."""
    with readable(file.path):
        return pq.ParquetFile(file.path).read()


@contextmanager
def replacing(lake: Path, file: LakeFile) -> Iterator[pq.ParquetWriter]:
    """Write a file anew: what is written takes its place, wholly or not at all, in a moment in which nobody reads."""
    with storage_errors(lake), _temporary(file.path) as temporary:
        with pq.ParquetWriter(temporary, STATEMENTS, compression="zstd") as writer:
            yield writer
        with _lock(lake, ".reading", fcntl.LOCK_EX, wait=True):
            _rename(temporary, file.path)


def batches(file: LakeFile) -> Iterator[pa.RecordBatch]:
    """The rows of a file, in bounded memory. StorageError, naming the file, where it is damaged."""
    with readable(file.path), pq.ParquetFile(file.path) as parquet:
        yield from parquet.iter_batches(batch_size=_ROWS)


def version(file: LakeFile) -> int:
    """The version of the schema that a file was written with."""
    with readable(file.path):
        return int((pq.read_schema(file.path).metadata or {}).get(b"proficio.version", 0))


@dataclass(frozen=True)
class State:
    """What is known of the whole lake: the schema version that all its files have, how often files were written anew."""

    version: int = 0
    rewrites: int = 0


def state(lake: Path) -> State:
    """The state of a lake; version 0 where nobody has looked yet."""
    path = lake / _STATE
    with storage_errors(path):
        return State(**json.loads(path.read_text())) if path.exists() else State()


def note_state(lake: Path, now: State) -> None:
    """Keep a lake's state."""
    with storage_errors(lake), _temporary(lake / _STATE) as temporary:
        temporary.write_text(json.dumps(asdict(now)))
        _rename(temporary, lake / _STATE)


def sweep(lake: Path) -> int:
    """Finish or remove what a killed process left: claimed files, temporary ones, and those that a compacted one replaced.

    How many were removed. Only for who has the lake alone.
    """
    with storage_errors(lake):
        claims.clear(lake)
        keep = {file.path for file in published(lake)}
        leftovers = [*lake.glob(f"received=*/*{_TEMPORARY}"), *lake.glob(f"*{_TEMPORARY}")]
        leftovers += [file.path for file in _all_files(lake) if file.path not in keep]
        return _remove(lake, leftovers) if leftovers else 0


def compact(lake: Path, below: int = COMPACT_BELOW) -> tuple[int, int]:
    """Merge neighbouring small files of one day and partition; how many files went in, how many came out.

    A reader sees the old files or the new one, never both: the new name's range covers theirs (`published`).
    """
    merged = created = 0
    for group in _neighbours(published(lake), below):
        target = group[0].path.with_name(
            f"{group[0].topic}-{group[0].partition}-{group[0].first:020d}-{group[-1].last:020d}.parquet"
        )
        with storage_errors(lake), _temporary(target) as temporary:
            with pq.ParquetWriter(temporary, STATEMENTS, compression="zstd") as writer:
                for file in group:
                    for batch in batches(file):
                        writer.write_batch(batch)
            _rename(temporary, target)
        _remove(lake, [file.path for file in group])
        merged, created = merged + len(group), created + 1
    return merged, created


@contextmanager
def locked(lake: Path) -> Iterator[None]:
    """Hold the lake for writing, alone. UnavailableError when another process does."""
    with tried(lake) as alone:
        if not alone:
            raise UnavailableError(
                f"Another process is landing into {lake}.",
                "Wait for it, or stop it. Several land at once as members of a group: land.group.",
            )
        yield


@contextmanager
def tried(lake: Path) -> Iterator[bool]:
    """Whether the lake was free, and is held now, alone."""
    with _lock(lake, ".lock", fcntl.LOCK_EX) as alone:
        yield alone


@contextmanager
def shared(lake: Path) -> Iterator[None]:
    """Hold the lake for landing beside others that land; waits for who has it alone."""
    with _lock(lake, ".lock", fcntl.LOCK_SH, wait=True):
        yield


@contextmanager
def reading(lake: Path) -> Iterator[None]:
    """Keep every file that stands now from being removed while it is read. Landing goes on beside it."""
    with _lock(lake, ".reading", fcntl.LOCK_SH, wait=True):
        yield


@contextmanager
def _lock(lake: Path, name: str, kind: int, wait: bool = False) -> Iterator[bool]:
    """Whether a lock was got. It goes with the process, however that ends."""
    with storage_errors(lake):
        lake.mkdir(parents=True, exist_ok=True)
        handle = os.open(lake / name, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, kind if wait else kind | fcntl.LOCK_NB)
        got = True
    except BlockingIOError:
        got = False
    try:
        yield got
    finally:
        os.close(handle)


def _remove(lake: Path, paths: Iterable[Path]) -> int:
    """Remove files that no longer count, how many; none while somebody reads, for the next sweep will."""
    with _lock(lake, ".reading", fcntl.LOCK_EX) as nobody_reads:
        removed = 0
        for path in paths if nobody_reads else ():
            path.unlink(missing_ok=True)
            removed += 1
    return removed


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn the errors of a damaged Parquet file into a StorageError that names it."""
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        raise StorageError(
            f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}",
            "Move the file away; landing then writes its offsets again from the event log.",
        ) from error


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn the errors of a full or read-only disk into a StorageError."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror or error}.",
            "Make room or make the folder writable, then run the command again: nothing was lost.",
        ) from error


def _all_files(lake: Path) -> Iterator[LakeFile]:
    for path in lake.glob("received=*/*.parquet"):
        if match := _NAME.fullmatch(path.name):
            day = date.fromisoformat(path.parent.name.removeprefix("received="))
            yield LakeFile(match["topic"], int(match["partition"]), int(match["first"]), int(match["last"]), day, path)


def _neighbours(files: list[LakeFile], below: int) -> list[list[LakeFile]]:
    by_place: dict[tuple[str, int, date], list[LakeFile]] = defaultdict(list)
    for file in files:
        if file.path.stat().st_size < below:
            by_place[file.topic, file.partition, file.day].append(file)
    groups = []
    for small in by_place.values():
        group = small[:1]
        for before, file in pairwise(small):
            if file.first != before.last + 1:
                groups.append(group)
                group = []
            group.append(file)
        groups.append(group)
    return [group for group in groups if len(group) > 1]


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.{token_hex(4)}{_TEMPORARY}")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _rename(temporary: Path, path: Path) -> None:
    _durable(temporary)
    temporary.rename(path)
    claims.sync(path.parent)


def _durable(path: Path) -> None:
    with path.open("rb") as written:
        os.fsync(written.fileno())
    claims.sync(path.parent)
