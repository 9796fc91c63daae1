"""Feedback: levels that changed are told, each once to each sink; first to the topic competency.levels, which others follow."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Any

from connectors.event_log import EventLog
from connectors.ledger import Ledger, ledger
from connectors.sinks import SINKS, Change
from connectors.sinks.webhook import Webhook
from flows.logs import logger
from flows.opening import event_log, secret
from flows.settings import Settings
from schemas.errors import ProficioError
from schemas.records import LEVELS
from transforms.level_records import level_record

Deliver = Callable[[list[Change]], Iterator[tuple[Change, str | None]]]


@dataclass(frozen=True)
class Told:
    """How many levels a sink was told, how many of before were taken back, and how many it refused."""

    sink: str
    told: int = 0
    withdrawn: int = 0
    refused: int = 0


def feedback(
    settings: Settings, log: EventLog | None = None, progress: Callable[[int], None] = lambda count: None
) -> list[Told]:
    """Tell every sink the published levels that changed since it was told, and note it in the ledger.

    A sink that fails does not stop the others; what it was not told, it is told the next time. What failed is raised last.
    Killed between telling and noting, the same is told again, with the same key and id.
    """
    if log is None:
        with event_log(settings) as opened:
            return feedback(settings, opened, progress)
    done: list[Told] = []
    failed: ProficioError | None = None
    with ledger(settings.ledger) as book:
        for sink, deliver in _sinks(settings, log):
            try:
                done.append(_tell(settings, book, sink, deliver, progress))
            except ProficioError as error:
                logger().warning("%s was not told all: %s", sink, error)
                failed = error
    if failed:
        raise failed
    return done


def due(settings: Settings, most: int | None = None) -> list[dict[str, Any]]:
    """What feedback would tell: the sink, person, competency, the level told before and the one now."""
    names = ("person", "competency", "told_level", "reported_level", "reported_level_name")
    with ledger(settings.ledger) as book:
        rows = (
            {"sink": sink, **{name: row[name] for name in names}}
            for sink in (LEVELS, *(one.name for one in settings.sinks.webhook))
            for row in chain.from_iterable(book.changes(settings.published / "mart_levels.parquet", sink))
        )
        return list(islice(rows, most))


def refused(settings: Settings) -> list[dict[str, Any]]:
    """What sinks refuse to hear, and why."""
    with ledger(settings.ledger) as book:
        return book.refused()


def _tell(settings: Settings, book: Ledger, sink: str, deliver: Deliver, progress: Callable[[int], None]) -> Told:
    done = Told(sink)
    for rows in book.changes(settings.published / "mart_levels.parquet", sink):
        heard: list[Change] = []
        refusals = 0
        try:
            for row, reason in deliver(rows):
                if reason is None:
                    heard.append(row)
                else:
                    refusals += 1
                    book.note_refused(sink, row, reason)
                progress(1)
        finally:
            if heard:
                book.note(sink, heard)
        withdrawn = sum(row["reported_level"] is None for row in heard)
        done = Told(sink, done.told + len(heard) - withdrawn, done.withdrawn + withdrawn, done.refused + refusals)
    return done


def _sinks(settings: Settings, log: EventLog) -> Iterator[tuple[str, Deliver]]:
    yield LEVELS, partial(_append, log)
    for one in settings.sinks.webhook:
        key = secret(one.secret_file, "sinks.webhook.secret_file")
        yield one.name, partial(SINKS["webhook"], Webhook(one.name, one.url, key, one.patience_seconds))


def _append(log: EventLog, rows: list[Change]) -> Iterator[tuple[Change, str | None]]:
    """To the topic, all at once: compacted, the newest of each key counts."""
    log.append(LEVELS, map(level_record, rows))
    for row in rows:
        yield row, None
