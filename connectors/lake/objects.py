"""The lake in an object store (S3, GCS, Azure, or a folder by way of the same library).

    data/received=2026-11-24/xapi.statements-0-…-….a1b2c3d4.parquet     never changed; a token tells apart who wrote it
    chain/…, checkpoints/…                                              which of it counts (`connectors.lake.checkpoints`)

An object store has no rename and no lock, but lets one only create a name (conditional put). So a file is published by the entry
that names it, put where the partition's chain ends: who comes too late gets nothing, and a data object without an entry does not
count. Entries are folded into a checkpoint, whose number one only can create; then they are removed, so that no list grows
with what has been landed.
"""

import fcntl
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from shutil import rmtree

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import stamina
from obstore.exceptions import AlreadyExistsError, GenericError, NotFoundError
from obstore.store import ObjectStore

from connectors.lake import COMPACT_BELOW, Fenced, Lake, LakeFile, State, name_of, storage_errors, version_of
from connectors.lake.checkpoints import (
    CHECKPOINTS,
    DATA,
    ENTRIES,
    Checkpoint,
    checkpoint_key,
    entry_key,
    from_entry,
    from_parquet,
    number_of,
    object_name,
    to_entry,
    to_parquet,
)
from connectors.lake.compaction import merge, neighbours
from connectors.lake.locks import hold
from connectors.lake.stores import store_errors
from schemas.errors import StorageError, UnavailableError
from schemas.lake import STATEMENTS

_FOLD_AT = 100  # entries
_AT_ONCE = 16  # requests
_TRIES = 8  # of a conditional put that nothing answers
_KEPT = 2  # checkpoints beside the newest, for whoever reads one just now
_GRACE = timedelta(
    hours=24
)  # for which a data object that does not count is kept: it may be read, or on its way to be published
_FOOTER = 64 << 10  # bytes that most footers fit into


class ObjectLake(Lake):
    """A lake in a store, told of by its address. A folder of this machine has copies of what is read, and the locks.

    Between machines that do not share the folder, entries and checkpoints decide: landing and compaction are safe without it.
    """

    def __init__(self, store: ObjectStore, address: str, folder: Path) -> None:
        self._store, self._url, self._folder = store, address.rstrip("/"), folder
        self._checkpoint = Checkpoint()
        self._entries: dict[str, LakeFile] = {}
        self._entered = 0

    def __str__(self) -> str:
        return self._url

    def published(self) -> list[LakeFile]:
        checkpoint, tail = self._chains()
        return sorted([*checkpoint.files, *tail], key=lambda file: (file.topic, file.partition, file.first))

    def ends(self, topic: str) -> dict[int, int]:
        checkpoint, tail = self._chains()
        return {partition: end for (name, partition), end in checkpoint.followed_by(tail).ends.items() if name == topic}

    def publish(
        self, table: pa.Table, topic: str, partition: int, first: int, last: int, day: date, follows: int | None = None
    ) -> LakeFile:
        """Put the data, then the entry that makes it count."""
        with self._ready() as written:
            pq.write_table(table, written, compression="zstd")
            file = self._new(written, topic, partition, first, last, day)
            begun = time.time()
            self._put(file, written)
            self._enter(file, first if follows is None else follows)
            if time.time() - begun > _GRACE.total_seconds() / 2:  # it may have been taken for a stray
                self._put(file, written)
        self._entered += 1
        if self._entered % _FOLD_AT == 0:
            self._fold()
        return file

    def finish(self, topic: str, partition: int, follows: int) -> bool:  # noqa: ARG002 - who put the entry has published
        return False

    def local(self, file: LakeFile) -> Path:
        """A copy, which stays until nobody is `reading` on this machine."""
        if not file.path.exists():
            with storage_errors(self._folder), store_errors(str(self)):
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
            with hold(self._folder, ".reading", fcntl.LOCK_EX, wait=True):
                self._swap([file], written, keep=False)
                self._delete([object_name(file)])
                file.path.unlink(missing_ok=True)

    def check(self) -> None:
        """StorageError where the store makes a name twice: landing would not be exactly once."""
        key = f"check/{token_hex(8)}"
        with store_errors(str(self)):
            one, other = self._create(key, b"one"), self._create(key, b"other")
            obstore.delete(self._store, key)
        if not one or other:
            raise StorageError(
                f"{self}: this store does not honour conditional puts (If-None-Match: *), by which landing is exactly once.",
                "Use a store, or a version of it, that does: S3, MinIO, Ceph from Squid on, GCS, Azure.",
            )

    def state(self) -> State:
        with store_errors(str(self)):
            return self._newest().state

    def note_state(self, now: State) -> None:
        self._commit(lambda checkpoint: replace(checkpoint, state=now))

    def sweep(self, at_once: bool = False) -> int:
        """Fold entries; remove what was replaced longer ago than anybody reads it. A store with nothing in it is checked."""
        if not self._fold() and not self._checkpoint.number:
            self.check()
        due = datetime.now(UTC) - (timedelta() if at_once else _GRACE)
        with store_errors(str(self)):
            gone = [name for name, since in self._newest().gone.items() if datetime.fromisoformat(since) <= due]
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
    def tried(self) -> Iterator[bool]:
        with hold(self._folder, ".lock", fcntl.LOCK_EX) as alone:
            yield alone

    @contextmanager
    def shared(self) -> Iterator[None]:
        with hold(self._folder, ".lock", fcntl.LOCK_SH, wait=True):
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Copies are removed behind the last who reads."""
        with hold(self._folder, ".reading", fcntl.LOCK_SH, wait=True):
            yield
        with hold(self._folder, ".reading", fcntl.LOCK_EX) as nobody_reads:
            for copies in self._folder.glob("received=*") if nobody_reads else ():
                rmtree(copies)

    def _enter(self, file: LakeFile, follows: int) -> None:
        """Put the entry that makes a file count. Fenced, and the data removed, where the chain goes on with another."""
        key = entry_key(file.topic, file.partition, follows)
        with store_errors(str(self)):
            if self._create(key, to_entry(file)):
                newest = (
                    self._newest()
                )  # an entry that was folded is gone, and its place free; the checkpoint knows of it
                if not newest.passed(key) or file in newest.files or object_name(file) in newest.gone:
                    self._entries[key] = file
                    return
        self._delete([object_name(file)])
        raise Fenced(f"{file.topic}-{file.partition} goes on from {follows} already")

    def _swap(self, files: Sequence[LakeFile], written: Path, keep: bool) -> None:
        """Let one new file stand for others; with `keep`, their objects stay for a while, for whoever reads them."""
        one = files[0]
        new = self._new(written, one.topic, one.partition, one.first, files[-1].last, one.day)
        self._put(new, written)
        old = set(files)
        gone = {object_name(file): datetime.now(UTC).isoformat() for file in files} if keep else {}

        def swapped(checkpoint: Checkpoint) -> Checkpoint:
            left = tuple(file for file in checkpoint.files if file not in old)
            if len(left) + len(old) != len(checkpoint.files):
                raise UnavailableError(f"Another process has rewritten files of {self} meanwhile.", "Run it again.")
            return replace(checkpoint, files=(*left, new), gone={**checkpoint.gone, **gone})

        self._commit(swapped)

    def _chains(self) -> tuple[Checkpoint, list[LakeFile]]:
        """The newest checkpoint, and the files that go on from it."""
        with store_errors(str(self)):
            while True:
                checkpoint = self._newest()
                tail = checkpoint.tail(self._listed())
                if self._newest().number == checkpoint.number:  # else entries may have been removed in between
                    return checkpoint, tail

    def _listed(self) -> dict[str, LakeFile]:
        """Every entry that is there, by its key; what one says is asked for once."""
        keys = self._keys(ENTRIES)
        new = [key for key in keys if key not in self._entries]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = dict(zip(new, pool.map(self._content, new), strict=True))
        said = {key: from_entry(content, self._folder) for key, content in found.items() if content is not None}
        self._entries = {key: file for key, file in {**self._entries, **said}.items() if key in set(keys)}
        return self._entries

    def _fold(self) -> int:
        """Where entries are many, fold them into the next checkpoint, and remove what a checkpoint holds; how many there were."""
        checkpoint, tail = self._chains()
        if len(self._entries) < _FOLD_AT:
            return len(self._entries)
        entries = dict(self._entries)
        with store_errors(str(self)):
            self._follow(checkpoint.followed_by(tail))
            newest = self._newest()
        passed = [key for key in entries if newest.passed(key)]
        counted = set(newest.files)
        late = [object_name(entries[key]) for key in passed if entries[key] not in counted]
        self._delete([*passed, *(name for name in late if name not in newest.gone)])
        return len(entries)

    def _commit(self, change: Callable[[Checkpoint], Checkpoint]) -> None:
        """Change the checkpoint, with what goes on from it folded in, until nobody else was faster."""
        while True:
            checkpoint, tail = self._chains()
            with store_errors(str(self)):
                if self._follow(change(checkpoint.followed_by(tail))):
                    return

    def _follow(self, checkpoint: Checkpoint) -> bool:
        """Store a changed checkpoint as the one that follows; whether nobody else did. Older ones are removed."""
        number = checkpoint.number + 1
        if not self._create(checkpoint_key(number), to_parquet(checkpoint)):
            return False
        newest = self._newest().number
        if newest > number + _KEPT:  # this number may have been taken, and removed, long ago
            return False
        old = [key for key in self._keys(CHECKPOINTS) if number_of(key) < newest - _KEPT]
        self._delete(old)
        return True

    def _newest(self) -> Checkpoint:
        while number := max(map(number_of, self._keys(CHECKPOINTS)), default=0):
            if number == self._checkpoint.number:
                return self._checkpoint
            content = self._content(checkpoint_key(number))
            if content is not None:  # else others were written meanwhile
                self._checkpoint = from_parquet(number, content, self._folder)
        return Checkpoint()

    def _create(self, key: str, content: bytes) -> bool:
        """Whether a name could be made. Where an answer was lost, it is asked for again, and finds its own content: obstore
        itself repeats only what it knows to be harmless.
        """
        while True:
            try:
                for attempt in stamina.retry_context(on=GenericError, attempts=_TRIES, timeout=None):
                    with attempt:
                        obstore.put(self._store, key, content, mode="create")
                return True
            except AlreadyExistsError:
                there = self._content(key)
                if there is not None:
                    return there == content

    def _content(self, key: str) -> bytes | None:
        """What an object says; None where it is gone."""
        try:
            return bytes(obstore.get(self._store, key).bytes())
        except (NotFoundError, FileNotFoundError):
            return None

    def _keys(self, prefix: str) -> list[str]:
        return [one["path"] for page in obstore.list(self._store, prefix) for one in page]

    def _tail(self, file: LakeFile, length: int) -> bytes:
        with store_errors(str(self)):
            start = max(0, file.size - length)
            return bytes(obstore.get_range(self._store, object_name(file), start=start, end=file.size))

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
        checkpoint, tail = self._chains()
        counted = {object_name(file) for file in (*checkpoint.files, *tail)} | checkpoint.gone.keys()
        strays = [one["path"] for one in found if one["path"] not in counted and one["last_modified"] <= due]
        self._delete(strays)
        return len(strays)

    def _new(self, written: Path, topic: str, partition: int, first: int, last: int, day: date) -> LakeFile:
        path = self._folder / name_of(topic, partition, first, last, day, f".{token_hex(8)}")
        return LakeFile(topic, partition, first, last, day, path, written.stat().st_size)

    @contextmanager
    def _ready(self) -> Iterator[Path]:
        """A local file to write what is put then."""
        with storage_errors(self._folder):
            folder = self._folder / "ready"
            folder.mkdir(parents=True, exist_ok=True)
            written = folder / f"{token_hex(8)}.parquet"
            try:
                yield written
            finally:
                written.unlink(missing_ok=True)
