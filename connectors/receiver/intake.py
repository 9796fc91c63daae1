"""How statements are taken in: what several requests bring is written together, and answered when it is durable."""

import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic, sleep, time_ns
from typing import Any, NamedTuple
from uuid import uuid4

import orjson

from connectors.event_log import EventLog
from connectors.receiver.store import StatementStore
from schemas.errors import ProficioError
from schemas.records import STATEMENTS, Record, StoredRecord
from schemas.xapi import Statement, parse_timestamp
from transforms.statement_terms import completed
from transforms.statements import content_hash, key_of

_AT_ONCE = 2_000  # statements written together
_KEPT_AT_ONCE, _KEPT_WITHIN = 10_000, 0.25  # statements, seconds
_MOST_UNKEPT = 50_000  # statements in memory that the store does not have
_MARKED_EVERY = 200  # writes; what was written since is read from the log again after a crash


class ConflictError(Exception):
    """A statement came with the id of another one (xAPI-Communication 2.1.1: 409)."""


@dataclass(frozen=True)
class _Submission:
    statements: list[Statement]
    client: str
    authority: dict[str, Any]
    version: str
    done: "Future[list[str]]"


class _Ready(NamedTuple):
    statement: Statement
    stored: int
    client: str
    version: str


class _Written(NamedTuple):
    """Statements that are in the event log; `ends`: where its partitions end behind them, from time to time."""

    statements: list[_Ready]
    ends: dict[int, int]


class Intake:
    """Two threads: one judges statements, writes them to the event log and answers; the other keeps them in the store.

    A request's statements are taken all or none, less those that `is_dropped` (of a statement and its client) names: they are
    answered, and not kept. The store is written in larger pieces than the log: a reader waits until it has what was answered
    before (`settled`). What a crash leaves in the log without an answer is sent again by its
    client with the same ids, and lands once; what it leaves out of the store is read from the log at the next start.
    """

    def __init__(
        self, log: EventLog, store: StatementStore, is_dropped: Callable[[Statement, str], bool] = lambda *_: False
    ) -> None:
        self._log, self._store, self._is_dropped = log, store, is_dropped
        self._uncertain = False
        self._catch_up()
        self._last = store.newest()
        self._writes = 0
        self._writing_since: int | None = None  # µs since 1970
        self._unkept: dict[str, Statement] = {}  # in the log, not yet in the store
        self._fault: ProficioError | None = None  # of the store
        self._log_fault: ProficioError | None = None  # of the newest write
        self._asked: SimpleQueue[_Submission | None] = SimpleQueue()
        self._written: SimpleQueue[_Written | Future[None] | None] = SimpleQueue()
        self._threads = [
            Thread(target=run, name=f"intake{run.__name__}", daemon=True) for run in (self._take, self._keep)
        ]
        for thread in self._threads:
            thread.start()

    def submit(
        self, statements: list[Statement], client: str, authority: dict[str, Any], version: str
    ) -> "Future[list[str]]":
        """The ids of valid statements, in their order, once they are durable.

        The future raises ConflictError for an id that belongs to another statement, and what the log or the disk raise.
        """
        done: Future[list[str]] = Future()
        self._asked.put(_Submission(statements, client, authority, version, done))
        return done

    def consistent_through(self) -> int:
        """The moment (µs since 1970) up to which whoever waits for `settled` from now on can read every statement stored."""
        now = time_ns() // 1000
        return (self._writing_since or now) - 1

    def settled(self) -> "Future[None]":
        """Done when the store has every statement that was answered before. It raises what the disk does."""
        done: Future[None] = Future()
        if self._unkept:
            self._written.put(done)
        else:
            done.set_result(None)
        return done

    def check(self) -> None:
        """Raise what keeps statements from being taken: a fault of the store, or of the log when it was written last."""
        fault = self._fault or self._log_fault
        if fault:
            raise fault

    def close(self) -> None:
        """Write what waits, and end."""
        self._asked.put(None)
        for thread in self._threads:
            thread.join()
        if not self._unkept:
            self._store.add([], self._ends())

    def _take(self) -> None:
        ended = False
        while not ended:
            together: list[_Submission] = []
            one = self._asked.get()
            while one is not None:
                together.append(one)
                if self._asked.empty() or sum(len(each.statements) for each in together) >= _AT_ONCE:
                    break
                one = self._asked.get()
            ended = one is None
            while len(self._unkept) > _MOST_UNKEPT and not self._fault:
                sleep(0.01)
            # From here on a request that is given up cannot take its future back.
            self._writing_since = time_ns() // 1000
            self._write([each for each in together if each.done.set_running_or_notify_cancel()])
            self._writing_since = None
        self._written.put(None)

    def _write(self, together: list[_Submission]) -> None:
        try:
            if self._fault:
                raise self._fault
            if self._uncertain:
                self._catch_up()
                self._uncertain = False
            known = self._known([one["id"].lower() for each in together for one in each.statements if "id" in one])
            ready: list[_Ready] = []
            answers: list[tuple[Future[list[str]], list[str] | ConflictError]] = []
            for each in together:
                try:
                    taken = list(self._judge(each, known))
                except ConflictError as conflict:
                    answers.append((each.done, conflict))
                    continue
                ready += [one for _, one in taken if one]
                known |= {one.statement["id"]: one.statement for _, one in taken if one}
                answers.append((each.done, [statement_id for statement_id, _ in taken]))
            if ready:
                self._uncertain = True  # until the log has answered: it may have them, and they may be sent again
                self._log.append(STATEMENTS, [_record(one) for one in ready])
                self._uncertain = False
                self._log_fault = None
                self._writes += 1
                self._unkept |= {one.statement["id"]: one.statement for one in ready}
                self._written.put(_Written(ready, self._ends() if self._writes % _MARKED_EVERY == 0 else {}))
        except Exception as error:  # every request that waits is to hear of it
            self._log_fault = error if isinstance(error, ProficioError) else None
            for each in together:
                each.done.set_exception(error)
            return
        for done, answer in answers:
            if isinstance(answer, ConflictError):
                done.set_exception(answer)
            else:
                done.set_result(answer)

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
            self._add([(one.statement, one.stored, one.client) for one in ready], ends)
            for one in ready:
                del self._unkept[one.statement["id"]]

    def _add(self, kept: list[tuple[Statement, int, str]], ends: Mapping[int, int] | None = None) -> None:
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
        """Keep what the log has from this receiver and the store lost, by a crash or a power cut."""
        begun, ends = self._store.read_to(), self._log.offsets(STATEMENTS)
        for partition, offsets in ends.items():
            records = self._log.read(STATEMENTS, partition, max(begun.get(partition, 0), offsets.begin), offsets.end)
            of_receiver = (one for one in records if one.value and "received-by" in one.headers)
            while some := list(islice(of_receiver, _AT_ONCE)):
                self._add([_kept(one) for one in some])
        self._store.add([], {partition: offsets.end for partition, offsets in ends.items()})

    def _ends(self) -> dict[int, int]:
        """Where the log ends. This thread alone writes for the receiver: what it wrote before stands below."""
        return {partition: offsets.end for partition, offsets in self._log.offsets(STATEMENTS).items()}

    def _judge(self, each: _Submission, known: dict[str, Statement]) -> Iterator[tuple[str, _Ready | None]]:
        """The id of each statement, with what is to be written of it: nothing where it is known."""
        for given in each.statements:
            statement_id = given["id"].lower() if "id" in given else str(uuid4())
            stored = max(time_ns() // 1000, self._last + 1)
            moment = datetime.fromtimestamp(stored // 1_000_000, UTC).replace(microsecond=stored % 1_000_000)
            before = known.get(statement_id)
            # Sent again without a timestamp, a statement is the one that was given one here.
            as_before = {"timestamp": before["timestamp"]} if before else {}
            statement = completed({**as_before, **given}, statement_id, moment, each.authority, each.version)
            if before is None and self._is_dropped(statement, each.client):
                yield statement_id, None
            elif before is None:
                self._last = stored
                yield statement_id, _Ready(statement, stored, each.client, each.version)
            elif content_hash(statement) == content_hash(before):
                yield statement_id, None
            else:
                raise ConflictError(f"the id {statement_id} belongs to another statement")


def _record(one: _Ready) -> Record:
    headers = {"source": one.client, "xapi-version": one.version, "received-by": "receiver"}
    return Record(key_of(one.statement), orjson.dumps(one.statement), headers)


def _kept(record: StoredRecord) -> tuple[Statement, int, str]:
    """A record of the receiver as the store keeps it."""
    statement: Statement = orjson.loads(record.value or b"")
    return statement, round(parse_timestamp(statement["stored"]).timestamp() * 1_000_000), record.headers["source"]
