"""What names a person in files of no format of their own: found, and taken out. Logs, notes of runs, Prefect's database."""

import os
import re
import sqlite3
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import duckdb

from connectors.sqlite_files import settle
from connectors.storage import storage_errors
from connectors.warehouse import connected, quoted
from schemas.errors import StorageError

_SQLITE = b"SQLite format 3\0"
_LINES = {".jsonl", ".log", ".ndjson"}  # of which each line stands for itself
_DATABASES = {".duckdb", ".parquet"}
_AT_ONCE = 1 << 24


def clear(files: Iterable[Path], words: re.Pattern[str], instead: str) -> list[Path]:
    """Take what names a person out of files: lines of logs go, elsewhere `instead` stands. The files that changed."""
    changed = []
    for path in files:
        with storage_errors(path), suppress(FileNotFoundError):  # it went meanwhile
            if (_clear_sqlite if _is_sqlite(path) else _clear_text)(path, words, instead):
                changed.append(path)
    return changed


def found(folder: Path, words: re.Pattern[str]) -> list[Path]:
    """Every file under a folder in which a person is named still; Parquet, DuckDB and SQLite files are opened and read."""
    return [path for path in files(folder) if _names(path, words)]


def files(folder: Path) -> Iterator[Path]:
    """Every file under a folder, less those of a database's own that stand beside it."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and not path.name.endswith(("-wal", "-shm")):
            yield path


def mirrors_naming(folder: Path, words: re.Pattern[str]) -> list[Path]:
    """Mirrors of Git repositories whose commits name a person."""
    naming = []
    for mirror in sorted(path.parent for path in folder.glob("*/HEAD")):
        told = subprocess.run(
            ["git", "-C", str(mirror), "log", "--all", "--format=%an %ae %cn %ce %B"], capture_output=True, check=True
        ).stdout.decode(errors="replace")
        if words.search(told):
            naming.append(mirror)
    return naming


def _clear_text(path: Path, words: re.Pattern[str], instead: str) -> bool:
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        return False
    if not words.search(text):
        return False
    if path.suffix in _LINES:
        left = "".join(line for line in text.splitlines(keepends=True) if not words.search(line))
    else:
        left = words.sub(instead, text)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(left, "utf-8")
    temporary.replace(path)
    return True


def _clear_sqlite(path: Path, words: re.Pattern[str], instead: str) -> bool:
    with closing(sqlite3.connect(path, timeout=60)) as connection:
        connection.create_function("names", 1, lambda value: _in(value, words))
        connection.create_function("cleared", 1, lambda value: _cleared(value, words, instead))
        connection.execute("pragma secure_delete = on")
        changed = 0
        with connection:
            for table, column in _columns(connection):
                where = f'"{table}" set "{column}" = cleared("{column}") where names("{column}")'
                changed += connection.execute(f"update or ignore {where}").rowcount
                # What is left would stand twice then.
                changed += connection.execute(f'delete from "{table}" where names("{column}")').rowcount  # noqa: S608
        if changed:
            connection.execute("vacuum")
            settle(connection)
    return bool(changed)


def _columns(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return connection.execute(
        "select m.name, c.name from sqlite_master m join pragma_table_info(m.name) c "
        "where m.type = 'table' and m.name not like 'sqlite_%' and upper(c.type) not in ('INTEGER', 'REAL', 'BOOLEAN')"
    ).fetchall()


def _in(value: object, words: re.Pattern[str]) -> bool:
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    return isinstance(value, str) and words.search(value) is not None


def _cleared(value: str | bytes, words: re.Pattern[str], instead: str) -> str | bytes:
    if isinstance(value, bytes):
        return words.sub(instead, value.decode(errors="surrogateescape")).encode(errors="surrogateescape")
    return words.sub(instead, value)


def _names(path: Path, words: re.Pattern[str]) -> bool:
    if path.suffix in _DATABASES:
        try:
            return _in_duckdb(path, words)
        except (duckdb.IOException, StorageError):
            if path.exists():
                raise
            return False  # it went meanwhile
    with storage_errors(path), suppress(FileNotFoundError), path.open("rb") as file:
        before = ""
        while piece := file.read(_AT_ONCE):
            text = before + piece.decode(errors="replace")
            if words.search(text):
                return True
            before = text[-512:]
    return False


def _in_duckdb(path: Path, words: re.Pattern[str]) -> bool:
    pattern = f"(?i){words.pattern}"
    if path.suffix == ".parquet":
        with duckdb.connect() as connection:
            return _matches(connection, f"read_parquet('{quoted(path)}')", pattern)
    with connected(path, read_only=True) as connection:
        tables = connection.execute(
            'select format(\'"{}"."{}"\', schema_name, table_name) from duckdb_tables() where not internal'
        ).fetchall()
        return any(_matches(connection, table, pattern) for (table,) in tables)


def _matches(connection: duckdb.DuckDBPyConnection, table: str, pattern: str) -> bool:
    return bool(
        connection.execute(
            f"select 1 from {table} as one where regexp_matches(one::varchar, $1) limit 1",  # noqa: S608 - its own tables
            [pattern],
        ).fetchall()
    )


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE
