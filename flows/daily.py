"""What is brought up to date once a day, for the marts: the history of levels as known now, and the dead letters."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from connectors.dbt import DbtProject
from connectors.event_log import EventLog
from flows.engines import Engine, engine
from flows.opening import dbt_project, event_log
from flows.settings import Settings, Target
from schemas.records import REJECTED


@dataclass(frozen=True)
class Daily:
    """What a daily run did: dead letters that it read."""

    dead_letters: int


def daily(
    settings: Settings,
    project: DbtProject | None = None,
    log: EventLog | None = None,
    until: date = date.max,
    target: Target = "duckdb",
) -> Daily:
    """Read new dead letters, those up to a day (UTC), into the warehouse, and bring the levels as of each day up to date.

    Needs an estimate first.
    """
    if log is None:
        with event_log(settings) as opened:
            return daily(settings, project, opened, until, target)
    with engine(settings, target) as opened_engine:
        return _daily(opened_engine, project or dbt_project(settings, target=target), log, until)


def _daily(engine: Engine, project: DbtProject, log: EventLog, until: date) -> Daily:
    read = 0
    taken = engine.rejected_offsets()
    for partition, offsets in log.offsets(REJECTED).items():
        letters = log.read(REJECTED, partition, max(offsets.begin, taken.get(partition, 0)), offsets.end)
        told = (one for one in letters if datetime.fromtimestamp(one.timestamp / 1000, UTC).date() <= until)
        read += engine.note_rejected(partition, offsets.end, told)
    project.invoke("run", "--select", "tag:daily")
    return Daily(read)
