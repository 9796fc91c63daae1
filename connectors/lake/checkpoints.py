"""What a lake in an object store keeps beside its data: entries, one for each file that goes on from an offset, and checkpoints.

chain/xapi.statements-0/00000000000000010000       an entry (JSON): the file of partition 0 that goes on from offset 10000
checkpoints/00000000000000000007.parquet           the files of all entries so far, and where the chain of each partition ends
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from secrets import token_hex

import pyarrow as pa
import pyarrow.compute as pc
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
    """All files up to the `ends` of the chains, a row each; `gone` are data objects that were replaced, and when."""

    number: int = 0
    rows: pa.Table = field(default_factory=_SCHEMA.empty_table)
    ends: Mapping[Place, int] = field(default_factory=dict)
    state: State = _UNKNOWN
    gone: Mapping[str, str] = field(default_factory=dict)

    def files(self, folder: Path, since: Mapping[Place, int]) -> list[LakeFile]:
        """Its files, whose copies would stand in a folder; of the places that `since` names, those with offsets from there on."""
        rows = self.rows
        if since:
            places = pc.binary_join_element_wise(rows["topic"], rows["partition"].cast(pa.string()), "/")
            asked = pc.index_in(places, value_set=pa.array([f"{topic}/{partition}" for topic, partition in since]))
            first = pc.fill_null(pc.take(pa.array(since.values(), pa.int64()), asked), 0)
            rows = rows.filter(pc.greater_equal(rows["last"], first))
        *columns, names, sizes = (column.to_pylist() for column in rows.columns)
        return list(map(LakeFile, *columns, (folder / name.removeprefix(DATA) for name in names), sizes))

    def held(self, names: Sequence[str]) -> set[str]:
        """Those of some data objects that count, or did and are kept for a while."""
        counting = pc.is_in(pa.array(names, pa.string()), value_set=self.rows["name"].combine_chunks())
        return {name for name, counts in zip(names, counting.to_pylist(), strict=True) if counts or name in self.gone}

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
        tail = list(tail)
        ends = {**self.ends, **{(file.topic, file.partition): file.last + 1 for file in tail}}
        return replace(self, rows=pa.concat_tables([self.rows, _rows(tail)]), ends=ends)

    def with_instead(self, new: LakeFile, old: Iterable[LakeFile]) -> "Checkpoint | None":
        """The same with one file in the place of others; None where it does not have them all."""
        names = pa.array([object_name(file) for file in old])
        left = self.rows.filter(pc.invert(pc.is_in(self.rows["name"], value_set=names)))
        if left.num_rows + len(names) != self.rows.num_rows:
            return None
        return replace(self, rows=pa.concat_tables([left, _rows([new])]))

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
    sink = pa.BufferOutputStream()
    table = checkpoint.rows.replace_schema_metadata({"lake": json.dumps(about)})
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())


def from_parquet(number: int, content: bytes) -> Checkpoint:
    """A checkpoint from what is stored."""
    table = pq.read_table(pa.BufferReader(content))
    about = json.loads(table.schema.metadata[b"lake"])
    ends = {(topic, partition): end for topic, partition, end in about["ends"]}
    rows = table.replace_schema_metadata(None)
    return Checkpoint(number, rows, ends, State(**about["state"]), about["gone"])


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


def _rows(files: Sequence[LakeFile]) -> pa.Table:
    return pa.Table.from_pylist([{**file._asdict(), "name": object_name(file)} for file in files], _SCHEMA)


def _follows(key: str) -> int:
    return int(key.rpartition("/")[2])


def _place(key: str) -> Place:
    topic, _, partition = key.removeprefix(ENTRIES).partition("/")[0].rpartition("-")
    return topic, int(partition)
