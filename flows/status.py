"""Where the pipeline stands: backlog, lag, dead letters, freshness, last runs."""

import time
from datetime import UTC, datetime
from typing import Any

from flows.backlog import backlog
from flows.dead_letters import dead_letters, rising
from flows.history import runs
from flows.opening import erased, event_log, lake_of
from flows.settings import Settings
from flows.sink_states import sink_state
from flows.sinks import listed
from schemas.records import STATEMENTS


def standing(settings: Settings) -> dict[str, Any]:
    """The standing of event log, lake and published marts, as plain values. `lag_seconds` is the oldest record's wait."""
    files = lake_of(settings).published()
    published = settings.published / "mart_levels.parquet"
    with event_log(settings) as log:
        waiting = backlog(settings, log)
        oldest = [
            record.timestamp
            for partition, (_, first, _) in waiting.items()
            for record in log.read(STATEMENTS, partition, first, first + 1)
        ]
        received = sum(end - begin for begin, end in log.offsets(STATEMENTS).values())
        letters = list(dead_letters(log))
    return {
        "received": received,
        "backlog": sum(one.end - one.first for one in waiting.values()),
        "lag_seconds": time.time() - min(oldest) / 1000 if oldest else None,
        "lake": str(lake_of(settings)),
        "files": len(files),
        "landed_offsets": sum(file.last - file.first + 1 for file in files),
        "rejected": len(letters),
        "dropped": erased(settings).dropped(),
        "rejects_rising": [
            rise._asdict()
            for rise in rising(letters, datetime.now(UTC), settings.land.alert_from, settings.land.alert_rise)
        ],
        "published_at": (
            datetime.fromtimestamp(published.stat().st_mtime, UTC).isoformat(timespec="seconds")
            if published.exists()
            else None
        ),
        "sinks": {sink.name: sink_state(settings, sink.name) for sink in listed(settings)},
        "runs": runs(settings),
    }
