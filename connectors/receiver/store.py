"""What the receiver has taken in: to give it back, and to know an id that comes again."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson
from sqlalchemy import BigInteger, Column, Connection, Index, Integer, LargeBinary, MetaData, Table, Text

from connectors.database import Database, Where, found, insert_new, sql
from connectors.receiver.judging import Given
from schemas.xapi import VOIDED, Statement
from transforms.statement_terms import terms

# `number` is the order of storing. Terms stand as 64 bits of their hash: statements are found by the join of a few.
TABLES = MetaData()
_LONG = BigInteger().with_variant(Integer(), "sqlite")
_STATEMENTS = Table(
    "statements", TABLES, Column("number", _LONG, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False, unique=True), Column("stored", _LONG, nullable=False),
    Column("client", Text, nullable=False), Column("is_voiding", Integer, nullable=False), Column("target", Text),
    Column("voided", Integer, nullable=False), Column("statement", LargeBinary, nullable=False),
)  # fmt: skip
Index("by_stored", _STATEMENTS.c.stored)
_IS_ABOUT = _STATEMENTS.c.target.is_not(None)
Index("by_target", _STATEMENTS.c.target, sqlite_where=_IS_ABOUT, postgresql_where=_IS_ABOUT)
_TERMS = Table(
    "terms", TABLES, Column("term", _LONG, primary_key=True, autoincrement=False),
    Column("number", _LONG, primary_key=True, autoincrement=False), sqlite_with_rowid=False,
)  # fmt: skip
_READ_TO = Table(
    "read_to", TABLES, Column("partition", Integer, primary_key=True, autoincrement=False), Column("next_offset", _LONG)
)
# Of what came behind a number: what it voids, and whatever voids it.
_VOID = """
update statements set voided = 1 where voided = 0 and is_voiding = 0 and id in (
    select target from statements where is_voiding = 1 and number > :before
    union select s.id from statements as s join statements as v on v.target = s.id where v.is_voiding = 1 and s.number > :before
)
"""
# Of what came behind a number, and of the statements about it, about these and so on: each with every statement down its chain.
_CHAINS = """
with recursive affected (id) as (
    select id from statements where number > :before
    union select s.id from statements as s join affected on s.target = affected.id
), chain (number, target) as (
    select s.number, s.target from statements as s join affected on affected.id = s.id where s.target is not null
    union select chain.number, t.target from chain join statements as t on t.id = chain.target where t.target is not null
)
select chain.number, s.statement from chain join statements as s on s.id = chain.target
"""
_HOLDS = {"sqlite": "instr(statement, :word) > 0", "postgresql": "position(:word in statement) > 0"}
_KNOWN = {
    "sqlite": "select id, statement from statements where id in (select value from json_each(?))",
    "postgresql": "select id, statement from statements where id = any(%s)",
}
_COLUMNS = "s.number, s.id, s.stored, s.client, s.statement, s.voided"


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
    """Statements by id and by search. One writer at a time, on a server too (`Turns`); readers see what was committed."""

    def __init__(self, where: Where) -> None:
        # Not flushed to the disk at once: after a power cut the event log has them, and `read_to` says from where.
        quick = ("synchronous = normal", "wal_autocheckpoint = 16000", "cache_size = -65536")  # pages of 4 KiB; KiB
        self._database = Database(where, TABLES, kept_open=True, pragmas=quick)

    def exists(self) -> bool:
        """Whether anything was ever taken in, or may have been."""
        return self._database.exists()

    def newest(self) -> int:
        """When the last statement was stored, µs since 1970; 0 before the first."""
        with self._database.session() as connection:
            return int(connection.execute(sql("select coalesce(max(stored), 0) from statements")).scalar_one())

    def known(self, statement_ids: Iterable[str]) -> dict[str, bytes]:
        """The statements of these ids that are kept, voided or not."""
        with self._database.session() as connection:
            return _known(connection, list(statement_ids))

    def get(self, statement_id: str) -> Kept | None:
        """One statement, voided or not."""
        query = sql(f"select {_COLUMNS} from statements as s where id = :id")  # noqa: S608
        with self._database.session() as connection:
            row = connection.execute(query, {"id": statement_id}).fetchone()
        return _kept(row) if row else None

    def search(self, search: Search) -> list[Kept]:
        """Statements that are not voided, newest first unless `ascending`, one more than `limit` where there are more."""
        order, beyond = ("asc", ">") if search.ascending else ("desc", "<")
        tables, conditions = ["statements as s"], ["s.voided = 0"]
        values: dict[str, str | int] = {"limit": search.limit + 1}
        for number, term in enumerate(search.terms):
            tables.append(f"join terms as t{number} on t{number}.number = s.number")
            conditions.append(f"t{number}.term = :term{number}")
            values[f"term{number}"] = _hash(term)
        for name, condition, value in (
            ("since", "s.stored > :since", search.since), ("until", "s.stored <= :until", search.until),
            ("client", "s.client = :client", search.client), ("after", f"s.number {beyond} :after", search.after),
        ):  # fmt: skip
            if value is not None:
                conditions.append(condition)
                values[name] = value
        query = (
            f"select {_COLUMNS} from {' '.join(tables)} "  # noqa: S608 - only names from here
            f"where {' and '.join(conditions)} order by s.number {order} limit :limit"
        )
        with self._database.session() as connection:
            return [_kept(row) for row in connection.execute(sql(query), values)]

    def read_to(self) -> dict[int, int]:
        """For each partition of the event log, the offset up to which every statement of the receiver is here."""
        with self._database.session() as connection:
            return {row.partition: row.next_offset for row in connection.execute(_READ_TO.select())}

    def add(self, statements: Iterable[Given], read_to: Mapping[int, int] | None = None) -> None:
        """Keep statements, all or none; an id that is known stays as it is."""
        with self._database.writing() as connection:
            add(connection, statements, read_to)

    def forget(
        self, suspects: re.Pattern[str], without: Callable[[Statement], Statement | None], accounts: Iterable[str]
    ) -> tuple[list[Statement], int]:
        """Take accounts out: the statements that went, and how many changed. `without` is asked about those that match.

        An attachment's file that no statement names any more is for the caller to remove (`names_any`).
        """
        gone: list[Statement] = []
        changed: list[tuple[int, Statement]] = []
        with self._database.scanning() as connection:
            for number, text in found(connection, sql("select number, statement from statements")):
                if not suspects.search(text.decode()):
                    continue
                before = orjson.loads(text)
                after = without(before)
                if after is None:
                    gone.append(before)
                elif after is not before:
                    changed.append((number, after))
        theirs = [{"term": _hash(f"{kind}:{account}")} for account in accounts for kind in ("agent", "related_agent")]
        with self._database.deleting() as connection:
            _delete(connection, gone)
            for number, after in changed:
                connection.execute(
                    sql("update statements set statement = :statement where number = :number"),
                    {"statement": orjson.dumps(after), "number": number},
                )
                insert_new(connection, _TERMS, [(_hash(term), number) for term in _terms(connection, after)])
            if theirs:
                connection.execute(sql("delete from terms where term = :term"), theirs)
        return gone, len(changed)

    def expire(self, client: str, before: int) -> list[Statement]:
        """Take out what a client sent before a moment (µs since 1970)."""
        query = sql("select statement from statements where client = :client and stored < :before")
        with self._database.deleting() as connection:
            gone = [orjson.loads(text) for (text,) in found(connection, query, {"client": client, "before": before})]
            _delete(connection, gone)
        return gone

    def clients(self) -> list[str]:
        """Who sent statements that are kept."""
        with self._database.session() as connection:
            return [client for (client,) in found(connection, sql("select distinct client from statements"))]

    def names_any(self, words: Iterable[str]) -> set[str]:
        """Those of some words, such as hashes of attachments, that a statement's JSON holds."""
        with self._database.session() as connection:
            query = sql(f"select 1 from statements where {_HOLDS[connection.dialect.name]} limit 1")  # noqa: S608
            return {word for word in words if connection.execute(query, {"word": word.encode()}).fetchone()}

    def close(self) -> None:
        """Release the file."""
        self._database.close()


def add(connection: Connection, statements: Iterable[Given], read_to: Mapping[int, int] | None = None) -> None:
    """Keep statements within a transaction of the caller; see `StatementStore.add`."""
    given = {statement["id"]: (statement, stored, client) for statement, stored, client in reversed(list(statements))}
    known = _known(connection, list(given))
    fresh = [one for statement_id, one in reversed(given.items()) if statement_id not in known]
    if fresh:
        [(before,)] = found(connection, sql("select coalesce(max(number), 0) from statements"))
        add_new(connection, fresh, before)
    if read_to:
        query = sql(
            "insert into read_to values (:partition, :next_offset) "
            "on conflict (partition) do update set next_offset = excluded.next_offset"
        )
        connection.execute(query, [{"partition": one, "next_offset": end} for one, end in read_to.items()])


def add_new(connection: Connection, fresh: Sequence[Given], before: int, are_meant: bool = True) -> None:
    """Keep statements whose ids nobody knows, numbered after `before`. `are_meant`: one that is kept may be about one of them."""
    numbered = list(enumerate(fresh, before + 1))
    insert_new(connection, _STATEMENTS, [_row(number, *one) for number, one in numbered])
    its = [(_hash(term), number) for number, (statement, _, _) in numbered for term in terms(statement)]
    if are_meant or any(map(_target, (statement for statement, _, _ in fresh))):
        connection.execute(sql(_VOID), {"before": before})
        # A statement is found by the terms of the one that it is about too, and so on (xAPI-Communication 2.1.3).
        for number, about in found(connection, sql(_CHAINS), {"before": before}):
            its += [(_hash(term), number) for term in terms(orjson.loads(about))]
    insert_new(connection, _TERMS, its)


def _row(number: int, statement: Statement, stored: int, client: str) -> tuple[Any, ...]:
    is_voiding = int(statement["verb"]["id"] == VOIDED)
    return number, statement["id"], stored, client, is_voiding, _target(statement), 0, orjson.dumps(statement)


class Standing(NamedTuple):
    """What there is of some ids, and beside them: all that whoever has the turn needs to know."""

    known: dict[str, Statement]
    stored: int  # the newest moment of storing
    number: int
    now: int  # by the server's clock
    are_meant: bool  # whether a statement is about one of them


def standing(session: Connection, ids: list[str]) -> Standing:
    """Asked of a server in one query."""
    query = sql(
        "select beside.*, s.id, s.statement from (select coalesce(max(stored), 0), coalesce(max(number), 0), "
        "cast(extract(epoch from clock_timestamp()) * 1000000 as bigint), "
        "exists (select 1 from statements where target = any(:ids)) from statements) as beside "
        "left join statements as s on s.id = any(:ids)"
    )
    rows = list(found(session, query, {"ids": ids}))
    known = {row[4]: orjson.loads(row[5]) for row in rows if row[4] is not None}
    return Standing(known, *rows[0][:4])


def _known(connection: Connection, ids: list[str]) -> dict[str, bytes]:
    """Any number of ids as one value: a query with a name for each would be made anew each time."""
    given = ids if connection.dialect.name == "postgresql" else orjson.dumps(ids).decode()
    rows: Iterable[Any] = connection.exec_driver_sql(_KNOWN[connection.dialect.name], (given,))
    return {row.id: row.statement for row in rows}


def _terms(connection: Connection, statement: Statement) -> set[str]:
    """A statement's terms, and those of the statement that it is about, and so on (xAPI-Communication 2.1.3)."""
    its, seen, target = terms(statement), {statement["id"]}, _target(statement)
    while target and target not in seen:
        seen.add(target)
        kept = _known(connection, [target]).get(target)
        about = orjson.loads(kept) if kept else None
        its |= terms(about) if about else set()
        target = _target(about) if about else None
    return its


def _delete(connection: Connection, statements: list[Statement]) -> None:
    terms_of = sql("delete from terms where term = :term and number = (select number from statements where id = :id)")
    for one in statements:
        its = [{"term": _hash(term), "id": one["id"]} for term in _terms(connection, one)]
        connection.execute(terms_of, its)
        connection.execute(sql("delete from statements where id = :id"), {"id": one["id"]})


def _target(statement: Statement) -> str | None:
    """The id of the statement that one is about, if it is about one."""
    thing = statement["object"]
    return str(thing["id"]).lower() if thing.get("objectType") == "StatementRef" else None


@lru_cache(100_000)
def _hash(term: str) -> int:
    return int.from_bytes(blake2b(term.encode(), digest_size=8).digest(), "big", signed=True)


def _kept(row: Any) -> Kept:
    number, statement_id, stored, client, text, voided = row
    return Kept(number, statement_id, stored, client, text, bool(voided))
