"""Published copies of the marts: Parquet files and one DuckDB file, replaced atomically, so that no reader waits."""

import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import duckdb
import pyarrow.parquet as pq
from pydantic import ByteSize, TypeAdapter

from connectors.dbt import described
from connectors.storage import storage_errors
from connectors.warehouse import connected, quoted
from schemas.errors import InputError

DATABASE = "proficio.duckdb"
# What pages read of one person at a time: sorted and in small row groups, so that most of a file need not be read.
BY_PERSON = frozenset(
    {
        "mart_levels",
        "mart_level_history",
        "mart_role_gaps",
        "mart_next_steps",
        "dim_account",
        "dim_person",
    }
)
ROW_GROUP = 20_480
# What has a row for each piece of evidence, and windows over all of them: written share of people by share, as memory holds.
BY_SHARE = frozenset({"mart_evidence", "mart_explanations"})
_PIECE = 1024  # bytes that a piece may take meanwhile; docs/capacity.md has what it was measured on
IDENTIFYING = ("dim_account", "dim_person")  # who people are: in all others they stand by a keyed hash


def stage(warehouse: Path, folder: Path, marts: Sequence[str], memory: str) -> dict[str, int]:
    """Write marts from the warehouse into a folder that nobody reads, to be released from there; rows of each.

    `memory` is what DuckDB may use, such as 4GB; beyond it, it spills beside the warehouse.
    """
    if not warehouse.exists():
        raise InputError(f"There is no warehouse {warehouse} to publish from.", "Estimate first: proficio estimate.")
    rows = {}
    with storage_errors(folder), connected(warehouse, read_only=True) as connection:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _configure(connection, memory)
        for mart in marts:
            try:
                rows[mart] = _write(connection, mart, folder / f"{mart}.parquet", memory)
            except duckdb.CatalogException:
                raise InputError(f"The warehouse has no {mart} yet.", "Estimate first: proficio estimate.") from None
    return rows


def _write(connection: duckdb.DuckDBPyConnection, mart: str, target: Path, memory: str) -> int:
    """Write one mart; how many rows."""
    if mart in BY_SHARE:
        return _write_by_share(connection, mart, target, memory)
    rows_of, groups = mart, ""
    if mart in BY_PERSON:
        rows_of, groups = f"(from {mart} order by person)", f", row_group_size {ROW_GROUP}"
    written = connection.execute(f"copy {rows_of} to '{quoted(target)}' (format parquet, compression zstd{groups})")
    return int((written.fetchone() or (0,))[0])


def _write_by_share(connection: duckdb.DuckDBPyConnection, mart: str, target: Path, memory: str) -> int:
    """Write a mart sorted by person, so many people at a time that sorting what is theirs fits into memory; how many rows.

    The session's variables tell the models (macro is_asked_for) whom to work on, so that no share costs as much as the whole.
    """
    [(pieces,)] = connection.execute("select count(*) from int_evidence").fetchall()
    rows = 0
    schema = connection.sql(f"from {mart} limit 0").to_arrow_table().schema
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for first, last in _shares(1 + pieces * _PIECE // TypeAdapter(ByteSize).validate_python(memory)):
            connection.execute(
                f"set variable first_person = '{first}'::uuid; set variable last_person = '{last}'::uuid"
            )
            share = f"from {mart} where person between '{first.hex}' and '{last.hex}' order by person"
            for batch in connection.sql(share).to_arrow_reader(ROW_GROUP):
                writer.write_batch(batch, row_group_size=ROW_GROUP)
                rows += batch.num_rows
    connection.execute("reset variable first_person; reset variable last_person")
    return rows


def join_parts(parts: Path, mart: str, target: Path, memory: str) -> int:
    """Write a mart that lies in parts as `stage` would: one file, of the types that dbt's description gives; how many rows."""
    types = described()[mart].types
    columns = ", ".join(f"cast({name} as {kind}) as {name}" for name, kind in types.items())
    by_person = mart in BY_PERSON | BY_SHARE
    source = f"read_parquet('{quoted(parts)}/*.parquet')"
    order, groups = (" order by person", f", row_group_size {ROW_GROUP}") if by_person else ("", "")
    query = f"select {columns} from {source}{order}"  # noqa: S608 - names of ours
    with duckdb.connect() as connection:
        _configure(connection, memory)
        connection.execute("set temp_directory = ?", [str(parts)])
        copied = connection.execute(f"copy ({query}) to '{quoted(target)}' (format parquet, compression zstd{groups})")
        return int((copied.fetchone() or (0,))[0])


def _shares(count: int) -> Iterator[tuple[UUID, UUID]]:
    """Equal ranges of all keys of persons, first to last inclusive; keys are digests, so about as many people in each."""
    bounds = [2**128 * place // count for place in range(count + 1)]
    for first, end in pairwise(bounds):
        yield UUID(int=first), UUID(int=end - 1)


def release(staged: Path, folder: Path, marts: Sequence[str]) -> None:
    """Give staged marts to readers: each takes the place of the one before, whole."""
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for mart in marts:
            _swap(staged / f"{mart}.parquet", folder / f"{mart}.parquet")


def publish_database(folder: Path, marts: Sequence[str], memory: str) -> None:
    """Copy published marts into one read-only DuckDB file beside them."""
    target = folder / DATABASE
    temporary = _temporary(target)
    with storage_errors(folder):
        try:
            with duckdb.connect(str(temporary)) as connection:
                _configure(connection, memory)
                for mart in marts:
                    source = quoted(folder / f"{mart}.parquet")
                    connection.execute(f"create table {mart} as from read_parquet('{source}')")
            temporary.chmod(0o444)
            _swap(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


def _configure(connection: duckdb.DuckDBPyConnection, memory: str) -> None:
    connection.execute("set TimeZone = 'UTC'; set preserve_insertion_order = false; set enable_progress_bar = false")
    connection.execute("set memory_limit = ?", [memory])


def _temporary(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}.tmp")


def _swap(temporary: Path, target: Path) -> None:
    with temporary.open("rb") as written:
        os.fsync(written.fileno())
    temporary.replace(target)
