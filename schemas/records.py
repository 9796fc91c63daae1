"""What the event log carries: records with a key, bytes and headers, and the topics they stand in."""

from dataclasses import dataclass, field
from typing import NamedTuple

STATEMENTS = "xapi.statements"
REJECTED = "xapi.rejected"
LEVELS = "competency.levels"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as Kafka has it; a compacted topic keeps at least the newest record of each key."""

    name: str
    partitions: int = 6
    replication_factor: int = 1
    compacted: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """A record to append. Records with one key keep their order; a value of None is a tombstone."""

    key: str | None
    value: bytes | None
    headers: dict[str, str] = field(default_factory=dict)


class StoredRecord(NamedTuple):
    """A record as it stands in the log: its place (topic, partition, offset) and when it was appended (ms, UTC)."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: str | None
    value: bytes | None
    headers: dict[str, str]

    @property
    def place(self) -> str:
        return f"{self.topic}-{self.partition}@{self.offset}"
