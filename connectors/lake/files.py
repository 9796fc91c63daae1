"""The lake in a folder: Parquet files named by the log offsets they hold.

`received=2026-11-24/xapi.statements-0-00000000000000000000-00000000000000009999.parquet` holds what topic xapi.statements,
partition 0, offsets 0 to 9999 became. The names are the checkpoint of landing: they never overlap but for the moment in
which a compacted file stands beside those it replaces, and then the wider one counts.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import date
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryFile

import pyarrow as pa
import pyarrow.parquet as pq

from connectors.lake import (
    COMPACT_BELOW,
    FROM_THE_START,
    Lake,
    LakeFile,
    Since,
    State,
    claims,
    name_of,
    not_before,
)
from connectors.lake.compaction import merge, neighbours
from connectors.storage import storage_errors
from schemas.lake import STATEMENTS

_NAME = re.compile(r"(?P<topic>.+)-(?P<partition>\d+)-(?P<first>\d{20})-(?P<last>\d{20})\.parquet")
_TEMPORARY = ".tmp"
_STATE = "state.json"


class FileLake(Lake):
    """A lake in a folder of a file system that has locks and hard links."""

    def __str__(self) -> str:
        return str(self.folder)

    def published(self, since: Since = FROM_THE_START) -> list[LakeFile]:
        """The files that count, in log order: those inside the range of a wider (compacted) one are left out."""
        found = sorted(self._all_files(), key=lambda file: (file.topic, file.partition, file.first, -file.last))
        visible: list[LakeFile] = []
        for file in found:
            before = visible[-1] if visible else None
            if before and (before.topic, before.partition) == (file.topic, file.partition) and file.last <= before.last:
                continue
            visible.append(file)
        return not_before(since, visible)

    def publish(
        self, table: pa.Table, topic: str, partition: int, first: int, last: int, day: date, follows: int | None = None
    ) -> LakeFile:
        """Temporary name, fsync, claim, rename, fsync of the folder."""
        path = self.folder / name_of(topic, partition, first, last, day)
        with storage_errors(self.folder), _temporary(path) as temporary:
            pq.write_table(table, temporary, compression="zstd")
            _durable(temporary)
            size = temporary.stat().st_size
            place = first if follows is None else follows
            claims.claim(self.folder, topic, partition, place, temporary, path)
            with suppress(FileNotFoundError):  # whoever lands next has finished it
                temporary.rename(path)
            claims.sync(path.parent)
        return LakeFile(topic, partition, first, last, day, path, size)

    def finish(self, topic: str, partition: int, follows: int) -> bool:
        return claims.finish(self.folder, topic, partition, follows)

    def local(self, file: LakeFile) -> Path:
        return file.path

    def address(self, file: LakeFile) -> str:
        return str(file.path)

    @contextmanager
    def opened(self, file: LakeFile) -> Iterator[pq.ParquetFile]:
        with self.damage(file), pq.ParquetFile(file.path) as parquet:
            yield parquet

    @contextmanager
    def replacing(self, file: LakeFile) -> Iterator[pq.ParquetWriter]:
        """It takes its place in a moment in which nobody reads."""
        with storage_errors(self.folder), _temporary(file.path) as temporary:
            with pq.ParquetWriter(temporary, STATEMENTS, compression="zstd") as writer:
                yield writer
            with self.nobody_reading(wait=True):
                _rename(temporary, file.path)

    def state(self) -> State:
        path = self.folder / _STATE
        with storage_errors(path):
            return State(**json.loads(path.read_text())) if path.exists() else State()

    def note_state(self, now: State) -> None:
        path = self.folder / _STATE
        with storage_errors(self.folder), _temporary(path) as temporary:
            temporary.write_text(json.dumps(asdict(now)))
            _rename(temporary, path)

    def check(self) -> None:
        with storage_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=self.folder):
                pass

    def sweep(self, at_once: bool = False) -> int:
        """Claimed files are published; temporary ones, and those that a compacted one replaced, removed."""
        with storage_errors(self.folder):
            claims.clear(self.folder)
            keep = {file.path for file in self.published()}
            leftovers = [*self.folder.glob(f"received=*/*{_TEMPORARY}"), *self.folder.glob(f"*{_TEMPORARY}")]
            leftovers += [file.path for file in self._all_files() if file.path not in keep]
            return self._remove(leftovers, at_once) if leftovers else 0

    def compact(self, below: int = COMPACT_BELOW) -> tuple[int, int]:
        """A reader sees the old files or the new one, never both: the new name's range covers theirs (`published`)."""
        merged = created = 0
        for group in neighbours(self.published(), below):
            one = group[0]
            target = self.folder / name_of(one.topic, one.partition, one.first, group[-1].last, one.day)
            with storage_errors(self.folder), _temporary(target) as temporary:
                merge(self, group, temporary)
                _rename(temporary, target)
            self._remove([file.path for file in group])
            merged, created = merged + len(group), created + 1
        return merged, created

    def _remove(self, paths: Iterable[Path], wait: bool = False) -> int:
        """Remove files that no longer count, how many; while somebody reads, `wait`, or leave them to the next sweep."""
        with self.nobody_reading(wait) as nobody_reads:
            removed = 0
            for path in paths if nobody_reads else ():
                path.unlink(missing_ok=True)
                removed += 1
        return removed

    def _all_files(self) -> Iterator[LakeFile]:
        for path in self.folder.glob("received=*/*.parquet"):
            if match := _NAME.fullmatch(path.name):
                day = date.fromisoformat(path.parent.name.removeprefix("received="))
                with suppress(FileNotFoundError):  # removed meanwhile, for a compacted one stands for it
                    yield LakeFile(
                        match["topic"], int(match["partition"]), int(match["first"]), int(match["last"]), day,
                        path, path.stat().st_size,
                    )  # fmt: skip


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
