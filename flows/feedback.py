"""Feedback: levels that changed are told, each once; first to the topic competency.levels, which others may follow."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from connectors.event_log import EventLog
from connectors.ledger import ledger
from flows.opening import event_log
from flows.settings import Settings
from schemas.records import LEVELS
from transforms.level_records import level_record

TOPIC = "topic"  # the sink that the event log is


@dataclass(frozen=True)
class Told:
    """How many levels were told, and how many of before were taken back."""

    told: int = 0
    withdrawn: int = 0


def feedback(
    settings: Settings, log: EventLog | None = None, progress: Callable[[int], None] = lambda count: None
) -> Told:
    """Append each published level that changed to competency.levels, then note it in the ledger.

    Killed in between, it appends the same again: the topic is compacted, so the newest of each key counts.
    """
    if log is None:
        with event_log(settings) as opened:
            return feedback(settings, opened, progress)
    done = Told()
    with ledger(settings.ledger) as book:
        for rows in book.changes(settings.published / "mart_levels.parquet", TOPIC):
            log.append(LEVELS, map(level_record, rows))
            book.note(TOPIC, rows)
            withdrawn = sum(row["reported_level"] is None for row in rows)
            done = Told(done.told + len(rows) - withdrawn, done.withdrawn + withdrawn)
            progress(len(rows))
    return done


def due(settings: Settings, most: int | None = None) -> list[dict[str, Any]]:
    """What feedback would tell: person, competency, the level told before and the one now."""
    names = ("person", "competency", "told_level", "reported_level", "reported_level_name")
    with ledger(settings.ledger) as book:
        rows = chain.from_iterable(book.changes(settings.published / "mart_levels.parquet", TOPIC))
        return [{name: row[name] for name in names} for row in islice(rows, most)]
