"""The event log in one SQLite file (WAL): for a laptop, for tests, for several processes on one machine."""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from kafka.partitioner import murmur2

from connectors.event_log import Door, Membership, Offsets, open_door
from connectors.sqlite_files import settle
from schemas.errors import ProficioError, StorageError, UnavailableError
from schemas.records import Record, StoredRecord, Topic

# A record's rowid is its partition's number, shifted, plus its offset: one b-tree, read in order without an index.
_SHIFT = 40
_SCHEMA = """
create table if not exists partitions (
    number integer primary key, topic text not null, partition integer not null, compacted integer not null,
    next_offset integer not null default 0, unique (topic, partition)
);
create table if not exists records (
    id integer primary key, timestamp integer not null, key text, value blob, headers text
);
create table if not exists newest (
    number integer not null, key text not null, id integer not null, primary key (number, key)
) without rowid;
"""
_READ_AHEAD = 256  # records; each may be a megabyte


class SqliteEventLog:
    """See `EventLog`. One append is one transaction: after a crash all of its records are there, or none."""

    singly = True

    def __init__(self, path: Path, busy_seconds: float = 60.0, door: Door = open_door) -> None:
        self.path = path
        self._door = door
        self._appended = 0
        with self._errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                path, timeout=busy_seconds, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("pragma journal_mode = wal")
            self._connection.execute("pragma synchronous = full")
            self._connection.executescript(_SCHEMA)

    def create(self, topics: Iterable[Topic]) -> list[str]:
        """Create the topics that are not there yet; their names."""
        created = []
        with self._errors(), self._transaction():
            known = {name for (name,) in self._connection.execute("select distinct topic from partitions")}
            for topic in topics:
                if topic.name not in known:
                    created.append(topic.name)
                    self._connection.executemany(
                        "insert into partitions (topic, partition, compacted) values (?, ?, ?)",
                        [(topic.name, partition, topic.compacted) for partition in range(topic.partitions)],
                    )
        return created

    def append(self, topic: str, records: Iterable[Record]) -> int:
        """Append records in one durable transaction; how many they were."""
        now = time.time_ns() // 1_000_000
        with self._errors(), self._transaction():
            partitions = self._partitions(topic)
            ends = {partition: end for partition, (_, _, end) in partitions.items()}
            rows, superseded = [], []
            for record in self._door(topic, records):
                partition = self._partition_for(record.key, len(partitions))
                number, compacted, _ = partitions[partition]
                row = number << _SHIFT | ends[partition]
                if compacted and record.key is not None:
                    superseded += self._supersede(number, record.key, row)
                headers = json.dumps(record.headers) if record.headers else None
                rows.append((row, now, record.key, record.value, headers))
                ends[partition] += 1
                self._appended += 1
            self._connection.executemany("insert into records values (?, ?, ?, ?, ?)", rows)
            self._connection.executemany("delete from records where id = ?", superseded)
            self._connection.executemany(
                "update partitions set next_offset = ? where number = ?",
                [
                    (ends[partition], number)
                    for partition, (number, _, end) in partitions.items()
                    if ends[partition] > end
                ],
            )
            return sum(ends[partition] - end for partition, (_, _, end) in partitions.items())

    def offsets(self, topic: str) -> dict[int, Offsets]:
        """For each partition of a topic, the offsets that can be read now."""
        with self._errors():
            return {partition: Offsets(0, end) for partition, (_, _, end) in self._partitions(topic).items()}

    def read(self, topic: str, partition: int, begin: int, end: int) -> Iterator[StoredRecord]:
        """The records at offsets begin ≤ offset < end, in order."""
        with self._errors():
            number, _, _ = self._partitions(topic)[partition]
        base = number << _SHIFT
        position = base | begin
        while True:
            with self._errors():
                rows = self._connection.execute(
                    "select id, timestamp, key, value, headers from records where id >= ? and id < ? order by id limit ?",
                    (position, base | end, _READ_AHEAD),
                ).fetchall()
            for row, timestamp, key, value, headers in rows:
                yield StoredRecord(topic, partition, row - base, timestamp, key, value, _headers(headers))
            if len(rows) < _READ_AHEAD:
                return
            position = rows[-1][0] + 1

    @contextmanager
    def member(self, topic: str, group: str, session_seconds: float) -> Iterator[Membership]:  # noqa: ARG002
        """Every partition is every member's: one machine gains nothing by sharing them."""
        with self._errors():
            everything = frozenset(self._partitions(topic))
        yield lambda: everything

    def forget(self, topic: str, records: Iterable[StoredRecord]) -> None:
        """Take records out of the file, which is written anew: pages keep copies of what moved from one to another."""
        doomed = list(records)
        if not doomed:
            return
        with self._errors():
            with self._transaction():
                partitions = self._partitions(topic)
                rows = [(partitions[one.partition][0] << _SHIFT | one.offset,) for one in doomed]
                self._connection.executemany("delete from records where id = ?", rows)
                self._connection.executemany("delete from newest where id = ?", rows)
            self._connection.execute("vacuum")
            settle(self._connection)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _partitions(self, topic: str) -> dict[int, tuple[int, bool, int]]:
        rows = self._connection.execute(
            "select partition, number, compacted, next_offset from partitions where topic = ?", (topic,)
        ).fetchall()
        if not rows:
            raise UnavailableError(f"Topic {topic} does not exist in {self.path}.", "Create it: proficio init.")
        return {partition: (number, bool(compacted), end) for partition, number, compacted, end in rows}

    def _partition_for(self, key: str | None, count: int) -> int:
        if key is None:
            return self._appended % count
        return int(murmur2(key.encode()) & 0x7FFFFFFF) % count

    def _supersede(self, number: int, key: str, row: int) -> list[tuple[int]]:
        """Note the newest record of a key in a compacted partition; the rowid of the one before, if any."""
        before = self._connection.execute(
            "select id from newest where number = ? and key = ?", (number, key)
        ).fetchall()
        self._connection.execute("insert or replace into newest values (?, ?, ?)", (number, key, row))
        return before

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("begin immediate")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("rollback")
            raise
        self._connection.execute("commit")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except ProficioError:
            raise
        except (sqlite3.Error, OSError) as error:
            text = str(error)
            if "locked" in text:
                raise UnavailableError(
                    f"The event log {self.path} is busy: {text}.", "Another process holds it; try again."
                ) from error
            raise StorageError(
                f"The event log {self.path} cannot be used: {text}.",
                "Check that its disk has room, that the folder is writable and that the file is a SQLite database.",
            ) from error


@lru_cache(maxsize=1024)
def _headers(text: str | None) -> dict[str, str]:
    """Headers repeat from record to record; nobody changes what was read."""
    headers: dict[str, str] = json.loads(text) if text else {}
    return headers
