"""Taking rows out of DuckDB files so that nothing of them stays in the file: what is left is written anew, and swapped in."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from connectors import warehouse
from connectors.storage import storage_errors

_LEDGER_TABLES = ("told", "refused", "held", "begun", "approved")


def forget_in_warehouse(path: Path, accounts: Sequence[str], people: Sequence[str]) -> None:
    """Write a warehouse anew that holds what nothing else remembers, less some accounts and people (by their keys).

    That is the history of levels as they were known, the dead letters read, the numbers of loads. The next estimate makes
    the rest from the lake.
    """
    if not path.exists():
        return
    with _anew(path) as (connection, old):
        connection.execute(warehouse.SETUP)  # of an older version, it may lack some
        connection.execute("use fresh")
        connection.execute(warehouse.SETUP)
        connection.execute("delete from lake.progress")
        for table in ("progress", "rejected", "rejected_offsets", "findings"):
            connection.execute(f"insert into lake.{table} from {old}.lake.{table}")
        connection.execute(
            f"insert into lake.accounts from {old}.lake.accounts where not list_contains($1, account)",
            [list(accounts)],
        )
        history = f"{old}.main.int_level_history"
        if connection.execute("select 1 from duckdb_tables() where table_name = 'int_level_history'").fetchall():
            connection.execute(
                f"create table main.int_level_history as from {history} where not list_contains($1::uuid[], person_key)",
                [list(people)],
            )


def forget_in_ledger(path: Path, people: Sequence[str]) -> list[str]:
    """Take people out of the ledger of feedback; the sinks that were told of them."""
    if not path.exists():
        return []
    with _anew(path) as (connection, old):
        told = connection.execute(
            "select distinct sink from told where list_contains($1, person) order by sink", [list(people)]
        ).fetchall()
        for table in _LEDGER_TABLES:
            connection.execute(f"delete from {table} where list_contains($1, person)", [list(people)])  # noqa: S608
        connection.execute(f"copy from database {old} to fresh")
    return [sink for (sink,) in told]


@contextmanager
def _anew(path: Path) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
    """A connection to a database, by its name, and beside it to an empty one, `fresh`, which takes its place at the end."""
    written = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with warehouse.connected(path) as connection:
            (old,) = connection.execute("select current_database()").fetchone() or ("",)
            connection.execute(f"attach '{warehouse.quoted(written)}' as fresh")
            yield connection, old
            connection.execute(f"use {old}; detach fresh")
        with storage_errors(path):
            written.replace(path)
    finally:
        written.unlink(missing_ok=True)
