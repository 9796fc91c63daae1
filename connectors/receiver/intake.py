"""How statements are taken in: what several requests bring is written together, and answered when it is durable."""

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from queue import SimpleQueue
from threading import Thread
from time import time_ns
from typing import Any, NamedTuple
from uuid import uuid4

import orjson

from connectors.event_log import EventLog
from connectors.receiver.store import StatementStore
from schemas.records import STATEMENTS, Record, StoredRecord
from schemas.xapi import Statement, parse_timestamp
from transforms.statement_terms import completed
from transforms.statements import content_hash, key_of

_AT_ONCE = 2_000  # statements written together
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


class Intake:
    """One thread that writes: first to the event log, then to the store. A request's statements are taken all or none.

    What a crash leaves in the log without an answer is sent again by its client with the same ids, and lands once.
    """

    def __init__(self, log: EventLog, store: StatementStore) -> None:
        self._log, self._store = log, store
        self._catch_up()
        self._last = store.newest()
        self._writes = 0
        self._writing_since: int | None = None  # µs since 1970
        self._queue: SimpleQueue[_Submission | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="intake", daemon=True)
        self._thread.start()

    def submit(
        self, statements: list[Statement], client: str, authority: dict[str, Any], version: str
    ) -> "Future[list[str]]":
        """The ids of valid statements, in their order, once they are durable.

        The future raises ConflictError for an id that belongs to another statement, and what the log or the disk raise.
        """
        done: Future[list[str]] = Future()
        self._queue.put(_Submission(statements, client, authority, version, done))
        return done

    def consistent_through(self) -> int:
        """The moment (µs since 1970) up to which every statement stored can be read, also by who reads from now on."""
        now = time_ns() // 1000
        return (self._writing_since or now) - 1

    def close(self) -> None:
        """Write what waits, and end."""
        self._queue.put(None)
        self._thread.join()
        self._store.add([], self._ends())

    def _run(self) -> None:
        ended = False
        while not ended:
            together: list[_Submission] = []
            one = self._queue.get()
            while one is not None:
                together.append(one)
                if self._queue.empty() or sum(len(each.statements) for each in together) >= _AT_ONCE:
                    break
                one = self._queue.get()
            ended = one is None
            # From here on a request that is given up cannot take its future back.
            self._writing_since = time_ns() // 1000
            self._write([each for each in together if each.done.set_running_or_notify_cancel()])
            self._writing_since = None

    def _write(self, together: list[_Submission]) -> None:
        try:
            ids = [one["id"].lower() for each in together for one in each.statements if "id" in one]
            known: dict[str, Statement] = {
                statement_id: orjson.loads(text) for statement_id, text in self._store.known(ids).items()
            }
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
                self._log.append(STATEMENTS, [_record(one) for one in ready])
                self._writes += 1
                self._store.add(
                    [(one.statement, one.stored, one.client) for one in ready],
                    self._ends() if self._writes % _MARKED_EVERY == 0 else None,
                )
        except Exception as error:  # every request that waits is to hear of it
            for each in together:
                each.done.set_exception(error)
            return
        for done, answer in answers:
            if isinstance(answer, ConflictError):
                done.set_exception(answer)
            else:
                done.set_result(answer)

    def _catch_up(self) -> None:
        """Keep what the log has from this receiver and the store lost, by a crash or a power cut."""
        begun, ends = self._store.read_to(), self._log.offsets(STATEMENTS)
        for partition, offsets in ends.items():
            records = self._log.read(STATEMENTS, partition, max(begun.get(partition, 0), offsets.begin), offsets.end)
            of_receiver = (one for one in records if one.value and "received-by" in one.headers)
            while some := list(islice(of_receiver, _AT_ONCE)):
                self._store.add([_kept(one) for one in some])
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
            if before is None:
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
