"""What a lake in an object store keeps beside its data: entries, one for each file that goes on from an offset, and checkpoints.

chain/xapi.statements-0/00000000000000010000       an entry (JSON): the file of partition 0 that goes on from offset 10000
checkpoints/00000000000000000007.parquet           the files of all entries so far, and where the chain of each partition ends
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from secrets import token_hex

import pyarrow as pa
import pyarrow.parquet as pq

from connectors.lake import LakeFile, State

ENTRIES = "chain/"
CHECKPOINTS = "checkpoints/"
DATA = "data/"
Place = tuple[str, int]  # topic, partition
_UNKNOWN = State()
_SCHEMA = pa.schema(
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


@dataclass(frozen=True)
class Checkpoint:
    """All files up to the `ends` of the chains; `gone` are data objects that were replaced, and when."""

    number: int = 0
    files: tuple[LakeFile, ...] = ()
    ends: Mapping[Place, int] = field(default_factory=dict)
    state: State = _UNKNOWN
    gone: Mapping[str, str] = field(default_factory=dict)

    def tail(self, entries: Mapping[str, LakeFile]) -> list[LakeFile]:
        """What of the entries, by their keys, goes on from this checkpoint. One before its ends is no part of a chain."""
        tail: list[LakeFile] = []
        for place in sorted({*self.ends, *((file.topic, file.partition) for file in entries.values())}):
            follows = self.ends.get(place, 0)
            while file := entries.get(entry_key(*place, follows)):
                tail.append(file)
                follows = file.last + 1
        return tail

    def followed_by(self, tail: Iterable[LakeFile]) -> "Checkpoint":
        """The same with the files of a tail."""
        tail = tuple(tail)
        ends = {**self.ends, **{(file.topic, file.partition): file.last + 1 for file in tail}}
        return replace(self, files=(*self.files, *tail), ends=ends)

    def passed(self, key: str) -> bool:
        """Whether an entry, by its key, stands before the end of its chain: it is folded in, or came too late."""
        return _follows(key) < self.ends.get(_place(key), 0)


def to_parquet(checkpoint: Checkpoint) -> bytes:
    """A checkpoint as it is stored; a token tells it from what another writes at the same time."""
    about = {
        "ends": [[topic, partition, end] for (topic, partition), end in checkpoint.ends.items()],
        "state": asdict(checkpoint.state),
        "gone": dict(checkpoint.gone),
        "token": token_hex(8),
    }
    rows = [{**file._asdict(), "name": object_name(file)} for file in checkpoint.files]
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pylist(rows, _SCHEMA).replace_schema_metadata({"lake": json.dumps(about)})
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())


def from_parquet(number: int, content: bytes, folder: Path) -> Checkpoint:
    """A checkpoint from what is stored; copies of its files would stand in a folder."""
    table = pq.read_table(pa.BufferReader(content))
    about = json.loads(table.schema.metadata[b"lake"])
    ends = {(topic, partition): end for topic, partition, end in about["ends"]}
    *columns, names, sizes = (column.to_pylist() for column in table.columns)
    files = tuple(map(LakeFile, *columns, (folder / name.removeprefix(DATA) for name in names), sizes))
    return Checkpoint(number, files, ends, State(**about["state"]), about["gone"])


def to_entry(file: LakeFile) -> bytes:
    """An entry as it is stored."""
    return json.dumps({**file._asdict(), "day": file.day.isoformat(), "path": object_name(file)}).encode()


def from_entry(content: bytes, folder: Path) -> LakeFile:
    """The file that an entry names; a copy would stand in a folder."""
    told = json.loads(content)
    return LakeFile(
        **{**told, "day": date.fromisoformat(told["day"]), "path": folder / told["path"].removeprefix(DATA)}
    )


def object_name(file: LakeFile) -> str:
    """The name of a data object."""
    return DATA + "/".join(file.path.parts[-2:])


def entry_key(topic: str, partition: int, follows: int) -> str:
    """The key of the entry that goes on from offset `follows`."""
    return f"{ENTRIES}{topic}-{partition}/{follows:020d}"


def checkpoint_key(number: int) -> str:
    """The key of a checkpoint."""
    return f"{CHECKPOINTS}{number:020d}.parquet"


def number_of(key: str) -> int:
    """The number of a checkpoint, by its key."""
    return int(key.removeprefix(CHECKPOINTS).removesuffix(".parquet"))


def _follows(key: str) -> int:
    return int(key.rpartition("/")[2])


def _place(key: str) -> Place:
    topic, _, partition = key.removeprefix(ENTRIES).partition("/")[0].rpartition("-")
    return topic, int(partition)
