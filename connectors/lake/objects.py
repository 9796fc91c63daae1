"""The lake in a bucket of an object store (S3, GCS, Azure): data objects, one chain of entries for each partition, checkpoints.

    received=2026-11-24/xapi.statements-0-…-….a1b2c3d4.parquet      data: never changed; a token tells apart who wrote it
    chain/xapi.statements-0/00000000000000010000                    the file that goes on from offset 10000
    checkpoints/00000000000000000007.parquet                        all files of the chains so far, and where each ends

An object store has no rename and no lock, but lets one only create a name (conditional put). So a file is published by the entry
that names it, put where the partition's chain ends: who comes too late gets nothing, and a data object without an entry does not
count. Entries are folded into a checkpoint, whose number one only can create; then they are removed, so that no list grows
with what has been landed. An entry before the end that the checkpoint gives is no part of the chain, whoever wrote it.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import ObjectStore

from connectors.lake import COMPACT_BELOW, Fenced, Lake, LakeFile, State, name_of, storage_errors
from connectors.lake.compaction import merge, neighbours
from connectors.lake.locks import hold
from schemas.errors import StorageError, UnavailableError
from schemas.lake import STATEMENTS

_FOLD_AT = 100  # entries
_AT_ONCE = 16  # requests
_KEPT = 2  # checkpoints beside the newest, for whoever reads one just now
_GRACE = timedelta(hours=24)  # for which a data object that was replaced is kept, for whoever reads it
_CHECKPOINT = pa.schema(
    [
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("first", pa.int64()),
        ("last", pa.int64()),
        ("day", pa.date32()),
        ("name", pa.string()),
        ("size", pa.int64()),
    ]
)
Place = tuple[str, int]  # topic, partition


@dataclass(frozen=True)
class _Checkpoint:
    """All files up to the ends of the chains; data objects that were replaced, and when."""

    number: int = 0
    files: tuple[LakeFile, ...] = ()
    ends: Mapping[Place, int] = field(default_factory=dict)
    state: State = State()
    gone: Mapping[str, str] = field(default_factory=dict)


class ObjectLake(Lake):
    """A lake under a prefix of a store; copies of data objects are kept in a folder of this machine."""

    def __init__(self, store: ObjectStore, address: str, copies: Path) -> None:
        self._store, self._address, self._copies = store, address, copies
        self._checkpoint = _Checkpoint()
        self._entries: dict[str, LakeFile] = {}

    def __str__(self) -> str:
        return self._address

    def published(self) -> list[LakeFile]:
        checkpoint, tail = self._chains()
        files = [*checkpoint.files, *tail]
        return sorted(files, key=lambda file: (file.topic, file.partition, file.first))

    def publish(
        self, table: pa.Table, topic: str, partition: int, first: int, last: int, day: date, follows: int | None = None
    ) -> LakeFile:
        path = self._copies / name_of(topic, partition, first, last, day, f".{token_hex(8)}")
        with self._made(path) as written:
            pq.write_table(table, written, compression="zstd")
        file = LakeFile(topic, partition, first, last, day, path, path.stat().st_size)
        with self._errors():
            obstore.put(self._store, self._name(file), path)
            self._enter(file, first if follows is None else follows)
            path.unlink()
        return file

    def _enter(self, file: LakeFile, follows: int) -> None:
        """Put the entry that makes a file count. Fenced where there is another."""
        key = _entry(file.topic, file.partition, follows)
        text = json.dumps({**file._asdict(), "day": file.day.isoformat(), "path": self._name(file)}).encode()
        try:
            obstore.put(self._store, key, text, mode="create")
        except AlreadyExistsError:
            # An answer that was lost and asked for again finds its own entry.
            if bytes(obstore.get(self._store, key).bytes()) != text:
                obstore.delete(self._store, self._name(file))
                raise Fenced(f"{file.topic}-{file.partition} goes on from {follows} already") from None

    def finish(self, topic: str, partition: int, follows: int) -> bool:  # noqa: ARG002 - an entry is published as it is made
        return False

    def local(self, file: LakeFile) -> Path:
        if not file.path.exists():
            with self._errors(), self._made(file.path) as written, written.open("wb") as copy:
                for piece in obstore.get(self._store, self._name(file)).stream():
                    copy.write(piece)
        return file.path

    @contextmanager
    def replacing(self, file: LakeFile) -> Iterator[pq.ParquetWriter]:
        path = self._copies / name_of(
            file.topic, file.partition, file.first, file.last, file.day, f".{token_hex(8)}"
        )
        with self._made(path) as written, pq.ParquetWriter(written, STATEMENTS, compression="zstd") as writer:
            yield writer
        self._swap([file], path, keep=False)

    def state(self) -> State:
        return self._chains()[0].state

    def note_state(self, now: State) -> None:
        self._commit(lambda checkpoint: replace(checkpoint, state=now))

    def sweep(self) -> int:
        """Remove data objects that were replaced longer ago than anybody reads them, and copies that nothing stands for."""
        due = (datetime.now(UTC) - _GRACE).isoformat()
        checkpoint, _ = self._chains()
        old = [name for name, since in checkpoint.gone.items() if since < due]
        if old:
            with self._errors():
                obstore.delete(self._store, old)
            self._commit(
                lambda now: replace(now, gone={name: since for name, since in now.gone.items() if name not in old})
            )
        keep = {file.path for file in self.published()}
        copies = [path for path in self._copies.glob("received=*/*") if path not in keep]
        for path in copies:
            path.unlink(missing_ok=True)
        return len(old) + len(copies)

    def compact(self, below: int = COMPACT_BELOW) -> tuple[int, int]:
        merged = created = 0
        for group in neighbours(self.published(), below):
            one = group[0]
            path = self._copies / name_of(
                one.topic, one.partition, one.first, group[-1].last, one.day, f".{token_hex(8)}"
            )
            with self._made(path) as written:
                merge(self, group, written)
            self._swap(group, path, keep=True)
            merged, created = merged + len(group), created + 1
        return merged, created

    @contextmanager
    def locked(self) -> Iterator[None]:
        with self.tried() as alone:
            if not alone:
                raise UnavailableError(
                    f"Another process is landing into {self}.",
                    "Wait for it, or stop it. Several land at once as members of a group: land.group.",
                )
            yield

    @contextmanager
    def tried(self) -> Iterator[bool]:
        """Among the processes of this machine; between machines checkpoints decide."""
        with hold(self._copies, ".lock", fcntl.LOCK_EX) as alone:
            yield alone

    @contextmanager
    def shared(self) -> Iterator[None]:
        with hold(self._copies, ".lock", fcntl.LOCK_SH, wait=True):
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """What is replaced is kept for longer than anybody reads."""
        yield

    def _swap(self, files: Sequence[LakeFile], path: Path, keep: bool) -> None:
        """Let one new file stand for others, whose objects are kept for a while, or not."""
        one = files[0]
        new = LakeFile(one.topic, one.partition, one.first, files[-1].last, one.day, path, path.stat().st_size)
        with self._errors():
            obstore.put(self._store, self._name(new), path)
        old, now = {file.path for file in files}, datetime.now(UTC).isoformat()

        def swapped(checkpoint: _Checkpoint) -> _Checkpoint:
            left = tuple(file for file in checkpoint.files if file.path not in old)
            if len(left) + len(old) != len(checkpoint.files):
                raise UnavailableError(f"Another process has rewritten {self} meanwhile.", "Run it again.")
            gone = {**checkpoint.gone, **({self._name(file): now for file in files} if keep else {})}
            return replace(checkpoint, files=(*left, new), gone=gone)

        self._commit(swapped)
        if not keep:
            with self._errors():
                obstore.delete(self._store, [self._name(file) for file in files])
            for file in files:
                file.path.unlink(missing_ok=True)

    def _chains(self) -> tuple[_Checkpoint, list[LakeFile]]:
        """The newest checkpoint, and the files that follow it; folds them into the next where they are many."""
        with self._errors():
            while True:
                number = self._newest()
                checkpoint = self._read(number)
                entries = self._listed()
                if self._newest() == number:  # else entries may have been folded, and removed, in between
                    break
        tail: list[LakeFile] = []
        for place in sorted({*checkpoint.ends, *((file.topic, file.partition) for file in entries.values())}):
            follows = checkpoint.ends.get(place, 0)
            while file := entries.get(_entry(*place, follows)):
                tail.append(file)
                follows = file.last + 1
        if len(entries) >= _FOLD_AT:
            self._fold(checkpoint, tail, list(entries))
        return checkpoint, tail

    def _listed(self) -> dict[str, LakeFile]:
        """Every entry that is there, by its key; what one says is asked for once."""
        keys = [one["path"] for page in obstore.list(self._store, "chain/") for one in page]
        new = [key for key in keys if key not in self._entries]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for key, text in zip(new, pool.map(self._text, new), strict=True):
                if text is not None:
                    self._entries[key] = self._said(json.loads(text))
        self._entries = {key: self._entries[key] for key in keys if key in self._entries}
        return dict(self._entries)

    def _text(self, key: str) -> bytes | None:
        try:
            return bytes(obstore.get(self._store, key).bytes())
        except (NotFoundError, FileNotFoundError):
            return None  # folded meanwhile

    def _said(self, told: Mapping[str, Any]) -> LakeFile:
        path = self._copies / told["path"]
        return LakeFile(
            told["topic"], told["partition"], told["first"], told["last"], date.fromisoformat(told["day"]), path, told["size"]
        )  # fmt: skip

    def _fold(self, checkpoint: _Checkpoint, tail: Sequence[LakeFile], entries: Sequence[str]) -> None:
        """Write the next checkpoint; where another process did, its entries go as well."""
        self._create(self._with(checkpoint, tail))
        with self._errors():
            done = self._read(self._newest())
            folded = [key for key in entries if _follows(key) < done.ends.get(_place(key), 0)]
            counted = {self._name(file) for file in done.files} | done.gone.keys()
            named = {self._name(self._entries[key]) for key in folded}
            obstore.delete(self._store, [*folded, *(named - counted)])  # of who came too late, the data too

    def _with(self, checkpoint: _Checkpoint, tail: Sequence[LakeFile]) -> _Checkpoint:
        ends = dict(checkpoint.ends)
        for file in tail:
            ends[file.topic, file.partition] = file.last + 1
        return replace(checkpoint, files=(*checkpoint.files, *tail), ends=ends)

    def _commit(self, change: Any) -> None:
        """Change the checkpoint, with what follows it folded in, until nobody else was faster."""
        while True:
            checkpoint, tail = self._chains()
            if self._create(change(self._with(checkpoint, tail))):
                return

    def _create(self, checkpoint: _Checkpoint) -> bool:
        """Whether the checkpoint after the one that this was made from could be created; older ones are removed."""
        number = checkpoint.number + 1
        about = {
            "ends": [[topic, partition, end] for (topic, partition), end in checkpoint.ends.items()],
            "state": asdict(checkpoint.state),
            "gone": dict(checkpoint.gone),
            "token": token_hex(8),
        }
        rows = [{**file._asdict(), "name": self._name(file)} for file in checkpoint.files]
        table = pa.Table.from_pylist(rows, _CHECKPOINT).replace_schema_metadata({"lake": json.dumps(about)})
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        written = sink.getvalue().to_pybytes()
        with self._errors():
            try:
                obstore.put(self._store, _checkpoint(number), written, mode="create")
            except AlreadyExistsError:
                if bytes(obstore.get(self._store, _checkpoint(number)).bytes()) != written:
                    return False
            old = [one["path"] for page in obstore.list(self._store, "checkpoints/") for one in page]
            obstore.delete(self._store, [key for key in old if _number(key) < number - _KEPT])
        return True

    def _newest(self) -> int:
        keys = [one["path"] for page in obstore.list(self._store, "checkpoints/") for one in page]
        return max(map(_number, keys), default=0)

    def _read(self, number: int) -> _Checkpoint:
        if number == 0:
            return _Checkpoint()
        if self._checkpoint.number != number:
            content = obstore.get(self._store, _checkpoint(number)).bytes()
            table = pq.read_table(pa.BufferReader(bytes(content)))
            about = json.loads(table.schema.metadata[b"lake"])
            files = tuple(
                LakeFile(one["topic"], one["partition"], one["first"], one["last"], one["day"], self._copies / one["name"],
                         one["size"])
                for one in table.to_pylist()
            )  # fmt: skip
            ends = {(topic, partition): end for topic, partition, end in about["ends"]}
            self._checkpoint = _Checkpoint(number, files, ends, State(**about["state"]), about["gone"])
        return self._checkpoint

    def _name(self, file: LakeFile) -> str:
        return file.path.relative_to(self._copies).as_posix()

    @contextmanager
    def _made(self, path: Path) -> Iterator[Path]:
        """A local file that has its name once it is whole."""
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f"{path.name}.{os.getpid()}.{token_hex(4)}.tmp")
            try:
                yield temporary
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """StorageError for an object that is gone, UnavailableError for a store that does not answer or refuses."""
        try:
            yield
        except (NotFoundError, FileNotFoundError) as error:
            raise StorageError(f"{self}: an object is gone: {error}", "Restore it, or run the command again.") from error
        except BaseError as error:
            raise UnavailableError(
                f"{self} does not answer: {str(error).splitlines()[0]}", "Check the store, its credentials and lake_options."
            ) from error


def _entry(topic: str, partition: int, follows: int) -> str:
    return f"chain/{topic}-{partition}/{follows:020d}"


def _follows(key: str) -> int:
    return int(key.rpartition("/")[2])


def _place(key: str) -> Place:
    topic, _, partition = key.split("/")[1].rpartition("-")
    return topic, int(partition)


def _checkpoint(number: int) -> str:
    return f"checkpoints/{number:020d}.parquet"


def _number(key: str) -> int:
    return int(key.removeprefix("checkpoints/").removesuffix(".parquet"))
