"""Erasing a person: from every store of the data folder and the event log, so that nothing names them any more."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from shutil import rmtree

import orjson
import pyarrow as pa

from connectors import audit, consents, forgetting, shared_state, traces, warehouse
from connectors.event_log import EventLog
from connectors.locks import patiently
from connectors.receiver import attachments
from connectors.receiver.store import StatementStore
from connectors.receiver.turns import passed
from flows.daily import daily
from flows.dead_letters import REJECTED_AT
from flows.estimate import estimate
from flows.lake_less import take_out
from flows.land import land
from flows.opening import contents, erased, event_log, lake_of, lti_store, server, state
from flows.persons import Person
from flows.publish import publish
from flows.replay import place_of
from flows.settings import Settings
from schemas.errors import InputError
from schemas.records import LEVELS, REJECTED, STATEMENTS, Record, StoredRecord
from schemas.xapi import Statement
from transforms.erasure import ERASED, without, words_of
from transforms.erasure_rows import Left, left_of, matching, suspicious

PATIENCE = 600.0  # seconds for whoever holds what is to be written
# What is written by a step of its own, holds no person, or may not be changed.
_APART = {"events.db", "receiver.db", "erased.db", "warehouse.duckdb", "feedback.duckdb", "audit.jsonl", "person.key"}
_FOLDERS_APART = {"lake", "published", "attachments", "mirrors", "calibrations", "compiled"}


@dataclass(frozen=True)
class Erasure:
    """What an erasure did: counts of what went from each store, the sinks that were told of the person, what names them still."""

    person: str
    accounts: int
    statements: int = 0
    statements_changed: int = 0
    dead_letters: int = 0
    received: int = 0
    attachments: int = 0
    levels: int = 0
    files: int = 0
    mirrors: int = 0
    told: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Search:
    """How a person is found in statements and in any text."""

    suspects: re.Pattern[str]
    words: re.Pattern[str]
    without: Callable[[Statement], Statement | None]

    def left_in(self, rows: pa.Table) -> Left:
        """What is left of rows of the lake without the person."""
        return left_of(rows, matching(rows, self.suspects), self.without)


def erase(settings: Settings, person: Person) -> Erasure:
    """Erase a person. Killed, it is begun again with the same person. Beside a running `serve` and `stream`.

    First they are noted, so that nothing more of them comes in; last their estimates go, the warehouse being made anew from
    what is left of the lake. InputError, before anything is touched, where Spark's tables hold people too.
    """
    if settings.spark_home.exists():
        raise InputError(
            f"{settings.spark_home} holds what Spark estimated of people, and nobody is erased from there yet.",
            "Remove that folder, and tables that spark.conf puts elsewhere; estimate --target spark makes them anew.",
        )
    theirs = frozenset(person.accounts)
    words = words_of(person.accounts, [person.key])
    search = _Search(
        suspicious(person.accounts, words), words, partial(without, theirs=theirs.__contains__, words=words)
    )
    erased(settings).note(person.accounts)
    with event_log(settings) as log:
        patiently(lambda: land(settings, log), PATIENCE)
        taken = patiently(lambda: take_out(settings, log, search.left_in), PATIENCE)
        done = Erasure(person.key, len(person.accounts), taken.gone, taken.changed)
        done = replace(done, dead_letters=_from_dead_letters(log, search))
        done = _from_receiver(settings, search, person, done)
        consents.forget(state(settings, "consents.db"), person.accounts)
        lti_store(settings).forget(list(person.accounts))
        mirrors = traces.mirrors_naming(settings.home / "mirrors", words)
        for mirror in mirrors:
            rmtree(mirror)
        made_anew(settings, log, person.accounts, [person.key])
        # Once the marts are without them: a stream beside would else take what they still hold for new, and tell it.
        told = patiently(lambda: forgetting.forget_in_ledger(settings.ledger, [person.key]), PATIENCE)
        done = replace(done, levels=_from_levels(log, person.key), told=tuple(one for one in told if one != LEVELS))
    cleared = traces.clear(_loose_files(settings), words, ERASED)  # last: dbt notes the command that it was run by
    with warehouse.alone(settings.warehouse, PATIENCE):
        naming = patiently(lambda: traces.found(settings.home, words), PATIENCE)
    left = (
        *(str(path.relative_to(settings.home)) for path in naming),
        *_left_in_store(settings, search),
        *_left_on_server(settings, words),
    )
    done = replace(done, files=len(cleared), mirrors=len(mirrors), left=left)
    digest = erased(settings).digest_of(person.accounts[0])
    audit.note(settings.home / "audit.jsonl", "erase", person=digest, statements=done.statements, left=list(left))
    return done


def _left_in_store(settings: Settings, search: _Search) -> list[str]:
    """Files of a lake in an object store that hold something of the person still: they are not among those of the folder."""
    where = lake_of(settings)
    files = where.published() if settings.lake else []
    lefts = ((file, search.left_in(where.read(file))) for file in files)
    return [where.address(file) for file, left in lefts if left.gone or left.changed]


def _left_on_server(settings: Settings, words: re.Pattern[str]) -> list[str]:
    """Tables of what receivers share that name the person still."""
    if not settings.state.url:
        return []
    return [f"{table} at state.url" for table in shared_state.naming(server(settings), words)]


def made_anew(settings: Settings, log: EventLog, accounts: Sequence[str] = (), people: Sequence[str] = ()) -> None:
    """Make the warehouse and what is published anew from what is left of the lake, without what it knew of some people."""
    if settings.warehouse.exists():
        with warehouse.alone(settings.warehouse, PATIENCE):
            forgetting.forget_in_warehouse(settings.warehouse, accounts, people)
            estimate(settings, full_refresh=True, log=log)
            daily(settings, log=log)
            publish(settings)


def _from_dead_letters(log: EventLog, search: _Search) -> int:
    """Take dead letters out that name the person; one that is another's comes back without them. How many went."""
    doomed: list[StoredRecord] = []
    again: dict[str, StoredRecord] = {}  # the newest of each origin
    for partition, offsets in log.offsets(REJECTED).items():
        for record in log.read(REJECTED, partition, *offsets):
            origin = record.headers.get("origin", record.place)
            text = (record.value or b"").decode(errors="replace")
            if search.suspects.search(text) or search.words.search(f"{record.key} {record.headers}"):
                doomed.append(record)
                left = _rest_of(record, search)
                again.pop(origin, None)
                if left is not None:
                    again[origin] = left
            else:
                again[origin] = record
    if doomed:
        # A log that takes out all up to the last of them gets what is another's again, behind it.
        last = -1 if log.singly else max(record.offset for record in doomed)
        theirs = set(_origins(doomed))
        kept = [record for origin, record in again.items() if origin in theirs or record.offset <= last]
        log.append(REJECTED, [_as_it_was(record) for record in kept if "replayed" not in record.headers])
        log.forget(REJECTED, doomed)
        places = [place_of(origin) for origin in _origins(doomed)]
        log.forget(STATEMENTS, [place for place in places if place])
    return len(doomed)


def _rest_of(record: StoredRecord, search: _Search) -> StoredRecord | None:
    """A dead letter less the person; None where it is theirs, or cannot be read."""
    try:
        statement = orjson.loads(record.value or b"")
        rest = search.without(statement)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if rest is None:
        return None
    headers = {name: search.words.sub(ERASED, value) for name, value in record.headers.items()}
    return record._replace(value=orjson.dumps(rest), headers=headers, key=headers.get("origin"))


def _origins(records: Iterable[StoredRecord]) -> list[str]:
    return list(dict.fromkeys(record.headers.get("origin", record.place) for record in records))


def _as_it_was(record: StoredRecord) -> Record:
    """A dead letter to be written again, refused when it was."""
    moment = record.headers.get(REJECTED_AT, str(record.timestamp))
    return Record(record.key, record.value, {**record.headers, REJECTED_AT: moment})


def _from_levels(log: EventLog, person: str) -> int:
    """Take the person's levels out of the topic; how many."""
    doomed = [
        record
        for partition, offsets in log.offsets(LEVELS).items()
        for record in log.read(LEVELS, partition, *offsets)
        if record.key and record.key.startswith(f"{person}|") and (log.singly or record.value is not None)
    ]
    log.forget(LEVELS, doomed)
    return len(doomed)


def _from_receiver(settings: Settings, search: _Search, person: Person, done: Erasure) -> Erasure:
    if settings.state.url:
        passed(
            server(settings), settings.receiver.turn_seconds
        )  # what is being written now was judged before the person was noted
    with closing(StatementStore(state(settings, "receiver.db"))) as store:
        if not store.exists():
            return done
        gone, changed = store.forget(search.suspects, search.without, person.accounts)
        loose = remove_attachments(settings, store, gone)
    return replace(done, received=len(gone) + changed, attachments=loose)


def remove_attachments(settings: Settings, store: StatementStore, gone: list[Statement]) -> int:
    """Remove the files that only statements named which went; how many."""
    named = {one["sha2"].lower() for one in attachments.of(gone)}
    loose = named - store.names_any(named)
    contents(settings).remove(loose)
    return len(loose)


def _loose_files(settings: Settings) -> Iterator[Path]:
    """What has no step of its own: notes, cursors, Prefect's and dbt's files."""
    for path in traces.files(settings.home):
        first = path.relative_to(settings.home).parts[0]
        if first not in _FOLDERS_APART and first not in _APART:
            yield path
