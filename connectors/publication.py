"""Published copies of the marts: Parquet files and one DuckDB file, replaced atomically, so that no reader waits."""

import os
from collections.abc import Sequence
from pathlib import Path

import duckdb

from connectors.lake import storage_errors
from connectors.warehouse import connected, quoted
from schemas.errors import InputError

DATABASE = "proficio.duckdb"
# What pages read of one person at a time: sorted and in small row groups, so that most of a file need not be read.
BY_PERSON = frozenset(
    {
        "mart_levels",
        "mart_level_history",
        "mart_evidence",
        "mart_role_gaps",
        "mart_next_steps",
        "dim_account",
        "dim_person",
    }
)
ROW_GROUP = 20_480
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
            rows_of, groups = mart, ""
            if mart in BY_PERSON:
                rows_of, groups = f"(from {mart} order by person)", f", row_group_size {ROW_GROUP}"
            target = quoted(folder / f"{mart}.parquet")
            try:
                copied = connection.execute(f"copy {rows_of} to '{target}' (format parquet, compression zstd{groups})")
            except duckdb.CatalogException:
                raise InputError(f"The warehouse has no {mart} yet.", "Estimate first: proficio estimate.") from None
            rows[mart] = (copied.fetchone() or (0,))[0]
    return rows


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
