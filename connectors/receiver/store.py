"""What the receiver has taken in, in one SQLite file: to give it back, and to know an id that comes again."""

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from threading import Lock

import orjson

from connectors.sqlite_files import settle
from schemas.errors import StorageError
from schemas.xapi import VOIDED, Statement
from transforms.statement_terms import terms

# `number` is the order of storing. Terms stand as 64 bits of their hash: statements are found by the join of a few.
_SCHEMA = """
create table if not exists statements (
    number integer primary key, id text not null unique, stored integer not null, client text not null,
    is_voiding integer not null, target text, voided integer not null, statement blob not null
);
create index if not exists by_stored on statements (stored);
create index if not exists by_target on statements (target) where target is not null;
create table if not exists terms (term integer not null, number integer not null, primary key (term, number)) without rowid;
create table if not exists read_to (partition integer primary key, next_offset integer not null);
"""


@dataclass(frozen=True)
class Kept:
    """A statement as it is kept: when it was stored (µs since 1970, UTC), who sent it, its JSON, whether it is voided."""

    number: int
    statement_id: str
    stored: int
    client: str
    text: bytes
    voided: bool = False


@dataclass(frozen=True)
class Search:
    """What a request asks for: terms that must all be there, stored after `since` and until `until` (µs), of one client;
    `after` is the number of the last statement of the page before.
    """

    terms: Sequence[str] = ()
    since: int | None = None
    until: int | None = None
    client: str | None = None
    ascending: bool = False
    after: int | None = None
    limit: int = 100


class StatementStore:
    """Statements by id and by search. One writer at a time; readers see what was committed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        with self._errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = self._connect()
            self._writer.execute("pragma journal_mode = wal")
            self._writer.executescript(_SCHEMA)
            self._reader = self._connect()

    def newest(self) -> int:
        """When the last statement was stored, µs since 1970; 0 before the first."""
        return int(self._rows("select coalesce(max(stored), 0) from statements")[0][0])

    def known(self, statement_ids: Iterable[str]) -> dict[str, bytes]:
        """The statements of these ids that are kept, voided or not."""
        asked = orjson.dumps(list(statement_ids)).decode()
        return dict(
            self._rows("select id, statement from statements where id in (select value from json_each(?))", [asked])
        )

    def get(self, statement_id: str) -> Kept | None:
        """One statement, voided or not."""
        rows = self._rows(f"select {_COLUMNS} from statements as s where id = ?", [statement_id])  # noqa: S608 - a constant
        return _kept(rows[0]) if rows else None

    def search(self, search: Search) -> list[Kept]:
        """Statements that are not voided, newest first unless `ascending`, one more than `limit` where there are more."""
        order, beyond = ("asc", ">") if search.ascending else ("desc", "<")
        tables, conditions = ["statements as s"], ["s.voided = 0"]
        values: list[str | int] = []
        for number, term in enumerate(search.terms):
            tables.append(f"join terms as t{number} on t{number}.number = s.number")
            conditions.append(f"t{number}.term = ?")
            values.append(_hash(term))
        for column, operator, value in (
            ("stored", ">", search.since), ("stored", "<=", search.until), ("client", "=", search.client),
            ("number", beyond, search.after),
        ):  # fmt: skip
            if value is not None:
                conditions.append(f"s.{column} {operator} ?")
                values.append(value)
        query = (
            f"select {_COLUMNS} from {' '.join(tables)} "  # noqa: S608 - only names from here
            f"where {' and '.join(conditions)} order by s.number {order} limit ?"
        )
        return [_kept(row) for row in self._rows(query, [*values, search.limit + 1])]

    def read_to(self) -> dict[int, int]:
        """For each partition of the event log, the offset up to which every statement of the receiver is here."""
        return dict(self._rows("select partition, next_offset from read_to"))

    def add(self, statements: Iterable[tuple[Statement, int, str]], read_to: Mapping[int, int] | None = None) -> None:
        """Keep statements (with the moment of storing and the client), all of them or none; an id that is known stays as it is.

        Not flushed to the disk at once: after a power cut the event log has them, and `read_to` says from where.
        """
        with self._errors(), self._lock:
            self._writer.execute("begin immediate")
            try:
                for statement, stored, client in statements:
                    self._add(statement, stored, client)
                if read_to:
                    self._writer.executemany("insert or replace into read_to values (?, ?)", list(read_to.items()))
                self._writer.execute("commit")
            except BaseException:
                self._writer.execute("rollback")
                raise

    def _add(self, statement: Statement, stored: int, client: str) -> None:
        target, is_voiding = _target(statement), statement["verb"]["id"] == VOIDED
        about = self._about(statement["id"])
        voided = not is_voiding and any(voiding for _, _, voiding in about)
        cursor = self._writer.execute(
            "insert or ignore into statements (id, stored, client, is_voiding, target, voided, statement) "
            "values (?, ?, ?, ?, ?, ?, ?)",
            (statement["id"], stored, client, is_voiding, target, voided, orjson.dumps(statement)),
        )
        if not cursor.rowcount:
            return
        if target and is_voiding:
            self._writer.execute("update statements set voided = 1 where id = ? and not is_voiding", (target,))
        self._index(statement["id"], cursor.lastrowid, about, self._terms(statement))

    def _about(self, statement_id: str) -> list[tuple[str, int, bool]]:
        """Id and number of the statements about a statement, and whether they void it."""
        return self._writer.execute(
            "select id, number, is_voiding from statements where target = ?", (statement_id,)
        ).fetchall()

    def _terms(self, statement: Statement) -> set[str]:
        """A statement's terms, and those of the statement that it is about, and so on (xAPI-Communication 2.1.3)."""
        found, seen, target = terms(statement), {statement["id"]}, _target(statement)
        while target and target not in seen:
            seen.add(target)
            row = self._writer.execute("select statement from statements where id = ?", (target,)).fetchone()
            about = orjson.loads(row[0]) if row else None
            found |= terms(about) if about else set()
            target = _target(about) if about else None
        return found

    def _index(
        self, statement_id: str, number: int | None, about: list[tuple[str, int, bool]], found: set[str]
    ) -> None:
        """Make a statement, those about it, those about these and so on found by terms."""
        hashes, seen = [_hash(term) for term in found], {statement_id}
        waiting = [(number, about)]
        while waiting:
            its_number, about = waiting.pop()
            self._writer.executemany("insert or ignore into terms values (?, ?)", [(one, its_number) for one in hashes])
            for its_id, referring, _ in about:
                if its_id not in seen:
                    seen.add(its_id)
                    waiting.append((referring, self._about(its_id)))

    def forget(
        self, suspects: re.Pattern[str], without: Callable[[Statement], Statement | None], accounts: Iterable[str]
    ) -> tuple[list[Statement], int]:
        """Take accounts out: the statements that went, and how many changed. `without` is asked about those that match.

        An attachment's file that no statement names any more is for the caller to remove (`names_any`).
        """
        gone: list[Statement] = []
        changed: list[tuple[int, Statement]] = []
        with self._errors():
            for number, text in self._reader.execute("select number, statement from statements"):
                if not suspects.search(text.decode()):
                    continue
                before = orjson.loads(text)
                after = without(before)
                if after is None:
                    gone.append(before)
                elif after is not before:
                    changed.append((number, after))
        theirs = [(_hash(f"{kind}:{account}"),) for account in accounts for kind in ("agent", "related_agent")]
        with self._deleting():
            self._delete(gone)
            for number, after in changed:
                self._writer.execute(
                    "update statements set statement = ? where number = ?", (orjson.dumps(after), number)
                )
                rows = [(_hash(term), number) for term in self._terms(after)]
                self._writer.executemany("insert or ignore into terms values (?, ?)", rows)
            self._writer.executemany("delete from terms where term = ?", theirs)
        return gone, len(changed)

    def expire(self, client: str, before: int) -> list[Statement]:
        """Take out what a client sent before a moment (µs since 1970)."""
        rows = self._rows("select statement from statements where client = ? and stored < ?", [client, before])
        gone = [orjson.loads(text) for (text,) in rows]
        with self._deleting():
            self._delete(gone)
        return gone

    @contextmanager
    def _deleting(self) -> Iterator[None]:
        """A transaction after which nothing of what was deleted is left in the file."""
        with self._errors(), self._lock:
            self._writer.execute("pragma secure_delete = on")
            self._writer.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._writer.execute("rollback")
                raise
            self._writer.execute("commit")
            settle(self._writer)

    def _delete(self, statements: list[Statement]) -> None:
        for one in statements:
            terms_of = "delete from terms where term = ? and number = (select number from statements where id = ?)"
            self._writer.executemany(terms_of, [(_hash(term), one["id"]) for term in self._terms(one)])
            self._writer.execute("delete from statements where id = ?", (one["id"],))

    def clients(self) -> list[str]:
        """Who sent statements that are kept."""
        return [client for (client,) in self._rows("select distinct client from statements")]

    def names_any(self, words: Iterable[str]) -> set[str]:
        """Those of some words, such as hashes of attachments, that a statement's JSON holds."""
        return {
            word
            for word in words
            if self._rows("select 1 from statements where instr(statement, ?) limit 1", [word.encode()])
        }

    def close(self) -> None:
        """Release the file."""
        self._writer.close()
        self._reader.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=60, isolation_level=None, check_same_thread=False)
        connection.execute("pragma synchronous = normal")
        connection.execute("pragma wal_autocheckpoint = 16000")  # pages of 4 KiB
        connection.execute("pragma cache_size = -65536")
        return connection

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[tuple]:  # type: ignore[type-arg]
        with self._errors():
            return self._reader.execute(query, values).fetchall()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StorageError(
                f"The receiver's statements in {self._path} cannot be read or written: {error}", "Check the disk."
            ) from error


_COLUMNS = "s.number, s.id, s.stored, s.client, s.statement, s.voided"


def _target(statement: Statement) -> str | None:
    """The id of the statement that one is about, if it is about one."""
    thing = statement["object"]
    return str(thing["id"]).lower() if thing.get("objectType") == "StatementRef" else None


@lru_cache(100_000)
def _hash(term: str) -> int:
    return int.from_bytes(blake2b(term.encode(), digest_size=8).digest(), "big", signed=True)


def _kept(row: tuple) -> Kept:  # type: ignore[type-arg]
    number, statement_id, stored, client, text, voided = row
    return Kept(number, statement_id, stored, client, text, bool(voided))
