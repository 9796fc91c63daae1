"""Retention: statements that are older than their source's are to be kept go from every store, month by month."""

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from connectors import audit
from connectors.event_log import EventLog
from connectors.locks import patiently
from connectors.receiver.store import StatementStore
from flows.erasing import PATIENCE, made_anew, remove_attachments
from flows.lake_less import take_out
from flows.opening import event_log, state
from flows.settings import Settings
from transforms.erasure_rows import Left

_OTHERS = "*"


@dataclass(frozen=True)
class Expired:
    """What went because it was kept long enough."""

    statements: int = 0


def expire(settings: Settings, log: EventLog | None = None, now: datetime | None = None) -> Expired:
    """Take out what `retention.days` lets nobody keep, counted back from the first day of the month.

    By months, because estimates are made anew from what is left, which at other times nothing asks for.
    """
    if not settings.retention.days:
        return Expired()
    if log is None:
        with event_log(settings) as opened:
            return expire(settings, opened, now)
    month = (now or datetime.now(UTC)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    oldest = (month - timedelta(days=min(settings.retention.days.values()))).date() + timedelta(days=1)
    taken = patiently(lambda: take_out(settings, log, partial(_left_in, settings, month), oldest), PATIENCE)
    _from_receiver(settings, month)
    if taken.gone:
        made_anew(settings, log)
        audit.note(settings.home / "audit.jsonl", "expire", statements=taken.gone, before=month.date().isoformat())
    return Expired(taken.gone)


def _until(settings: Settings, source: str, month: datetime) -> datetime | None:
    """Before when statements of a source go; None where they are kept for good."""
    days = settings.retention.days.get(source, settings.retention.days.get(_OTHERS))
    return None if days is None else month - timedelta(days=days)


def _left_in(settings: Settings, month: datetime, rows: pa.Table) -> Left:
    """What is left of rows of the lake; of those that go, where they stand."""
    sources = pc.fill_null(rows["source"], "")
    old = pa.chunked_array([pa.array([False] * rows.num_rows)])
    for source in pc.unique(sources).to_pylist():
        until = _until(settings, source, month)
        if until is not None:
            old = pc.or_(old, pc.and_(pc.equal(sources, source), pc.less(rows["received_at"], until)))
    gone = rows.select(["topic", "log_partition", "log_offset"]).filter(old).to_pylist()
    return Left(rows.filter(pc.invert(old)), gone, [])


def _from_receiver(settings: Settings, month: datetime) -> None:
    with closing(StatementStore(state(settings, "receiver.db"))) as store:
        if not store.exists():
            return
        for client in store.clients():
            until = _until(settings, client, month)
            if until is not None:
                remove_attachments(settings, store, store.expire(client, round(until.timestamp() * 1_000_000)))
