"""Retention: statements that are older than their source's are to be kept go from every store, month by month."""

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow.compute as pc

from connectors import audit, lake
from connectors.event_log import EventLog
from connectors.receiver.store import StatementStore
from flows.erasing import made_anew, remove_attachments, wait_for
from flows.opening import event_log
from flows.settings import Settings
from schemas.records import STATEMENTS, StoredRecord

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
    done = wait_for(lambda: _from_lake(settings, log, month))
    _from_receiver(settings, month)
    if done.statements:
        made_anew(settings, log)
        audit.note(settings.home / "audit.jsonl", "expire", statements=done.statements, before=month.date().isoformat())
    return done


def _until(settings: Settings, source: str, month: datetime) -> datetime | None:
    """Before when statements of a source go; None where they are kept for good."""
    days = settings.retention.days.get(source, settings.retention.days.get(_OTHERS))
    return None if days is None else month - timedelta(days=days)


def _from_lake(settings: Settings, log: EventLog, month: datetime) -> Expired:
    gone = 0
    longest = month - timedelta(days=min(settings.retention.days.values()))
    with lake.locked(settings.lake):
        for file in lake.published(settings.lake):
            if file.day >= longest.date():
                continue
            rows = lake.read(file)
            sources = pc.unique(pc.fill_null(rows["source"], "")).to_pylist()
            old = None
            for source in sources:
                until = _until(settings, source, month)
                if until is not None:
                    theirs = pc.and_(
                        pc.equal(pc.fill_null(rows["source"], ""), source), pc.less(rows["received_at"], until)
                    )
                    old = theirs if old is None else pc.or_(old, theirs)
            if old is None or not pc.any(old).as_py():
                continue
            went = rows.filter(old).select(["log_partition", "log_offset"]).to_pylist()
            places = [
                StoredRecord(STATEMENTS, row["log_partition"], row["log_offset"], 0, None, None, {}) for row in went
            ]
            log.forget(STATEMENTS, places)
            with lake.replacing(settings.lake, file) as writer:
                writer.write_table(rows.filter(pc.invert(old)))
            gone += len(went)
    return Expired(gone)


def _from_receiver(settings: Settings, month: datetime) -> None:
    path = settings.home / "receiver.db"
    if not path.exists():
        return
    with closing(StatementStore(path)) as store:
        for client in store.clients():
            until = _until(settings, client, month)
            if until is not None:
                remove_attachments(settings, store, store.expire(client, round(until.timestamp() * 1_000_000)))
