"""Taking in for one of several receivers: they take turns, and whoever has one keeps what it writes at once."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future

from sqlalchemy import Connection

from connectors.database import transaction
from connectors.erased import Erased
from connectors.event_log import EventLog
from connectors.receiver.intake import MARKED_EVERY, Intake, catch_up, ends_of
from connectors.receiver.judging import Given, Submission, judged
from connectors.receiver.store import StatementStore, add, add_new, standing
from connectors.receiver.turns import Turns, ended
from schemas.records import STATEMENTS


class IntakeShared(Intake):
    """See `Intake`. What is answered is in the log and in the store. `fence` ends what a transactional id left open in the log.

    Between writing to the log and keeping in the store a process may end, or stand still. The turn says whose it was; the next
    one fences that id (KIP-98: its transaction is aborted, and it cannot commit any more), and keeps what the log has.
    """

    def __init__(
        self,
        log: EventLog,
        store: StatementStore,
        turns: Turns,
        fence: Callable[[str], None],
        register: Erased | None = None,
    ) -> None:
        self._log, self._store, self._turns, self._fence, self._register = log, store, turns, fence, register
        self._writes = 0
        with turns.turn(self._recover) as session:
            self._catch_up(session)  # a store that was brought back from a backup is behind
            with transaction(session):
                ended(session)
        super().__init__()

    def consistent_through(self) -> int:
        """See `Intake`."""
        return self._turns.consistent_through()

    def settled(self) -> "Future[None]":
        """Done at once: what was answered is in the store."""
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def check(self) -> None:
        """See `Intake`; what keeps the server from answering too."""
        super().check()
        self._turns.consistent_through()

    def _write(self, together: list[Submission]) -> None:
        if not together:
            return
        with self._turns.turn(self._recover) as session:
            there = standing(session, [one for each in together for one in each.ids()])
            found = judged(together, there.known, max(there.now, there.stored + 1), self._register)
            ends: dict[int, int] = {}
            if found.ready:
                self._log.append(STATEMENTS, [one.record() for one in found.ready])
                self._writes += 1
                ends = ends_of(self._log) if self._writes % MARKED_EVERY == 0 else {}
            with transaction(session):
                if found.ready:
                    add_new(session, [one.given() for one in found.ready], there.number, there.are_meant)
                if ends:
                    add(session, [], ends)
                ended(session)
        found.answer()

    def _recover(self, transactional_id: str, session: Connection) -> None:
        if transactional_id != self._turns.transactional_id:  # what is our own, our log has decided
            self._fence(transactional_id)
        self._catch_up(session)

    def _catch_up(self, session: Connection) -> None:
        """Piece by piece, so that a long one is seen to go on."""

        def keep(some: list[Given], ends: Mapping[int, int] | None = None) -> None:
            with transaction(session):
                add(session, some, ends)

        keep([], catch_up(self._log, self._store, keep))
