"""Which statements of a request are new, known or another's, and what is written of those that are new."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, NamedTuple
from uuid import uuid4

import orjson

from connectors.erased import Erased
from schemas.records import Record, StoredRecord
from schemas.xapi import Statement, parse_timestamp
from transforms.statement_terms import completed
from transforms.statements import content_hash, key_of


class ConflictError(Exception):
    """A statement came with the id of another one (xAPI-Communication 2.1.1: 409)."""


@dataclass(frozen=True)
class Submission:
    """Valid statements of a request, and the future that their ids go to."""

    statements: list[Statement]
    client: str
    authority: dict[str, Any]
    version: str
    done: "Future[list[str]]"

    def ids(self) -> Iterator[str]:
        """The ids that statements came with."""
        return (one["id"].lower() for one in self.statements if "id" in one)


Given = tuple[Statement, int, str]
"""What a store is given: a statement, when it is stored (µs since 1970), who sent it."""


class Ready(NamedTuple):
    """A statement to be written: when it is stored (µs since 1970), who sent it, by which version of xAPI."""

    statement: Statement
    stored: int
    client: str
    version: str

    def record(self) -> Record:
        """As it stands in the event log."""
        headers = {"source": self.client, "xapi-version": self.version, "received-by": "receiver"}
        return Record(key_of(self.statement), orjson.dumps(self.statement), headers)

    def given(self) -> Given:
        """As a store is given it."""
        return self.statement, self.stored, self.client


class _Fate(Enum):
    """Why nothing of a statement is written."""

    KNOWN, DROPPED = "known", "dropped"


class Judged(NamedTuple):
    """Of several requests together: what is to be written, and what each is answered then."""

    ready: list[Ready]
    answers: "list[tuple[Future[list[str]], list[str] | ConflictError]]"

    def answer(self) -> None:
        """Answer every request."""
        for done, answer in self.answers:
            if isinstance(answer, ConflictError):
                done.set_exception(answer)
            else:
                done.set_result(answer)


def judged(together: list[Submission], known: Mapping[str, Statement], after: int, register: Erased | None) -> Judged:
    """Judge requests in their order, each whole: with a conflict nothing of it is taken.

    `known` are the statements of the ids that come here which were taken before; what is new is stored `after` that moment at
    the soonest. What is of someone in the `register` of the erased is answered, counted and not written.
    """
    seen, ready = dict(known), list[Ready]()
    answers: list[tuple[Future[list[str]], list[str] | ConflictError]] = []
    register = register if register and register.renew() else None
    for each in together:
        try:
            taken = dict(_taken(each, seen, ready[-1].stored + 1 if ready else after, register))
        except ConflictError as conflict:
            answers.append((each.done, conflict))
            continue
        new = [one for one in taken.values() if isinstance(one, Ready)]
        ready += new
        seen |= {one.statement["id"]: one.statement for one in new}
        if register and (dropped := sum(one is _Fate.DROPPED for one in taken.values())):
            register.count(each.client, dropped)
        answers.append((each.done, list(taken)))
    return Judged(ready, answers)


def given_of(record: StoredRecord) -> Given:
    """A record of the receiver as a store is given it."""
    statement: Statement = orjson.loads(record.value or b"")
    return statement, round(parse_timestamp(statement["stored"]).timestamp() * 1_000_000), record.headers["source"]


def _taken(
    each: Submission, known: Mapping[str, Statement], after: int, register: Erased | None
) -> Iterator[tuple[str, "Ready | _Fate"]]:
    """The id of each statement, with what is to be written of it, or why nothing is."""
    stored = after
    for given in each.statements:
        statement_id = given["id"].lower() if "id" in given else str(uuid4())
        moment = datetime.fromtimestamp(stored // 1_000_000, UTC).replace(microsecond=stored % 1_000_000)
        before = known.get(statement_id)
        # Sent again without a timestamp, a statement is the one that was given one here.
        as_before = {"timestamp": before["timestamp"]} if before else {}
        statement = completed({**as_before, **given}, statement_id, moment, each.authority, each.version)
        if before is None and register and register.holds(key_of(statement) or ""):
            yield statement_id, _Fate.DROPPED
        elif before is None:
            yield statement_id, Ready(statement, stored, each.client, each.version)
            stored += 1
        elif content_hash(statement) == content_hash(before):
            yield statement_id, _Fate.KNOWN
        else:
            raise ConflictError(f"the id {statement_id} belongs to another statement")
