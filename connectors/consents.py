"""Who agreed that a sink hears of their levels, and who did not: what each account last said."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Column, Integer, MetaData, Table, Text

from connectors.database import Database, Where, found, sql

EVERY_SINK = "*"
TABLES = MetaData()
_CONSENTS = Table(
    "consents", TABLES, Column("account", Text), Column("sink", Text), Column("agreed", Integer), Column("said_at", Text),
    Column("said_by", Text),
)  # fmt: skip


class Consent(NamedTuple):
    """What an account said of a sink (or of every one), when, and by what: a page, the command line."""

    account: str
    sink: str
    agreed: bool
    said_at: str
    said_by: str


def say(where: Where, account: str, sink: str, agreed: bool, said_by: str) -> None:
    """Keep what an account says of a sink. What it said before stays on record."""
    moment = datetime.now(UTC).isoformat(timespec="microseconds")
    with Database(where, TABLES).writing() as connection:
        given = {"account": account, "sink": sink, "agreed": int(agreed), "said_at": moment, "said_by": said_by}
        connection.execute(_CONSENTS.insert(), given)


def said(where: Where) -> list[Consent]:
    """Everything that was said, oldest first."""
    database = Database(where, TABLES)
    if not database.exists():
        return []
    with database.session() as connection:
        rows = list(found(connection, _CONSENTS.select().order_by("said_at")))
    return [Consent(account, sink, bool(agreed), at, by) for account, sink, agreed, at, by in rows]


def forget(where: Where, accounts: Iterable[str]) -> None:
    """Take out what accounts said."""
    database = Database(where, TABLES)
    if database.exists():
        with database.deleting() as connection:
            connection.execute(
                sql("delete from consents where account in :accounts", "accounts"), {"accounts": list(accounts)}
            )
