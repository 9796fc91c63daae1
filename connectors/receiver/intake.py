"""How statements are taken in: what several requests bring is written together, and answered when it is durable."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from itertools import islice
from queue import SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any

from connectors.event_log import EventLog
from connectors.receiver.judging import Given, Submission, given_of
from connectors.receiver.store import StatementStore
from schemas.errors import ProficioError
from schemas.records import STATEMENTS
from schemas.xapi import Statement

_FRESH = 10  # seconds that the failure of a write says something of the next
_AT_ONCE = 2_000  # statements written together
MARKED_EVERY = 200  # writes; what was written since is read from the log again after a crash
Keep = Callable[[list[Given]], None]


class Intake(ABC):
    """A thread that takes what several requests brought, judges it, writes it to the event log and answers.

    A request's statements are taken all or none. What a crash leaves in the log without an answer is sent again by its client
    with the same ids, and lands once; what it leaves out of the store is read from the log.
    """

    def __init__(self) -> None:
        self._failed: tuple[ProficioError, float] | None = None  # the newest write, and when
        self._asked: SimpleQueue[Submission | None] = SimpleQueue()
        self._thread = Thread(target=self._take, name="intake", daemon=True)
        self._thread.start()

    def submit(
        self, statements: list[Statement], client: str, authority: dict[str, Any], version: str
    ) -> "Future[list[str]]":
        """The ids of valid statements, in their order, once they are durable.

        The future raises ConflictError for an id that belongs to another statement, and what the log or the disk raise.
        """
        done: Future[list[str]] = Future()
        self._asked.put(Submission(statements, client, authority, version, done))
        return done

    @abstractmethod
    def consistent_through(self) -> int:
        """The moment (µs since 1970) up to which whoever waits for `settled` from now on can read every statement stored."""

    @abstractmethod
    def settled(self) -> "Future[None]":
        """Done when the store has every statement that was answered before. It raises what the disk does."""

    def check(self) -> None:
        """Raise what kept statements from being taken just now. After a while who asks may try: else nobody would again."""
        if self._failed and monotonic() - self._failed[1] < _FRESH:
            raise self._failed[0]

    def close(self) -> None:
        """Write what waits, and end."""
        self._asked.put(None)
        self._thread.join()

    @abstractmethod
    def _write(self, together: list[Submission]) -> None:
        """Judge, write and answer requests. Whatever it raises, each of them hears."""

    def _take(self) -> None:
        ended = False
        while not ended:
            together: list[Submission] = []
            one = self._asked.get()
            while one is not None:
                together.append(one)
                if self._asked.empty() or sum(len(each.statements) for each in together) >= _AT_ONCE:
                    break
                one = self._asked.get()
            ended = one is None
            # From here on a request that is given up cannot take its future back.
            begun = [each for each in together if each.done.set_running_or_notify_cancel()]
            try:
                self._write(begun)
                self._failed = None
            except Exception as error:  # every request that waits is to hear of it
                self._failed = (error, monotonic()) if isinstance(error, ProficioError) else None
                for each in begun:
                    if not each.done.done():
                        each.done.set_exception(error)


def catch_up(log: EventLog, store: StatementStore, keep: Keep) -> dict[int, int]:
    """Keep what the log has from receivers and the store lost, by a crash or a power cut; where the log ends."""
    begun, ends = store.read_to(), log.offsets(STATEMENTS)
    for partition, offsets in ends.items():
        records = log.read(STATEMENTS, partition, max(begun.get(partition, 0), offsets.begin), offsets.end)
        of_receiver = (one for one in records if one.value and "received-by" in one.headers)
        while some := list(islice(of_receiver, _AT_ONCE)):
            keep([given_of(one) for one in some])
    return {partition: offsets.end for partition, offsets in ends.items()}


def ends_of(log: EventLog) -> dict[int, int]:
    """Where the log ends. Who alone writes for receivers knows that what they wrote before stands below."""
    return {partition: offsets.end for partition, offsets in log.offsets(STATEMENTS).items()}
