"""Who was erased: digests that know them again when more of them arrives, and how much was dropped since. One SQLite file."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from connectors.storage import storage_errors
from schemas.records import STATEMENTS, Record
from transforms.identity import Identities

_SETUP = """
create table if not exists erased (digest text primary key, erased_at text);
create table if not exists dropped (day text, source text, statements integer, primary key (day, source));
"""


class Erased:
    """The file. Many threads may ask; what another process writes is seen at the next `renew`."""

    def __init__(self, path: Path, identities: Callable[[], Identities]) -> None:
        self._path, self._identities_now = path, identities
        self._identities: Identities | None = None  # as of the newest `renew` that found something new
        self._lock = Lock()
        self._seen: tuple[int, int] | None = None
        self._digests: frozenset[str] = frozenset()
        self._known: dict[str, bool] = {}
        self.renew()

    def renew(self) -> bool:
        """See what was written since; whether anybody was ever erased."""
        with self._lock:
            try:
                status = self._path.stat()
            except FileNotFoundError:
                self._seen, self._digests = None, frozenset()
            else:
                if self._seen != (status.st_mtime_ns, status.st_size):
                    with self._opened() as connection:
                        rows = connection.execute("select digest from erased").fetchall()
                    self._digests, self._known = frozenset(digest for (digest,) in rows), {}
                    self._identities = self._identities_now()
                    self._seen = (status.st_mtime_ns, status.st_size)
            return bool(self._digests)

    def holds(self, account: str) -> bool:
        """Whether an account is of someone who was erased."""
        if not self._digests:
            return False
        known = self._known.get(account)
        if known is None:
            if len(self._known) > 100_000:
                self._known = {}
            identities = self._identities or self._identities_now()
            known = self._known[account] = not self._digests.isdisjoint(identities.erasure_digests(account))
        return known

    def door(self, topic: str, records: Iterable[Record]) -> Iterable[Record]:
        """The records that may enter the event log: no statements of someone who was erased. Those are counted."""
        if topic != STATEMENTS or not self.renew():
            return records
        return self._passing(records)

    def _passing(self, records: Iterable[Record]) -> Iterator[Record]:
        dropped = Counter[str]()
        for record in records:
            if record.key is not None and self.holds(record.key):
                dropped[record.headers.get("source", "")] += 1
            else:
                yield record
        for source, statements in dropped.items():
            self.count(source, statements)

    def note(self, accounts: Iterable[str]) -> None:
        """Know these accounts again from now on."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        identities = self._identities_now()
        digests = {digest for account in accounts for digest in identities.erasure_digests(account)}
        with self._opened() as connection:
            connection.executemany("insert or ignore into erased values (?, ?)", [(one, now) for one in digests])
        self.renew()

    def digest_of(self, account: str) -> str:
        """What stands for an account's person where nothing may name them."""
        return self._identities_now().erasure_digests(account)[0]

    def admit(self, account: str) -> bool:
        """Let someone come in again who was erased; whether they were."""
        with self._opened() as connection:
            done = connection.executemany(
                "delete from erased where digest = ?",
                [(one,) for one in self._identities_now().erasure_digests(account)],
            )
            found = done.rowcount > 0
        self.renew()
        return found

    def take_over(self, other: Path) -> None:
        """Know again whoever another such file knows."""
        with storage_errors(other), closing(sqlite3.connect(f"file:{other}?mode=ro", uri=True)) as connection:
            rows = connection.execute("select digest, erased_at from erased").fetchall()
        with self._opened() as mine:
            mine.executemany("insert or ignore into erased values (?, ?)", rows)
        self.renew()

    def count(self, source: str, statements: int) -> None:
        """Count statements that were dropped because their actor was erased."""
        day = datetime.now(UTC).date().isoformat()
        with self._opened() as connection:
            connection.execute(
                "insert into dropped values (?, ?, ?) "
                "on conflict do update set statements = statements + excluded.statements",
                (day, source, statements),
            )

    def dropped(self) -> int:
        """How many statements were dropped so far."""
        if not self._path.exists():
            return 0
        with self._opened() as connection:
            return int(connection.execute("select coalesce(sum(statements), 0) from dropped").fetchone()[0])

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with storage_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._path, timeout=30)) as connection, connection:
                connection.executescript(_SETUP)
                yield connection
