"""Published marts in PostgreSQL: copied into a schema that takes the place of the one before in one transaction."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from time import time_ns
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as pq
from adbc_driver_postgresql import dbapi

from connectors.dbt import Described
from schemas.errors import SettingsError, UnavailableError

READER, TEAM_READER = "proficio_reader", "proficio_team_reader"
ACCESS = "proficio_access"
_INDEXED = ("person", "competency", "role", "cohort", "source")
_LOCK = 7_766_701  # of pg_advisory_lock: one publishes at a time
_PATIENCE = "5s"
_ROWS = 100_000  # copied at once
_TEAMS = f"(select team from {ACCESS}.teams where role_name = session_user)"  # noqa: S608 - constants


def publish(
    url: str, password: str, schema: str, marts: Mapping[str, Path], described: Mapping[str, Described]
) -> dict[str, int]:
    """Copy Parquet files into the tables of a schema; rows of each. Readers see the marts before, or all of the new ones.

    `url` is a libpq URI without the password. Tables get indexes, the comments that dbt describes them with, and rights:
    the role proficio_reader reads everything, proficio_team_reader the people of the teams that `proficio_access.teams` gives to
    the user (row-level security). SettingsError where the roles are missing and cannot be made.
    """
    fresh, old = f"{schema}_new", f"{schema}_old_"
    rows = {}
    with _connected(url, password) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"select pg_advisory_lock({_LOCK})")
        _roles(cursor)
        connection.commit()
        leftovers = f"select nspname from pg_namespace where starts_with(nspname, {_text(old)})"  # noqa: S608 - quoted
        for left in (fresh, *(name for (name,) in _rows(cursor, leftovers))):
            _drop(connection, left)
        old += str(time_ns())
        cursor.execute(f"create schema {_name(fresh)}")
        for mart, path in marts.items():
            rows[mart] = _copy(cursor, fresh, mart, path)
            _describe(cursor, fresh, mart, pq.read_schema(path).names, described[mart])
        _members(cursor, fresh, "dim_person_attribute" in marts)
        for mart, path in marts.items():
            _grant(cursor, fresh, mart, pq.read_schema(path).names)
        cursor.execute(f"grant usage on schema {_name(fresh)} to {READER}, {TEAM_READER}")
        connection.commit()  # the copying; nobody sees it yet
        cursor.execute(f"set local lock_timeout = '{_PATIENCE}'")
        if _exists(cursor, schema):
            cursor.execute(f"alter schema {_name(schema)} rename to {_name(old)}")
        cursor.execute(f"alter schema {_name(fresh)} rename to {_name(schema)}")
        connection.commit()
        _drop(connection, old)  # where somebody reads it still, the next publication does
    return rows


def _copy(cursor: Any, schema: str, mart: str, path: Path) -> int:
    """Create a table of a Parquet file's columns, and copy the rows (COPY … FROM STDIN, binary)."""
    with pq.ParquetFile(path) as file:
        mode = "create"
        for batch in _batches(file):
            cursor.adbc_ingest(mart, batch, mode=mode, db_schema_name=schema)
            mode = "append"
        for column in file.schema_arrow.names:
            if column in _INDEXED:
                cursor.execute(f"create index on {_name(schema)}.{_name(mart)} ({_name(column)})")
        cursor.execute(f"analyze {_name(schema)}.{_name(mart)}")
        return int(file.metadata.num_rows)


def _batches(file: pq.ParquetFile) -> Iterator[Any]:
    """The rows, at least one batch, so that a table is created for a mart without any."""
    if file.metadata.num_rows == 0:
        yield file.read()
    yield from file.iter_batches(batch_size=_ROWS)


def _describe(cursor: Any, schema: str, mart: str, columns: Sequence[str], described: Described) -> None:
    place = f"{_name(schema)}.{_name(mart)}"
    cursor.execute(f"comment on table {place} is {_text(described.description)}")
    for column in columns:
        cursor.execute(f"comment on column {place}.{_name(column)} is {_text(described.columns.get(column, ''))}")


def _grant(cursor: Any, schema: str, mart: str, columns: Sequence[str]) -> None:
    place = f"{_name(schema)}.{_name(mart)}"
    cursor.execute(f"grant select on {place} to {READER}, {TEAM_READER}")
    cursor.execute(f"alter table {place} enable row level security")
    cursor.execute(f"create policy everything on {place} for select to {READER} using (true)")
    if "person" in columns:
        limit = f"person in (select {_name(schema)}.people_of_reader())"
    elif "cohort" in columns:
        limit = f"cohort = 'everyone' or cohort in {_TEAMS}"
    else:
        limit = "true"
    cursor.execute(f"create policy teams on {place} for select to {TEAM_READER} using ({limit})")


def _members(cursor: Any, schema: str, has_teams: bool) -> None:
    """A function that says whom the user may see. It runs with its owner's rights, and goes along when the schema is renamed."""
    found = (
        f"select person from {_name(schema)}.dim_person_attribute where attribute = 'team' and value in {_TEAMS}"  # noqa: S608
        if has_teams
        else "select null::text where false"
    )
    cursor.execute(
        f"create function {_name(schema)}.people_of_reader() returns setof text stable security definer "
        f"begin atomic {found}; end"
    )
    cursor.execute(f"grant execute on function {_name(schema)}.people_of_reader() to {TEAM_READER}")


def _roles(cursor: Any) -> None:
    """Make the roles and the table of access where they are missing."""
    for role in (READER, TEAM_READER):
        if not _rows(cursor, f"select 1 from pg_roles where rolname = '{role}'"):  # noqa: S608
            try:
                cursor.execute(f"create role {role} nologin")
            except dbapi.Error as error:
                raise SettingsError(
                    f"PostgreSQL has no role {role}, and the user of publish.postgres.url may not make it: {_first(error)}",
                    "Let an administrator run infra/postgres/roles.sql once.",
                ) from error
    if not _exists(cursor, ACCESS):
        cursor.execute(f"create schema {ACCESS}")
        cursor.execute(f"create table {ACCESS}.teams (role_name name, team text, primary key (role_name, team))")
        cursor.execute(f"grant usage on schema {ACCESS} to {TEAM_READER}")
        cursor.execute(f"grant select on {ACCESS}.teams to {TEAM_READER}")


def _drop(connection: Any, schema: str) -> None:
    """Drop a schema, unless somebody reads it longer than we wait."""
    with closing(connection.cursor()) as cursor:
        cursor.execute(f"set local lock_timeout = '{_PATIENCE}'")
        try:
            cursor.execute(f"drop schema if exists {_name(schema)} cascade")
            connection.commit()
        except dbapi.Error as error:
            connection.rollback()
            if "lock timeout" not in str(error):
                raise


def _exists(cursor: Any, schema: str) -> bool:
    return bool(_rows(cursor, f"select 1 from pg_namespace where nspname = {_text(schema)}"))  # noqa: S608


def _rows(cursor: Any, query: str) -> list[Any]:
    cursor.execute(query)
    found: list[Any] = cursor.fetchall()
    return found


@contextmanager
def _connected(url: str, password: str) -> Iterator[Any]:
    try:
        secret = f"{'&' if '?' in url else '?'}password={quote(password, safe='')}" if password else ""
        with closing(dbapi.connect(url + secret)) as connection:
            yield connection
    except (dbapi.OperationalError, dbapi.InternalError) as error:
        raise UnavailableError(
            f"PostgreSQL at publish.postgres.url cannot be used: {_first(error)}",
            "Check that it runs, and the rights of its user.",
        ) from error
    except dbapi.Error as error:
        raise SettingsError(
            f"PostgreSQL refuses to be published to: {_first(error)}", "See docs/bi.md, PostgreSQL."
        ) from error


def _first(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300]


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + " ".join(text.split()).replace("'", "''") + "'"
