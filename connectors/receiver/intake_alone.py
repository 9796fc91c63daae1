"""Taking in for a receiver that is alone: its store is written behind the event log, in larger pieces."""

import logging
from collections.abc import Mapping
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic, sleep, time_ns
from typing import NamedTuple

import orjson

from connectors.erased import Erased
from connectors.event_log import EventLog
from connectors.receiver.intake import MARKED_EVERY, Intake, catch_up, ends_of
from connectors.receiver.judging import Given, Ready, Submission, judged
from connectors.receiver.store import StatementStore
from schemas.errors import ProficioError
from schemas.records import STATEMENTS
from schemas.xapi import Statement

_KEPT_AT_ONCE, _KEPT_WITHIN = 10_000, 0.25  # statements, seconds
_MOST_UNKEPT = 50_000  # statements in memory that the store does not have


class _Written(NamedTuple):
    """Statements that are in the event log; `ends`: where its partitions end behind them, from time to time."""

    statements: list[Ready]
    ends: dict[int, int]


class IntakeAlone(Intake):
    """See `Intake`. A second thread keeps in the store what was answered; a reader waits for it (`settled`)."""

    def __init__(self, log: EventLog, store: StatementStore, register: Erased | None = None) -> None:
        self._log, self._store, self._register = log, store, register
        self._uncertain = False
        self._catch_up()
        self._last = store.newest()
        self._writes = 0
        self._writing_since: int | None = None  # µs since 1970
        self._unkept: dict[str, Statement] = {}  # in the log, not yet in the store
        self._fault: ProficioError | None = None  # of the store
        self._written: SimpleQueue[_Written | Future[None] | None] = SimpleQueue()
        self._keeper = Thread(target=self._keep, name="intake keeping", daemon=True)
        self._keeper.start()
        super().__init__()

    def consistent_through(self) -> int:
        """See `Intake`."""
        now = time_ns() // 1000
        return (self._writing_since or now) - 1

    def settled(self) -> "Future[None]":
        """See `Intake`."""
        done: Future[None] = Future()
        if self._unkept:
            self._written.put(done)
        else:
            done.set_result(None)
        return done

    def check(self) -> None:
        """See `Intake`; a fault of the store too, as long as it lasts."""
        if self._fault:
            raise self._fault
        super().check()

    def close(self) -> None:
        """Write what waits, and end."""
        super().close()
        self._written.put(None)
        self._keeper.join()
        if not self._unkept:
            self._store.add([], ends_of(self._log))

    def _write(self, together: list[Submission]) -> None:
        while len(self._unkept) > _MOST_UNKEPT and not self._fault:
            sleep(0.01)
        self._writing_since = time_ns() // 1000
        try:
            if self._fault:
                raise self._fault
            if self._uncertain:
                self._catch_up()
                self._uncertain = False
            known = self._known([one for each in together for one in each.ids()])
            found = judged(together, known, max(time_ns() // 1000, self._last + 1), self._register)
            if found.ready:
                self._last = found.ready[-1].stored
                self._uncertain = True  # until the log has answered: it may have them, and they may be sent again
                self._log.append(STATEMENTS, [one.record() for one in found.ready])
                self._uncertain = False
                self._writes += 1
                self._unkept |= {one.statement["id"]: one.statement for one in found.ready}
                ends = ends_of(self._log) if self._writes % MARKED_EVERY == 0 else {}
                self._written.put(_Written(found.ready, ends))
        finally:
            self._writing_since = None
        found.answer()

    def _known(self, ids: list[str]) -> dict[str, Statement]:
        """The statements of these ids that were taken before. One that is not unkept any more is in the store."""
        unkept = {one: statement for one in ids if (statement := self._unkept.get(one))}
        kept = self._store.known(one for one in ids if one not in unkept)
        return unkept | {statement_id: orjson.loads(text) for statement_id, text in kept.items()}

    def _keep(self) -> None:
        written: list[_Written] = []
        ended = False
        while not ended:
            readers, ended = self._gather(written)
            try:
                self._keep_all(written)
                self._fault = None
                written.clear()
            except ProficioError as fault:  # requests hear of it, and it is tried again until it goes
                self._fault = fault
            for reader in readers:
                if reader.set_running_or_notify_cancel():
                    if self._fault:
                        reader.set_exception(self._fault)
                    else:
                        reader.set_result(None)

    def _gather(self, written: list[_Written]) -> tuple[list["Future[None]"], bool]:
        """Add to `written` what comes until somebody reads, or for a moment; who reads, and whether it was the last."""
        ends_at = monotonic() + _KEPT_WITHIN if written else None
        while sum(len(one.statements) for one in written) < _KEPT_AT_ONCE or self._fault:
            try:
                one = self._written.get(timeout=None if ends_at is None else max(ends_at - monotonic(), 0))
            except Empty:
                break
            if one is None:
                return [], True
            if isinstance(one, Future):
                return [one], False
            written.append(one)
            ends_at = ends_at or monotonic() + _KEPT_WITHIN
        return [], False

    def _keep_all(self, written: list[_Written]) -> None:
        ends: dict[int, int] = {}
        for each in written:
            ends |= each.ends
        ready = [one for each in written for one in each.statements]
        if ready:
            self._add([one.given() for one in ready], ends)
            for one in ready:
                del self._unkept[one.statement["id"]]

    def _add(self, kept: list[Given], ends: Mapping[int, int] | None = None) -> None:
        """Add to the store. A statement that meets a fault of ours is logged and left out: it stops no other, nor the next start.

        The event log has it; only reading it back here is lost.
        """
        try:
            self._store.add(kept, ends)
        except ProficioError:
            raise
        except Exception:
            if len(kept) > 1:
                for one in kept:
                    self._add([one])
            else:
                found = kept[0][0]["id"]
                logging.getLogger(__name__).exception(
                    "The store does not take statement %s.", found, extra={"statement_id": found}
                )

    def _catch_up(self) -> None:
        self._store.add([], catch_up(self._log, self._store, self._add))
