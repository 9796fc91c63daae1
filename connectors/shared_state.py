"""The PostgreSQL that several receivers share, as a whole: whether it can be used, who is named in it, filling it from files."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from sqlalchemy import URL, Connection, MetaData, select

from connectors import consents, keys, register
from connectors.database import Database, found, insert_new, sql
from connectors.lti import store as lti
from connectors.receiver import clients, contents, rates, store, turns, webhooks

FILES: dict[str, Sequence[MetaData]] = {
    "receiver.db": (clients.TABLES, store.TABLES),
    "lti.db": (lti.TABLES,),
    "consents.db": (consents.TABLES,),
    "deliveries.db": (webhooks.TABLES,),
    "erased.db": (register.TABLES,),
}
_ON_SERVER = (keys.TABLES, contents.TABLES, rates.TABLES, turns.TABLES)


def version(where: URL) -> str:
    """The server's version; UnavailableError where it cannot be used, or no tables be made."""
    _make(where)
    with Database(where, keys.TABLES).session() as connection:
        [(told,)] = found(connection, sql("show server_version"))
    return str(told)


def naming(where: URL, words: re.Pattern[str]) -> list[str]:
    """The tables in which a person is named."""
    return [
        table.name
        for tables in _everything()
        for table in tables.sorted_tables
        if _named(where, tables, table.name, words)
    ]


def holds_anything(where: URL) -> bool:
    """Whether any table of it has a row."""
    for tables in _everything():
        with Database(where, tables).session() as connection:
            if any(list(found(connection, select(table).limit(1))) for table in tables.sorted_tables):
                return True
    return False


def fill(where: URL, home: Path, key_names: Sequence[str]) -> int:
    """Copy the rows of the files in a data folder, its keys and the contents of attachments, all or nothing; how many rows."""
    _make(where)
    with Database(where, keys.TABLES).writing() as target:
        copied = sum(
            _copy(home / name, tables, target)
            for name, several in FILES.items()
            if (home / name).exists()
            for tables in several
        )
        values = [(name, (home / name).read_text("ascii")) for name in key_names if (home / name).exists()]
        insert_new(target, keys.SECRETS, values)
        for path in sorted((home / "attachments").glob("*")):
            insert_new(target, contents.ATTACHMENTS, [(path.name, path.read_bytes())])
    return copied


def _make(where: URL) -> None:
    """Have every table made, as each is when it is first used."""
    for tables in _everything():
        with Database(where, tables).session():
            pass


def _copy(path: Path, tables: MetaData, target: Connection) -> int:
    copied = 0
    with Database(path, tables).scanning() as source:
        for table in tables.sorted_tables:
            rows = source.execute(select(table))
            for some in rows.partitions():
                copied += insert_new(target, table, [tuple(row) for row in some])
    return copied


def _named(where: URL, tables: MetaData, name: str, words: re.Pattern[str]) -> bool:
    with Database(where, tables).scanning() as connection:
        rows = found(connection, select(tables.tables[name]))
        return any(words.search(_text(value)) for row in rows for value in row)


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _everything() -> Iterator[MetaData]:
    yield from (tables for several in FILES.values() for tables in several)
    yield from _ON_SERVER
