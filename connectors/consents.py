"""Who agreed that a sink hears of their levels, and who did not: what each account last said, in one SQLite file."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from connectors.storage import storage_errors

EVERY_SINK = "*"


class Consent(NamedTuple):
    """What an account said of a sink (or of every one), when, and by what: a page, the command line."""

    account: str
    sink: str
    agreed: bool
    said_at: str
    said_by: str


def say(path: Path, account: str, sink: str, agreed: bool, said_by: str) -> None:
    """Keep what an account says of a sink. What it said before stays on record."""
    moment = datetime.now(UTC).isoformat(timespec="microseconds")
    with _opened(path) as connection:
        connection.execute("insert into consents values (?, ?, ?, ?, ?)", (account, sink, int(agreed), moment, said_by))


def said(path: Path) -> list[Consent]:
    """Everything that was said, oldest first."""
    if not path.exists():
        return []
    with _opened(path) as connection:
        rows = connection.execute("select * from consents order by said_at, rowid").fetchall()
    return [Consent(account, sink, bool(agreed), at, by) for account, sink, agreed, at, by in rows]


def forget(path: Path, accounts: Iterable[str]) -> None:
    """Take out what accounts said."""
    if path.exists():
        with _opened(path) as connection:
            connection.executemany("delete from consents where account = ?", [(account,) for account in accounts])


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=30)) as connection, connection:
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma secure_delete = on")
            connection.execute(
                "create table if not exists consents "
                "(account text, sink text, agreed integer, said_at text, said_by text)"
            )
            yield connection
