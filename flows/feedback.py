"""Feedback: levels that changed are told, each once to each sink; first to the topic competency.levels, which others follow."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from connectors.consents import EVERY_SINK, said
from connectors.event_log import EventLog
from connectors.ledger import Ledger, ledger
from connectors.sinks import Change
from connectors.warehouse import parquet_rows
from flows.logs import logger
from flows.opening import event_log, identities, state
from flows.settings import Settings
from flows.sink_states import is_paused, note_failed, note_told
from flows.sinks import TOPIC, Listed, Teller, audience, level_names, listed, listed_as, teller, topic
from schemas.errors import ProficioError, SettingsError

Progress = Callable[[int], None]
QUIET = "quiet hours"
_REASONS = """
select person, competency, activity_id, activity_name, outcome, contribution, occurred_at
from mart where component = 'evidence' and list_contains($1, person || '|' || competency)
qualify row_number() over (partition by person, competency order by abs(contribution) desc, statement_id) <= 3
order by abs(contribution) desc
"""
_ACCOUNTS = "select person, account from mart where list_contains($1, person) order by first_seen_at, account"


@dataclass(frozen=True)
class Told:
    """How many levels a sink was told, how many of before were taken back, how many it refused, and what waits for what."""

    sink: str
    told: int = 0
    withdrawn: int = 0
    refused: int = 0
    waiting: dict[str, int] = field(default_factory=dict)


def feedback(
    settings: Settings,
    log: EventLog | None = None,
    progress: Progress = lambda count: None,
    now: datetime | None = None,
    beside: bool = False,
) -> list[Told]:
    """Tell every sink the published levels that changed since it was told, by its policy, and note it in the ledger.

    A sink that fails does not stop the others; what it was not told, it is told the next time. What failed is raised last.
    Killed between telling and noting, the same is told again, with the same key and id, or after a look at what the sink
    has. `beside` a stream, a sink that failed is left in peace for a while, and not waited for long.
    """
    if log is None:
        with event_log(settings) as opened:
            return feedback(settings, opened, progress, now, beside)
    moment = now or datetime.now(UTC)
    sinks = [one for one in listed(settings) if not (beside and is_paused(settings, one.name))]
    done, failed = [], None
    with ledger(settings.ledger) as book, ThreadPoolExecutor(max(len(sinks), 1), "sink") as pool:
        done.append(_tell(settings, book, topic(log), progress, moment))

        def tell(sink: Listed) -> Told | ProficioError:
            try:
                with book.another() as own:
                    told = _tell(settings, own, teller(settings, sink, not beside), progress, moment)
            except ProficioError as error:
                logger().warning("%s was not told all: %s", sink.name, error)
                note_failed(settings, sink.name, error)
                return error
            note_told(settings, sink.name, {"waiting": told.waiting})
            return told

        for told in pool.map(tell, sinks):
            if isinstance(told, ProficioError):
                failed = told
            else:
                done.append(told)
    if failed:
        raise failed
    return done


def due(settings: Settings, most: int | None = None, now: datetime | None = None) -> list[dict[str, Any]]:
    """What feedback would tell: the sink, person, competency, the level told before and the one now, and what it waits for."""
    names = ("person", "competency", "told_level", "reported_level", "reported_level_name", "state")
    moment = now or datetime.now(UTC)
    with ledger(settings.ledger) as book:
        rows = (
            {"sink": sink.name, **{name: row[name] for name in names}}
            for sink in (TOPIC, *listed(settings))
            if _judge(settings, book, sink, moment)
            for pieces in book.judged()
            for row in pieces
        )
        return list(islice(rows, most))


def approve(settings: Settings, sink: str | None, person: str | None, now: datetime | None = None) -> dict[str, int]:
    """Approve the changes that wait for it, of one sink or all, of one person (their key) or all: how many of each sink."""
    moment = now or datetime.now(UTC)
    done = {}
    with ledger(settings.ledger) as book:
        for one in [listed_as(settings, sink)] if sink else listed(settings):
            _judge(settings, book, one, moment)
            done[one.name] = book.approve(one.name, person, moment)
    return done


def forget(settings: Settings, since: datetime, sink: str | None = None) -> None:
    """Let sinks be told once more what they were told, and asked again what they refused, from a moment on."""
    with ledger(settings.ledger) as book:
        for one in [listed_as(settings, sink)] if sink else listed(settings):
            book.forget(one.name, since)


def refused(settings: Settings) -> list[dict[str, Any]]:
    """What sinks refuse to hear, and why."""
    with ledger(settings.ledger) as book:
        return book.refused()


def agreements(settings: Settings, sink: str) -> dict[str, bool]:
    """Person → whether they agreed to what a sink hears of them: what any of their accounts said last of it or of every sink."""
    known = identities(settings)
    return {
        known.person_key(one.account): one.agreed
        for one in said(state(settings, "consents.db"))
        if one.sink in (sink, EVERY_SINK)
    }


def _judge(settings: Settings, book: Ledger, sink: Listed, now: datetime) -> dict[str, int]:
    levels, agreed = settings.published / "mart_levels.parquet", agreements(settings, sink.name)
    return book.judge(levels, level_names(settings), sink.name, sink.policy, agreed, audience(settings, sink), now)


def _tell(settings: Settings, book: Ledger, to: Teller, progress: Progress, now: datetime) -> Told:
    sink = to.listed
    states = _judge(settings, book, sink, now)
    book.keep_held(sink.name)
    due_now = states.pop("due", 0)
    if due_now and sink.policy.is_quiet(now):
        return Told(sink.name, waiting={**states, QUIET: due_now})
    done, heard = Told(sink.name, waiting=states), list[Change]()
    try:
        for row, reason in to.deliver(_begun(settings, book, to)):
            if reason is None:
                heard.append(row)
                gone = row["reported_level"] is None
                done = replace(done, told=done.told + (not gone), withdrawn=done.withdrawn + gone)
            else:
                book.note_refused(sink.name, row, reason, now)
                done = replace(done, refused=done.refused + 1)
            if len(heard) >= to.at_once:
                book.note(sink.name, heard, now)
                heard.clear()
            progress(1)
    finally:
        if heard:
            book.note(sink.name, heard, now)
    return done


def _begun(settings: Settings, book: Ledger, to: Teller) -> Iterator[Change]:
    """The changes that are due, each noted as begun before a sink hears of it."""
    for rows in book.judged("due"):
        for start in range(0, len(rows), to.at_once):
            some = rows[start : start + to.at_once]
            if to.personal:
                _add_persons(settings, some)
            book.begin(to.listed.name, some)
            yield from some


def _add_persons(settings: Settings, changes: list[Change]) -> None:
    """Give changes the accounts of the person and what moved the level most, where it was published."""
    accounts, reasons = settings.identified / "dim_account.parquet", settings.published / "mart_explanations.parquet"
    if not accounts.exists():
        raise SettingsError(
            "dim_account is not published, so no one knows which accounts a person has.",
            "Run proficio publish.",
        )
    people = sorted({row["person"] for row in changes})
    of_person = parquet_rows(accounts, _ACCOUNTS, [people])
    keys = [f"{row['person']}|{row['competency']}" for row in changes]
    moved = parquet_rows(reasons, _REASONS, [keys]) if reasons.exists() else []
    for row in changes:
        row["accounts"] = [one["account"] for one in of_person if one["person"] == row["person"]]
        row["reasons"] = [
            one for one in moved if (one["person"], one["competency"]) == (row["person"], row["competency"])
        ]
