"""Tables that processes share: in one SQLite file, or in a PostgreSQL that receivers on several machines share."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    Executable,
    MetaData,
    NullPool,
    QueuePool,
    Table,
    TextClause,
    bindparam,
    create_engine,
    event,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from connectors.sqlite_files import settle
from connectors.storage import storage_errors
from schemas.errors import StorageError, UnavailableError

Where = Path | URL
_POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]
SCHEMA = "proficio_state"
_AT_ONCE = 2_000  # rows
_LOCK = 7_766_702  # of pg_advisory_xact_lock: one makes tables at a time


class Database:
    """Some tables, made when they are first used. Errors: StorageError of a file, UnavailableError of a server.

    `kept_open` keeps a file's connections; else each use opens one, so that many objects may be made and none closed.
    """

    def __init__(self, where: Where, tables: MetaData, kept_open: bool = False, pragmas: tuple[str, ...] = ()) -> None:
        self.where, self._tables, self._is_made = where, tables, False
        self._engine = _of_server(where) if isinstance(where, URL) else _of_file(where, kept_open, pragmas)

    @property
    def shared(self) -> bool:
        """Whether it is a server's."""
        return isinstance(self.where, URL)

    def exists(self) -> bool:
        """Whether anything was ever written: a server's tables count as such."""
        return not isinstance(self.where, Path) or self.where.exists()

    @contextmanager
    def session(self) -> Iterator[Connection]:
        """A connection in which each query stands for itself, and asks a server once; but those in a `transaction`."""
        with self._errors(), self._opened() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT") if self.shared else connection

    @contextmanager
    def scanning(self) -> Iterator[Connection]:
        """A connection to read many rows by, as they come."""
        with self._errors(), self._opened().execution_options(yield_per=_AT_ONCE) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction: all of it, or nothing where an exception leaves the block."""
        with self._errors(), self._opened().execution_options(writes=True) as connection, connection.begin():
            yield connection

    @contextmanager
    def deleting(self) -> Iterator[Connection]:
        """A transaction after which nothing of what was deleted is left in the file, or in the server's tables."""
        with self.writing() as connection:
            yield connection
        with self._errors(), self._engine.connect() as connection:
            if self.shared:
                names = ", ".join(self._tables.tables)
                connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(f"vacuum {names}")
            else:
                settle(connection.connection.driver_connection)  # type: ignore[arg-type]

    def close(self) -> None:
        """Release a file. A server's connections are the process's."""
        if not self.shared:
            self._engine.dispose()

    def _opened(self) -> Connection:
        if not isinstance(self.where, Path):
            _make_on_server(self._engine, self._tables)
        elif not self._is_made or not self.where.exists():
            with storage_errors(self.where):
                self.where.parent.mkdir(parents=True, exist_ok=True)
                self.where.touch(mode=0o600)
            with self._engine.connect().execution_options(writes=True) as connection, connection.begin():
                self._tables.create_all(connection)
            self._is_made = True
        return self._engine.connect()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            reason = str(error.orig if isinstance(error, DBAPIError) else error).strip().splitlines()[0][:300]
            if isinstance(self.where, Path):
                raise StorageError(f"{self.where} cannot be read or written: {reason}", "Check the disk.") from error
            raise UnavailableError(
                f"PostgreSQL at state.url cannot be used: {reason}", "Check that it runs, and the rights of its user."
            ) from error


@contextmanager
def transaction(session: Connection) -> Iterator[None]:
    """A transaction in a server's session."""
    session.exec_driver_sql("begin")
    try:
        yield
    except BaseException:
        if not session.invalidated:
            session.exec_driver_sql("rollback")
        raise
    session.exec_driver_sql("commit")


@lru_cache
def sql(query: str, *lists: str) -> TextClause:
    """A query with named parameters, of which some are lists, as in `id in :ids`."""
    return text(query).bindparams(*(bindparam(name, expanding=True) for name in lists))


def found(connection: Connection, query: Executable, given: Any = None) -> Iterator[Any]:
    """The rows that a query finds, as they come."""
    return iter(connection.execute(query, given))


def insert_new(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> int:
    """Insert rows, values in the order of the columns; one whose key is there already stays as it is. How many were new.

    Straight to the driver, which takes thousands of rows at once: PostgreSQL as an array for each column.
    """
    if not rows:
        return 0
    if connection.dialect.name == "postgresql":
        given = tuple(_array(column) for column in zip(*rows, strict=True))
        return connection.exec_driver_sql(_insertion(table, True), given).rowcount
    return connection.exec_driver_sql(_insertion(table, False), list(rows)).rowcount


def _array(values: tuple[Any, ...]) -> Any:
    """As an array; of integers as its text, which the driver makes slowly."""
    return f"{{{','.join(map(str, values))}}}" if all(type(one) is int for one in values) else list(values)


@lru_cache
def _insertion(table: Table, by_arrays: bool) -> str:
    columns = table.columns.values()
    head = f"insert into {table.name} ({', '.join(one.name for one in columns)})"
    if by_arrays:
        arrays = ", ".join(f"cast(%s as {one.type.compile(_POSTGRESQL)}[])" for one in columns)
        return f"{head} select * from unnest({arrays}) on conflict do nothing"  # noqa: S608
    return f"{head} values ({', '.join('?' for _ in columns)}) on conflict do nothing"


def _of_file(path: Path, kept_open: bool, pragmas: tuple[str, ...]) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=QueuePool if kept_open else NullPool,
        connect_args={"timeout": 60, "check_same_thread": False},
    )

    def opened(connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions begin where SQLAlchemy begins them
        for pragma in ("journal_mode = wal", "secure_delete = on", *pragmas):
            connection.execute(f"pragma {pragma}")

    def begun(connection: Connection) -> None:
        # One that reads before it writes would else meet another's write, and could not wait for it. What only reads needs none.
        if connection.get_execution_options().get("writes"):
            connection.exec_driver_sql("begin immediate")

    event.listen(engine, "connect", opened)
    event.listen(engine, "begin", begun)
    return engine


@lru_cache
def _make_on_server(engine: Engine, tables: MetaData) -> None:
    with engine.begin() as connection:
        connection.execute(sql("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        # A user who may make no schema may still use one that an administrator made.
        there = connection.execute(sql("select 1 from pg_namespace where nspname = :name"), {"name": SCHEMA})
        if not there.fetchall():
            connection.exec_driver_sql(f"create schema {SCHEMA}")
        tables.create_all(connection)


@lru_cache
def _of_server(url: URL) -> Engine:
    """One for the whole process: its connections stay open. A peer that is gone is known within half a minute."""
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        max_overflow=20,
        connect_args={
            "connect_timeout": 10,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
            "application_name": "proficio",
            "options": f"-c search_path={SCHEMA}",
        },
    )
