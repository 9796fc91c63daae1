"""Keys of 256 bits that an installation makes for itself, once, where several receivers share a server."""

from functools import lru_cache
from secrets import token_hex

from sqlalchemy import URL, Column, MetaData, Table, Text

from connectors.database import Database, found, insert_new, sql

TABLES = MetaData()
SECRETS = Table("secrets", TABLES, Column("name", Text, primary_key=True), Column("value", Text))


@lru_cache
def own(where: URL, name: str) -> str:
    """A key that all processes have who share a server; it never changes."""
    with Database(where, TABLES).writing() as connection:
        insert_new(connection, SECRETS, [(name, token_hex(32))])
        [(value,)] = found(connection, sql("select value from secrets where name = :name"), {"name": name})
    return str(value)


def known(where: URL, name: str) -> bool:
    """Whether a key was made or copied there."""
    with Database(where, TABLES).session() as connection:
        return bool(list(found(connection, sql("select 1 from secrets where name = :name"), {"name": name})))
