"""The lake in an object store (S3, GCS, Azure, or a folder by way of the same library).

    data/received=2026-11-24/xapi.statements-0-…-….a1b2c3d4.parquet     never changed; a token tells apart who wrote it
    chain/…, checkpoints/…                                              which of it counts (`connectors.lake.checkpoints`)

An object store has no rename and no lock, but lets one only create a name (conditional put). So a file is published by the entry
that names it, put where the partition's chain ends: who comes too late gets nothing, and a data object without an entry does not
count. Entries are folded into a checkpoint, whose number one only can create; then they are removed, so that no list grows
with what has been landed.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from shutil import rmtree

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
from obstore.store import ObjectStore

from connectors.lake import (
    COMPACT_BELOW,
    FROM_THE_START,
    Fenced,
    Lake,
    LakeFile,
    Since,
    State,
    name_of,
    next_offsets,
    not_before,
    version_of,
)
from connectors.lake.chains import Chains
from connectors.lake.checkpoints import DATA, Checkpoint, object_name
from connectors.lake.compaction import merge, neighbours
from connectors.lake.stores import store_errors
from connectors.storage import storage_errors
from schemas.errors import StorageError, UnavailableError
from schemas.lake import STATEMENTS

# For which a data object that does not count is kept: it may be read just now, or be on its way to be published.
_GRACE = timedelta(hours=24)
_FOOTER = 64 << 10  # bytes that most footers fit into


class ObjectLake(Lake):
    """A lake in a store, told of by its address, for all threads. A folder of this machine has copies of what is read, and locks.

    Between machines that do not share the folder, entries and checkpoints decide: landing and compaction are safe without it.
    """

    def __init__(self, store: ObjectStore, address: str, folder: Path) -> None:
        super().__init__(folder)
        self._store, self._url = store, address.rstrip("/")
        self._chains = Chains(store, folder)

    def __str__(self) -> str:
        return self._url

    def published(self, since: Since = FROM_THE_START) -> list[LakeFile]:
        with store_errors(str(self)):
            checkpoint, tail = self._chains.read()
        files = [*checkpoint.files(self.folder, since), *not_before(since, tail)]
        return sorted(files, key=lambda file: (file.topic, file.partition, file.first))

    def ends(self, topic: str) -> dict[int, int]:
        with store_errors(str(self)):
            checkpoint, tail = self._chains.read()
        landed = {partition: end for (name, partition), end in checkpoint.ends.items() if name == topic}
        return landed | next_offsets(tail, topic)

    def publish(
        self, table: pa.Table, topic: str, partition: int, first: int, last: int, day: date, follows: int | None = None
    ) -> LakeFile:
        """Put the data, then the entry that makes it count."""
        with self._ready() as written:
            pq.write_table(table, written, compression="zstd")
            file = self._new(written, topic, partition, first, last, day)
            begun = time.time()
            self._put(file, written)
            place = first if follows is None else follows
            with store_errors(str(self)):
                entered = self._chains.enter(file, place)
            if not entered:
                self._delete([object_name(file)])
                raise Fenced(f"{topic}-{partition} goes on from {place} already")
            if time.time() - begun > _GRACE.total_seconds() / 2:  # it may have been taken for a stray
                self._put(file, written)
        return file

    def local(self, file: LakeFile) -> Path:
        """A copy, which stays until nobody is `reading` on this machine."""
        if not file.path.exists():
            with storage_errors(self.folder), store_errors(str(self)):
                file.path.parent.mkdir(parents=True, exist_ok=True)
                written = file.path.with_suffix(f".{token_hex(8)}.tmp")
                with written.open("wb") as copy:
                    for piece in obstore.get(self._store, object_name(file)).stream():
                        copy.write(piece)
                written.replace(file.path)
        return file.path

    def address(self, file: LakeFile) -> str:
        return f"{self._url}/{object_name(file)}"

    @contextmanager
    def opened(self, file: LakeFile) -> Iterator[pq.ParquetFile]:
        with store_errors(str(self)):
            content = obstore.get(self._store, object_name(file)).bytes()
        with self.damage(file), pq.ParquetFile(pa.BufferReader(content)) as parquet:
            yield parquet

    def version(self, file: LakeFile) -> int:
        tail = self._tail(file, _FOOTER)
        footer = int.from_bytes(tail[-8:-4], "little") + 8  # a file ends with its footer's length and four letters
        if len(tail) < footer <= file.size:
            tail = self._tail(file, footer)
        with self.damage(file):
            return version_of(pq.read_schema(pa.BufferReader(tail)))

    @contextmanager
    def replacing(self, file: LakeFile) -> Iterator[pq.ParquetWriter]:
        """What stood there is removed at once, in a moment in which nobody reads."""
        with self._ready() as written:
            with pq.ParquetWriter(written, STATEMENTS, compression="zstd") as writer:
                yield writer
            with self.nobody_reading(wait=True):
                self._swap([file], written, keep=False)
                self._delete([object_name(file)])
                file.path.unlink(missing_ok=True)

    def state(self) -> State:
        with store_errors(str(self)):
            return self._chains.newest().state

    def note_state(self, now: State) -> None:
        self._commit(lambda checkpoint: replace(checkpoint, state=now))

    def check(self) -> None:
        """StorageError where the store makes a name twice: landing would not be exactly once."""
        key = f"check/{token_hex(8)}"
        with store_errors(str(self)):
            one, other = self._chains.create(key, b"one"), self._chains.create(key, b"other")
            obstore.delete(self._store, key)
        if not one or other:
            raise StorageError(
                f"{self}: this store does not honour conditional puts (If-None-Match: *), by which landing is exactly once.",
                "Use a store, or a version of it, that does: S3, MinIO, Ceph from Squid on, GCS, Azure.",
            )

    def sweep(self, at_once: bool = False) -> int:
        """Fold entries; remove what was replaced longer ago than anybody reads it. A store with nothing in it is checked."""
        with store_errors(str(self)):
            checkpoint, tail = self._chains.fold()
        if not checkpoint.number and not tail:
            self.check()
        due = datetime.now(UTC) - (timedelta() if at_once else _GRACE)
        gone = [name for name, since in checkpoint.gone.items() if datetime.fromisoformat(since) <= due]
        if gone:
            self._delete(gone)
            self._commit(lambda now: replace(now, gone={name: now.gone[name] for name in now.gone.keys() - set(gone)}))
        return len(gone) + (self._remove_strays(due) if at_once else 0)

    def compact(self, below: int = COMPACT_BELOW) -> tuple[int, int]:
        """A reader goes on with the files that it found. What a killed process put, and nothing names, is removed too."""
        merged = created = 0
        for group in neighbours(self.published(), below):
            with self._ready() as written:
                merge(self, group, written)
                self._swap(group, written, keep=True)
            merged, created = merged + len(group), created + 1
        self._remove_strays(datetime.now(UTC) - _GRACE)
        return merged, created

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Copies are removed behind the last who reads."""
        with super().reading():
            yield
        with self.nobody_reading(wait=False) as nobody:
            for copies in self.folder.glob("received=*") if nobody else ():
                rmtree(copies)

    def _swap(self, files: Sequence[LakeFile], written: Path, keep: bool) -> None:
        """Let one new file stand for others; with `keep`, their objects stay for a while, for whoever reads them."""
        one = files[0]
        new = self._new(written, one.topic, one.partition, one.first, files[-1].last, one.day)
        self._put(new, written)
        gone = {object_name(file): datetime.now(UTC).isoformat() for file in files} if keep else {}

        def swapped(checkpoint: Checkpoint) -> Checkpoint:
            after = checkpoint.with_instead(new, files)
            if after is None:
                raise UnavailableError(f"Another process has rewritten files of {self} meanwhile.", "Run it again.")
            return replace(after, gone={**after.gone, **gone})

        self._commit(swapped)

    def _tail(self, file: LakeFile, length: int) -> bytes:
        with store_errors(str(self)):
            start = max(0, file.size - length)
            return bytes(obstore.get_range(self._store, object_name(file), start=start, end=file.size))

    def _commit(self, change: Callable[[Checkpoint], Checkpoint]) -> None:
        with store_errors(str(self)):
            self._chains.commit(change)

    def _put(self, file: LakeFile, written: Path) -> None:
        with store_errors(str(self)):
            obstore.put(self._store, object_name(file), written)

    def _delete(self, keys: Sequence[str]) -> None:
        with store_errors(str(self)):
            obstore.delete(self._store, keys)

    def _remove_strays(self, due: datetime) -> int:
        """Remove data that is older than `due` and does not count; how many objects."""
        with store_errors(str(self)):
            found = [one for page in obstore.list(self._store, DATA) for one in page]
            checkpoint, tail = self._chains.read()
        counted = checkpoint.held([one["path"] for one in found]) | {object_name(file) for file in tail}
        strays = [one["path"] for one in found if one["path"] not in counted and one["last_modified"] <= due]
        self._delete(strays)
        return len(strays)

    def _new(self, written: Path, topic: str, partition: int, first: int, last: int, day: date) -> LakeFile:
        path = self.folder / name_of(topic, partition, first, last, day, f".{token_hex(8)}")
        return LakeFile(topic, partition, first, last, day, path, written.stat().st_size)

    @contextmanager
    def _ready(self) -> Iterator[Path]:
        """A local file to write what is put then."""
        with storage_errors(self.folder):
            folder = self.folder / "ready"
            folder.mkdir(parents=True, exist_ok=True)
            written = folder / f"{token_hex(8)}.parquet"
            try:
                yield written
            finally:
                written.unlink(missing_ok=True)
