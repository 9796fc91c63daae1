"""The ledger of feedback: which level each sink was told of each person and competency, in one DuckDB file."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from connectors.warehouse import connected
from schemas.errors import InputError

_AT_ONCE = 10_000  # rows in memory
_SETUP = """
create table if not exists told (
    sink varchar, person varchar, competency varchar, level integer, told_at timestamptz default current_timestamp,
    primary key (sink, person, competency)
);
create table if not exists refused (
    sink varchar, person varchar, competency varchar, level integer, reason varchar,
    refused_at timestamptz default current_timestamp, primary key (sink, person, competency)
);
"""
# What is not told any more, because its evidence was taken back or the person is gone, is a row without a level.
_CHANGES = """
create or replace temp table changed as
with levels as (from read_parquet(?) where not insufficient_evidence), told_here as (from told where sink = ?)
select coalesce(levels.person, told_here.person) as person, coalesce(levels.competency, told_here.competency) as competency,
    told_here.level as told_level, levels.* exclude (person, competency)
from levels full join told_here on levels.person = told_here.person and levels.competency = told_here.competency
where levels.reported_level is distinct from told_here.level
    and not exists (
        select 1 from refused where refused.sink = ? and refused.person = coalesce(levels.person, told_here.person)
            and refused.competency = coalesce(levels.competency, told_here.competency)
            and refused.level is not distinct from levels.reported_level
    )
order by 1, 2
"""


class Ledger:
    """An open ledger."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def changes(self, levels: Path, sink: str) -> Iterator[list[dict[str, Any]]]:
        """Rows of the published mart_levels whose reported level is not the one that a sink was told, in pieces.

        `told_level` is that one, None for none; `reported_level` is None where nothing is to be told any more. A level that
        the sink refused is left out until it is another one.
        """
        if not levels.exists():
            raise InputError("There are no published levels yet.", "Run proficio estimate and proficio publish first.")
        self._connection.execute(_CHANGES, [str(levels), sink, sink])
        start = 0
        while rows := self._rows(start):
            yield rows
            start += len(rows)

    def note(self, sink: str, rows: Sequence[dict[str, Any]]) -> None:
        """Note that a sink was told what these rows say."""
        told = {name: [row[name] for row in rows] for name in ("person", "competency", "reported_level")}
        self._connection.register("noted", pa.table(told, schema=_NOTED))
        self._connection.execute("begin")
        self._connection.execute(
            "delete from told where sink = ? and (person, competency) in (select (person, competency) from noted)",
            [sink],
        )
        self._connection.execute(
            "insert into told (sink, person, competency, level) "
            "select ?, person, competency, reported_level from noted where reported_level is not null",
            [sink],
        )
        self._connection.execute(
            "delete from refused where sink = ? and (person, competency) in (select (person, competency) from noted)",
            [sink],
        )
        self._connection.execute("commit")
        self._connection.unregister("noted")

    def note_refused(self, sink: str, row: dict[str, Any], reason: str) -> None:
        """Note that a sink refuses to hear what a row says, and why."""
        self._connection.execute(
            "insert or replace into refused (sink, person, competency, level, reason) values (?, ?, ?, ?, ?)",
            [sink, row["person"], row["competency"], row["reported_level"], reason],
        )

    def refused(self) -> list[dict[str, Any]]:
        """What sinks refuse, newest first."""
        cursor = self._connection.execute("from refused order by refused_at desc, person, competency")
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _rows(self, start: int) -> list[dict[str, Any]]:
        cursor = self._connection.execute(
            "from changed where rowid >= ? and rowid < ? order by rowid", [start, start + _AT_ONCE]
        )
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


_NOTED = pa.schema([("person", pa.string()), ("competency", pa.string()), ("reported_level", pa.int32())])


@contextmanager
def ledger(path: Path) -> Iterator[Ledger]:
    """The ledger in a file. UnavailableError while another process has it."""
    with connected(path) as connection:
        connection.execute(f"set TimeZone = 'UTC'; {_SETUP}")
        yield Ledger(connection)
