"""Several receivers, one after another: who writes to the event log, and what becomes of whoever did not end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, Table, Text
from sqlalchemy.exc import OperationalError

from connectors.database import Database, Where, sql

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


class Turn(NamedTuple):
    """A turn: the session that has it, and the moment (µs since 1970) from which on statements may be called stored."""

    session: Connection
    now: int


class Turns:
    """Turns at writing, for a process with a transactional id of its own (Kafka, KIP-98)."""

    def __init__(self, where: Where, transactional_id: str, patience: float = 15) -> None:
        self._database, self._patience = Database(where, TABLES), patience
        self.transactional_id = transactional_id

    @contextmanager
    def turn(self, recover: Callable[[str, Connection], None]) -> Iterator[Turn]:
        """Have the turn. Left with `ended`, nothing is in doubt; left otherwise, whoever has the next turn is told.

        Where a turn before did not end, `recover` is called with its transactional id first: it must see to it that whoever had
        it writes no more, and keep what the log has of it. Whoever holds the turn and asks nothing of the server for longer than
        `patience` loses it: its session is ended, and with it what it was about to commit.
        """
        with self._database.session() as session:
            self._take(session)
            try:
                with session.begin():
                    doubt = session.execute(sql("select transactional_id from writing")).scalar_one_or_none()
                if doubt is not None:
                    recover(doubt, session)
                with session.begin():
                    session.execute(sql("delete from writing"))
                    row = {"one": 1, "transactional_id": self.transactional_id}
                    session.execute(sql(f"insert into writing values (:one, :transactional_id, {_NOW})"), row)  # noqa: S608
                # From here on a reader sees that somebody writes; what is stored now is newer than what it calls consistent.
                with session.begin():
                    now = int(session.execute(sql(f"select {_NOW}")).scalar_one())
                yield Turn(session, now)
            finally:
                self._give_back(session)

    def consistent_through(self) -> int:
        """The moment (µs since 1970) up to which nobody writes any more, and everything can be read."""
        # The moment of the query is before the one that it sees.
        query = sql(f"select coalesce((select since from writing), {_NOW.replace('clock', 'statement')})")  # noqa: S608
        with self._database.reading() as connection:
            return int(connection.execute(query).scalar_one()) - 1

    def passed(self) -> None:
        """Wait until whoever has the turn now has given it back."""
        with self._database.session() as session:
            self._take(session)
            self._give_back(session)

    def _take(self, session: Connection) -> None:
        while True:
            try:
                with session.begin():
                    session.execute(sql(f"set local lock_timeout = '{self._patience:g}s'"))
                    session.execute(sql("select pg_advisory_lock(:lock)"), {"lock": _LOCK})
                return
            except OperationalError as error:
                if getattr(error.orig, "sqlstate", "") != "55P03":  # lock_not_available
                    raise
            with session.begin():
                session.execute(sql(_END_IDLE), {"lock": _LOCK, "patience": self._patience})

    def _give_back(self, session: Connection) -> None:
        if not session.invalidated:
            with session.begin():
                session.execute(sql("select pg_advisory_unlock(:lock)"), {"lock": _LOCK})


def ended(session: Connection) -> None:
    """Say, in the transaction that keeps what was written, that nothing of the turn is in doubt.

    Not flushed at once: where a power cut takes this, it leaves the doubt, which was.
    """
    session.execute(sql("set local synchronous_commit = off"))
    session.execute(sql("delete from writing"))
