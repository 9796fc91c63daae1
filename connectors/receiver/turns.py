"""Several receivers, one after another: who writes to the event log, and what becomes of whoever did not end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, Table, Text
from sqlalchemy.exc import OperationalError

from connectors.database import Database, Where, found, sql

TABLES = MetaData()
# One row: who writes, since when (µs since 1970, by the server's clock). It stands until the store has what was written.
Table(
    "writing",
    TABLES,
    Column("one", Integer, primary_key=True),
    Column("transactional_id", Text),
    Column("since", BigInteger),
)
_LOCK = 7_766_703  # of pg_advisory_lock: whoever has it writes
_NOW = "cast(extract(epoch from clock_timestamp()) * 1000000 as bigint)"
# Whoever has the turn and has asked nothing for a while: stopped, cut off, or waiting for a log that does not answer.
_END_IDLE = """
select pg_terminate_backend(pid) from pg_locks join pg_stat_activity using (pid)
where locktype = 'advisory' and granted and objid = :lock and datname = current_database()
    and state like 'idle%' and state_change < clock_timestamp() - make_interval(secs => :patience)
"""


class Turns:
    """Turns at writing, for a process with a transactional id of its own (Kafka, KIP-98)."""

    def __init__(self, where: Where, transactional_id: str, patience: float) -> None:
        self._database, self._patience = Database(where, TABLES), patience
        self.transactional_id = transactional_id

    @contextmanager
    def turn(self, recover: Callable[[str, Connection], None]) -> Iterator[Connection]:
        """Have the turn, in a session. Left with `ended`, nothing is in doubt; else whoever has the next turn is told.

        Where a turn before did not end, `recover` is called with its transactional id first: it must see to it that whoever had
        it writes no more, and keep what the log has of it. Whoever holds the turn and asks nothing of the server for longer than
        `patience` loses it: its session is ended, and with it what it was about to commit.
        """
        # From the note on a reader sees that somebody writes: what is stored later is newer than what it calls consistent.
        note = sql(f"insert into writing values (1, :own, {_NOW}) on conflict do nothing returning 1")  # noqa: S608
        with _taken(self._database, self._patience) as session:
            if not list(found(session, note, {"own": self.transactional_id})):
                [(doubt,)] = found(session, sql("select transactional_id from writing"))
                recover(doubt, session)
                session.execute(sql("update writing set transactional_id = :own"), {"own": self.transactional_id})
            yield session

    def consistent_through(self) -> int:
        """The moment (µs since 1970) up to which nobody writes any more, and everything can be read."""
        # The moment of the query is before the one that it sees.
        query = sql(f"select coalesce((select since from writing), {_NOW.replace('clock', 'statement')})")  # noqa: S608
        with self._database.session() as connection:
            return int(connection.execute(query).scalar_one()) - 1


def passed(where: Where, patience: float) -> None:
    """Wait until whoever has the turn now has given it back."""
    with _taken(Database(where, TABLES), patience):
        pass


def ended(session: Connection) -> None:
    """Say, in the transaction that keeps what was written, that nothing of the turn is in doubt.

    Not flushed at once: where a power cut takes this, it leaves the doubt, which was.
    """
    session.execute(sql("delete from writing where set_config('synchronous_commit', 'off', true) = 'off'"))


@contextmanager
def _taken(database: Database, patience: float) -> Iterator[Connection]:
    with database.session() as session:
        session.execute(sql(f"set lock_timeout = '{patience:g}s'"))
        while not _locked(session):
            session.execute(sql(_END_IDLE), {"lock": _LOCK, "patience": patience})
        try:
            yield session
        finally:
            if not session.invalidated:
                session.execute(
                    sql("select pg_advisory_unlock(:lock), set_config('lock_timeout', '0', false)"), {"lock": _LOCK}
                )


def _locked(session: Connection) -> bool:
    try:
        session.execute(sql("select pg_advisory_lock(:lock)"), {"lock": _LOCK})
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", "") == "55P03":  # lock_not_available
            return False
        raise
    return True
