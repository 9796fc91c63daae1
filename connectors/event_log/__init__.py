"""The event log: Kafka in production, one SQLite file on a laptop, behind one protocol."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from schemas.records import Record, StoredRecord, Topic


class Offsets(NamedTuple):
    """A partition's first offset still held and the offset that the next record will get."""

    begin: int
    end: int


Membership = Callable[[], frozenset[int]]
"""Which partitions are this member's now. Asked at least every five minutes, else the group goes on without the member."""

Door = Callable[[str, Iterable[Record]], Iterable[Record]]


def open_door(_topic: str, records: Iterable[Record]) -> Iterable[Record]:
    """Every record may be appended."""
    return records


class EventLog(Protocol):
    """Topics of partitions of records. Keys choose partitions as Kafka's default partitioner does (murmur2).

    Errors: UnavailableError when the log or a topic cannot be reached, StorageError when its disk refuses.
    """

    def create(self, topics: Iterable[Topic]) -> list[str]:
        """Create the topics that are not there yet; their names. Existing topics are left as they are."""
        ...

    def append(self, topic: str, records: Iterable[Record]) -> int:
        """Append records in order, and return how many once every one of them is durable.

        Records of one key keep their order. Interrupted, a call may have appended some of them, none twice.
        """
        ...

    def offsets(self, topic: str) -> dict[int, Offsets]:
        """For each partition of a topic, the offsets that can be read now."""
        ...

    def read(self, topic: str, partition: int, begin: int, end: int) -> Iterator[StoredRecord]:
        """The records at offsets begin ≤ offset < end, in order, in bounded memory. Compacted ones are passed over."""
        ...

    def member(self, topic: str, group: str, session_seconds: float) -> AbstractContextManager[Membership]:
        """Share a topic's partitions with the other members of a group, for as long as the context lasts.

        A member of whom nothing is heard for `session_seconds` loses its partitions to others.
        """
        ...

    singly: bool  # whether `forget` takes out the records given and no others

    def forget(self, topic: str, records: Iterable[StoredRecord]) -> None:
        """Take records out: nobody reads them any more.

        In Kafka a record goes with everything before it in its partition (DeleteRecords, KIP-107); of competency.levels,
        which is compacted, its key gets a tombstone.
        """
        ...

    def close(self) -> None:
        """Release connections."""
        ...
