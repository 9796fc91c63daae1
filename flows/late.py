"""What arrives of people who were erased: it is dropped when it is landed, counted, and taken out of the event log."""

from collections import Counter
from functools import partial

import orjson
import pyarrow as pa

from connectors.event_log import EventLog
from flows.opening import erased
from flows.replay import place_of
from flows.settings import Settings
from schemas.records import STATEMENTS, Record, StoredRecord
from transforms.erasure import without
from transforms.erasure_rows import Left, left_of, naming
from transforms.statements import key_of


def take_out_erased(
    settings: Settings, log: EventLog, rows: pa.Table, rejected: list[Record]
) -> tuple[pa.Table, list[Record], int]:
    """Rows and dead letters of a batch, less those of people who were erased, and how many these were.

    Where others' statements name them, an agent without a name stands.
    """
    register = erased(settings)
    if not register.renew():
        return rows, rejected, 0
    left = left_of(rows, naming(rows, register.holds), partial(without, theirs=register.holds))
    theirs = [one for one in rejected if register.holds(_actor(one))]
    sources = [row["source"] or "" for row in left.gone] + [one.headers.get("source", "") for one in theirs]
    for source, count in Counter(sources).items():
        register.count(source, count)
    places = [place_of(one.headers["origin"]) for one in theirs]
    log.forget(STATEMENTS, [*records_of(left), *(place for place in places if place)])
    return left.table, [one for one in rejected if one not in theirs], len(sources)


def records_of(left: Left) -> list[StoredRecord]:
    """The records that rows came from which went or changed, by their places."""
    return [
        StoredRecord(row["topic"], row["log_partition"], row["log_offset"], 0, None, None, {})
        for row in (*left.gone, *left.changed)
    ]


def _actor(letter: Record) -> str:
    """The actor of a dead letter; empty where it cannot be read."""
    try:
        return key_of(orjson.loads(letter.value or b"")) or ""
    except (orjson.JSONDecodeError, TypeError):
        return ""
