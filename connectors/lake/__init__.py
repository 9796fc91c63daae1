"""The lake: Parquet files of statements, each with the range of log offsets that it accounts for.

Where they stand is a folder (`files`) or a bucket of an object store (`objects`); what is asked of either is `Lake`.
"""

import fcntl
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from connectors.lake.locks import hold
from schemas.errors import StorageError, UnavailableError

Since = Mapping[tuple[str, int], int]  # topic, partition → offset
FROM_THE_START: Since = {}
COMPACT_BELOW = 64 << 20  # files smaller than this are worth merging, bytes
_ROWS = 20_000  # held in memory at once


class LakeFile(NamedTuple):
    """One published file and the offsets, first to last inclusive, that it accounts for; its bytes.

    `path` is where it stands, or will once `Lake.local` brought it.
    """

    topic: str
    partition: int
    first: int
    last: int
    day: date
    path: Path
    size: int = 0


@dataclass(frozen=True)
class State:
    """What is known of the whole lake: the schema version that all its files have, how often files were written anew."""

    version: int = 0
    rewrites: int = 0


class Fenced(Exception):
    """Another worker has gone on from there."""


class Lake(ABC):
    """What landing, estimating and keeping ask of a lake. Its text says where it is; its folder has the locks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def published(self, since: Since = FROM_THE_START) -> list[LakeFile]:
        """The files that count, in log order: of each partition one chain without overlaps.

        Of the topics and partitions that `since` names, only those with offsets from there on.
        """

    def ends(self, topic: str) -> dict[int, int]:
        """For each partition of a topic that has landed files, the first offset not landed yet."""
        return next_offsets(self.published(), topic)

    @abstractmethod
    def publish(
        self, table: pa.Table, topic: str, partition: int, first: int, last: int, day: date, follows: int | None = None
    ) -> LakeFile:
        """Write a table as one file, wholly or not at all, that goes on from offset `follows`, which is `first` but where
        records between expired. Fenced where another worker went on from there.
        """

    def finish(self, topic: str, partition: int, follows: int) -> bool:  # noqa: ARG002
        """Publish what a killed worker left ready to go on from an offset; whether there was such."""
        return False

    @abstractmethod
    def local(self, file: LakeFile) -> Path:
        """A file on this machine's disk with what a file of the lake holds; for who is `reading`."""

    @abstractmethod
    def address(self, file: LakeFile) -> str:
        """Where a file stands, for people and for Spark."""

    @abstractmethod
    def opened(self, file: LakeFile) -> AbstractContextManager[pq.ParquetFile]:
        """A file, to be read. StorageError, naming it, where it is damaged."""

    @abstractmethod
    def replacing(self, file: LakeFile) -> AbstractContextManager[pq.ParquetWriter]:
        """Write a file anew: what is written takes its place, wholly or not at all."""

    @abstractmethod
    def state(self) -> State:
        """The state of the lake; version 0 where nobody has looked yet."""

    @abstractmethod
    def note_state(self, now: State) -> None:
        """Keep the lake's state."""

    @abstractmethod
    def check(self) -> None:
        """StorageError where what it stands on cannot keep what a lake promises, or is not writable."""

    @abstractmethod
    def sweep(self, at_once: bool = False) -> int:
        """Finish or remove what killed processes left; how many files were removed. For who has the lake alone.

        With `at_once`, everything that does not count any more, also what is kept for a while for those that read it.
        """

    @abstractmethod
    def compact(self, below: int = COMPACT_BELOW) -> tuple[int, int]:
        """Merge neighbouring small files of one day and partition; how many went in, how many came out."""

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lake for writing, alone. UnavailableError when another process does."""
        with self.tried() as alone:
            if not alone:
                raise UnavailableError(
                    f"Another process is landing into {self}.",
                    "Wait for it, or stop it. Several land at once as members of a group: land.group.",
                )
            yield

    @contextmanager
    def tried(self) -> Iterator[bool]:
        """Whether the lake was free, and is held now, alone."""
        with hold(self.folder, ".lock", fcntl.LOCK_EX) as alone:
            yield alone

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Hold the lake for landing beside others that land; waits for who has it alone."""
        with hold(self.folder, ".lock", fcntl.LOCK_SH, wait=True):
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep every file that stands now from being removed while it is read. Landing goes on beside it."""
        with hold(self.folder, ".reading", fcntl.LOCK_SH, wait=True):
            yield

    @contextmanager
    def nobody_reading(self, wait: bool) -> Iterator[bool]:
        """Whether nobody is `reading`, and who begins waits; with `wait`, once that is so."""
        with hold(self.folder, ".reading", fcntl.LOCK_EX, wait) as nobody:
            yield nobody

    def read(self, file: LakeFile, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of a file. StorageError, naming the file, where it is damaged."""
        with self.opened(file) as parquet:
            return parquet.read(columns)

    def batches(self, file: LakeFile) -> Iterator[pa.RecordBatch]:
        """The rows of a file, in bounded memory. StorageError, naming the file, where it is damaged."""
        with self.opened(file) as parquet:
            yield from parquet.iter_batches(batch_size=_ROWS)

    def version(self, file: LakeFile) -> int:
        """The version of the schema that a file was written with."""
        with self.opened(file) as parquet:
            return version_of(parquet.schema_arrow)

    @contextmanager
    def damage(self, file: LakeFile) -> Iterator[None]:
        """Turn the errors of a damaged Parquet file into a StorageError that names it."""
        try:
            yield
        except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
            raise StorageError(
                f"{self.address(file)} cannot be read as Parquet: {str(error).splitlines()[0]}",
                "Move the file away; landing then writes its offsets again from the event log.",
            ) from error


def version_of(schema: pa.Schema) -> int:
    """The version of the lake's schema that a file's own names; 0 for the first, which named none."""
    return int((schema.metadata or {}).get(b"proficio.version", 0))


def not_before(since: Since, files: Iterable[LakeFile]) -> list[LakeFile]:
    """Those of some files that have offsets from where `since` says on."""
    return [file for file in files if file.last >= since.get((file.topic, file.partition), 0)]


def next_offsets(files: Iterable[LakeFile], topic: str) -> dict[int, int]:
    """For each partition of a topic that has landed files, the first offset not landed yet."""
    ends: dict[int, int] = {}
    for file in files:
        if file.topic == topic:
            ends[file.partition] = max(ends.get(file.partition, 0), file.last + 1)
    return ends


def name_of(topic: str, partition: int, first: int, last: int, day: date, token: str = "") -> str:
    """The name of a file by what it holds; `token` tells apart what several may write for one place."""
    return f"received={day.isoformat()}/{topic}-{partition}-{first:020d}-{last:020d}{token}.parquet"
