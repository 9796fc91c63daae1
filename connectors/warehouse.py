"""The warehouse: one DuckDB file that dbt writes. Here: what stands around a dbt run, and nothing of the models."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from connectors.lake import Lake, LakeFile
from connectors.locks import locked
from connectors.storage import storage_errors
from schemas.errors import InputError, StorageError, UnavailableError
from schemas.lake import STATEMENTS
from schemas.records import StoredRecord
from transforms.identity import Identities

if TYPE_CHECKING:
    import pandas as pd  # a third of what a command takes to start

MORE_MEMORY = "Let DuckDB use more: estimate.memory, or PROFICIO_ESTIMATE__MEMORY."
_AT_ONCE = 16  # files that are brought from an object store
SETUP = """
create schema if not exists lake;
create table if not exists lake.offsets (
    topic varchar, log_partition integer, next_offset bigint, primary key (topic, log_partition)
);
create table if not exists lake.progress (load_id bigint, finished_load_id bigint, completed_load_id bigint);
create table if not exists lake.seeds (digest varchar, identities varchar);
create table if not exists lake.accounts (account_key uuid primary key, account varchar, person_key uuid);
create table if not exists lake.attributes (person_key uuid, attribute varchar, value varchar);
create table if not exists lake.rejected (
    origin varchar primary key, source varchar, clause varchar, rejected_at timestamptz, replayed boolean
);
create table if not exists lake.rejected_offsets (log_partition integer primary key, next_offset bigint);
create table if not exists lake.findings (day date, source varchar, finding varchar);
create table if not exists lake.relinked (account_key uuid, person_key uuid, load_id bigint);
insert into lake.progress select 0, 0, 0 where not exists (from lake.progress);
"""


@dataclass(frozen=True)
class Load:
    """One estimating run: its number, that of the last one finished, the files it takes up, whether it starts from nothing,
    accounts that moved.
    """

    load_id: int
    finished_load_id: int
    files: tuple[LakeFile, ...]
    full_refresh: bool
    relinked: int = 0

    @property
    def ends(self) -> dict[tuple[str, int], int]:
        """For each topic and partition of its files, the offset behind the last one."""
        ends: dict[tuple[str, int], int] = {}
        for file in self.files:
            ends[file.topic, file.partition] = max(ends.get((file.topic, file.partition), 0), file.last + 1)
        return ends


def begin_load(warehouse: Path, where: Lake, digest: str, identities: Identities, full_refresh: bool = False) -> Load:
    """Set `lake.statements` to what landed since the last finished load, and number the load.

    `lake.accounts` gets the person of each new account; where the identities changed, `lake.relinked` says which
    accounts moved from which person to which.

    A load that broke off left its number behind unfinished; the next one takes up its statements too. Another
    digest than that of the last finished load (of framework, rules, parameters, models, and of a lake written anew) asks
    for a full refresh, which takes up every statement again: no load counts as finished then, while completed_load_id
    still names the last one.
    """
    with connected(warehouse) as connection:
        connection.execute(SETUP)
        before, known = connection.execute("select digest, identities from lake.seeds").fetchone() or (None, None)
        full = full_refresh or digest != before
        if full:
            connection.execute("delete from lake.offsets; update lake.progress set finished_load_id = 0")
        taken = {
            (topic, partition): offset
            for topic, partition, offset in connection.execute("from lake.offsets").fetchall()
        }
        files = new_files(where, taken)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            paths = list(pool.map(where.local, files))
        connection.execute("update lake.progress set load_id = load_id + 1")
        connection.execute(f"create or replace view lake.statements as {_statements(paths)}")
        load_id, finished = connection.execute("select load_id, finished_load_id from lake.progress").fetchone() or (
            0,
            0,
        )
        if known != identities.digest:
            _relink(connection, identities, load_id)
            _note_attributes(connection, identities)
        _assign(connection, [account for (account,) in connection.execute(_NEW_ACCOUNTS).fetchall()], identities)
        moved = connection.execute(_MOVED).fetchone() or (0,)
    return Load(load_id, finished, files, full, moved[0])


def new_files(where: Lake, taken: Mapping[tuple[str, int], int]) -> tuple[LakeFile, ...]:
    """The files of the lake that hold offsets from those of `taken` on, each looked into: StorageError for a damaged one."""
    files = tuple(where.published(since=taken))
    for file in files:
        where.version(file)
    return files


_NEW_ACCOUNTS = """
select account from (
    select actor_id as account from lake.statements where member_ids is null
    union
    select unnest(member_ids) from lake.statements where member_ids is not null
) where account not in (select account from lake.accounts)
"""
_MOVED = """
select count(distinct account_key) from lake.relinked
where load_id > (select finished_load_id from lake.progress)
"""


def _assign(connection: duckdb.DuckDBPyConnection, accounts: list[str], identities: Identities) -> None:
    """Write the person of each account."""
    if accounts:
        assigned = pa.table({"account": accounts, "person_key": identities.person_keys(accounts)})
        connection.register("assigned", assigned)
        connection.execute(
            "insert or replace into lake.accounts select md5(account)::uuid, account, person_key::uuid from assigned"
        )
        connection.unregister("assigned")


def _relink(connection: duckdb.DuckDBPyConnection, identities: Identities, load_id: int) -> None:
    """Give every account its person anew; note which moved, with the person before and the one now."""
    known = connection.execute(
        "select account, replace(person_key::varchar, '-', '') as person from lake.accounts"
    ).fetchall()
    moved = [
        (account, before, now)
        for (account, before), now in zip(known, identities.person_keys(one for one, _ in known), strict=True)
        if now != before
    ]
    if moved:
        pairs = [(account, person) for account, *people in moved for person in people]
        accounts, people = map(list, zip(*pairs, strict=True))
        connection.register("moves", pa.table({"account": accounts, "person": people}))
        connection.execute("insert into lake.relinked select md5(account)::uuid, person::uuid, ? from moves", [load_id])
        connection.unregister("moves")
    _assign(connection, [account for account, *_ in moved], identities)


def _note_attributes(connection: duckdb.DuckDBPyConnection, identities: Identities) -> None:
    rows = [(person, attribute, value) for (person, attribute), value in identities.attributes_of_people().items()]
    people, attributes, values = map(list, zip(*rows, strict=True)) if rows else ([], [], [])
    given = {"person_key": people, "attribute": attributes, "value": values}
    connection.register("given", pa.table({name: pa.array(column, pa.string()) for name, column in given.items()}))
    connection.execute(
        "delete from lake.attributes; insert into lake.attributes select person_key::uuid, attribute, value from given"
    )
    connection.unregister("given")


def finish_load(warehouse: Path, load: Load, digest: str, identities: Identities, vacuum: bool = False) -> None:
    """Note that every model has taken up a load: the next one starts behind it.

    With `vacuum` the checkpoint at closing also rewrites row groups that deletions thinned out, which may take longer
    than a load; at all other times it is left out.
    """
    ends = load.ends
    with connected(warehouse) as connection:
        connection.execute("begin")
        if ends:
            connection.executemany(
                "insert or replace into lake.offsets values (?, ?, ?)",
                [(topic, partition, offset) for (topic, partition), offset in ends.items()],
            )
        connection.execute("update lake.progress set finished_load_id = load_id, completed_load_id = load_id")
        connection.execute("delete from lake.seeds")
        connection.execute("insert into lake.seeds values (?, ?)", [digest, identities.digest])
        connection.execute("commit")
        if vacuum:
            connection.execute("reset max_vacuum_tasks")


def rejected_offsets(warehouse: Path) -> dict[int, int]:
    """For each partition of the dead letters the offset behind the last one that was read into `lake.rejected`."""
    with connected(warehouse) as connection:
        connection.execute(SETUP)
        return dict(connection.execute("select log_partition, next_offset from lake.rejected_offsets").fetchall())


def note_rejected(warehouse: Path, partition: int, end: int, letters: Iterable[StoredRecord]) -> int:
    """Write dead letters up to offset `end` of a partition into `lake.rejected`, the newest of each origin; how many came."""
    newest, count = newest_letters(letters)
    with connected(warehouse) as connection:
        connection.execute("begin")
        if newest:
            connection.executemany(_NOTE_REJECTED, newest)
        connection.execute("insert or replace into lake.rejected_offsets values (?, ?)", [partition, end])
        connection.execute("commit")
    return count


def newest_letters(letters: Iterable[StoredRecord]) -> tuple[list[tuple[Any, ...]], int]:
    """Origin, source, clause, moment and whether it was replayed, of the newest of each origin; how many came."""
    newest: dict[str, tuple[Any, ...]] = {}
    count = 0
    for count, letter in enumerate(letters, start=1):  # noqa: B007 - the last count is wanted
        headers = letter.headers
        origin = headers.get("origin", letter.place)
        moment = datetime.fromtimestamp(int(headers.get("rejected-at", letter.timestamp)) / 1000, UTC)
        newest[origin] = (origin, headers.get("source"), headers.get("clause"), moment, "replayed" in headers)
    return list(newest.values()), count


# A mark that a letter was replayed names its origin alone; what it was stays.
_NOTE_REJECTED = """
insert into lake.rejected values (?, ?, ?, ?, ?)
on conflict do update set source = coalesce(excluded.source, source), clause = coalesce(excluded.clause, clause),
    rejected_at = case when excluded.replayed then rejected_at else excluded.rejected_at end, replayed = excluded.replayed
"""


def note_findings(warehouse: Path, day: date, findings: Iterable[tuple[str | None, str]]) -> None:
    """Keep what expectations found on a day, of a source or of no single one, in place of what they found on it before."""
    found = [(day, source, text) for source, text in findings]
    with connected(warehouse) as connection:
        connection.execute("begin")
        connection.execute("delete from lake.findings where day = ?", [day])
        if found:
            connection.executemany("insert into lake.findings values (?, ?, ?)", found)
        connection.execute("commit")


def rows(database: Path, query: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """The rows of a query on a DuckDB file, opened read-only, as dictionaries."""
    with connected(database, read_only=True) as connection:
        cursor = connection.execute(query, parameters)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def frame(database: Path, query: str) -> "pd.DataFrame":
    """The rows of a query on a DuckDB file, opened read-only, as a data frame."""
    if not database.exists():
        raise InputError(f"There is no warehouse {database} yet.", "Estimate first: proficio estimate.")
    with connected(database, read_only=True) as connection:
        return connection.execute(query).df()


def parquet_rows(path: Path, query: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """The rows of a query on one Parquet file, there called `mart`, as dictionaries. StorageError where it is damaged."""
    name = quoted(path)
    with duckdb.connect() as connection:
        try:
            connection.execute(f"set TimeZone = 'UTC'; create view mart as from read_parquet('{name}')")
            return dictionaries(connection.execute(query, parameters))
        except (duckdb.IOException, duckdb.InvalidInputException) as error:
            raise StorageError(
                f"{path} cannot be read as Parquet: {error}"[:500], "Write it again: proficio publish."
            ) from error


def dictionaries(cursor: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """The rows of a result as dictionaries."""
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def quoted(path: Path) -> str:
    """A path as it stands between quotes in SQL."""
    return str(path).replace("'", "''")


@contextmanager
def alone(warehouse: Path, patience: float = 1800) -> Iterator[None]:
    """Have the warehouse and what is published from it to oneself: estimating, publishing, erasing, backups wait for each other.

    UnavailableError after so many seconds.
    """
    with storage_errors(warehouse), locked(warehouse.with_suffix(".lock"), patience):
        yield


def _statements(paths: Sequence[Path]) -> str:
    columns = ", ".join(STATEMENTS.names)
    if paths:
        listed = ", ".join(f"'{quoted(path)}'" for path in paths)
        relation = f"read_parquet([{listed}], hive_partitioning = false)"
    else:
        with duckdb.connect() as connection:
            connection.register("empty", STATEMENTS.empty_table())
            described = connection.execute("describe empty").fetchall()
        relation = "(select " + ", ".join(f"null::{kind} as {name}" for name, kind, *_ in described) + " limit 0)"
    return (
        f"select {columns}, (select load_id from lake.progress) as load_id from {relation} as files "  # noqa: S608
        "where not exists (select 1 from lake.offsets as taken where taken.topic = files.topic "
        "and taken.log_partition = files.log_partition and files.log_offset < taken.next_offset)"
    )


@contextmanager
def connected(path: Path, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB file, opened. UnavailableError while another process writes it, StorageError where the disk refuses."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = duckdb.connect(str(path), read_only=read_only)
    except duckdb.IOException as error:
        if "lock" in str(error):
            raise UnavailableError(
                f"{path} is held by another process.", "Wait for it to end; one at a time writes it."
            ) from error
        raise StorageError(f"{path} cannot be opened: {error}", "Check the disk and the folder.") from error
    try:
        connection.execute("set enable_progress_bar = false")  # it would stand between the lines of --json
        connection.execute("set max_vacuum_tasks = 0")  # rewriting row groups takes longer than a load: see finish_load
        yield connection
    except duckdb.OutOfMemoryException as error:
        raise StorageError(f"{path}: {str(error).splitlines()[0]}", MORE_MEMORY) from error
    except (duckdb.IOException, duckdb.FatalException, duckdb.TransactionException) as error:
        if isinstance(error, duckdb.TransactionException) and "Failed to commit" not in str(error):
            raise  # a fault of ours; a commit fails where the disk does
        raise StorageError(f"{path} cannot be read or written: {error}", "Check the disk and the folder.") from error
    finally:
        connection.close()
