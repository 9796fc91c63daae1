"""What is brought up to date once a day, for the marts: the history of levels as known now, and the dead letters."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from connectors import warehouse
from connectors.dbt import DbtProject
from connectors.event_log import EventLog
from flows.opening import dbt_project, event_log
from flows.settings import Settings
from schemas.records import REJECTED


@dataclass(frozen=True)
class Daily:
    """What a daily run did: dead letters that it read."""

    dead_letters: int


def daily(
    settings: Settings, project: DbtProject | None = None, log: EventLog | None = None, until: date = date.max
) -> Daily:
    """Read new dead letters, those up to a day (UTC), into the warehouse, and bring the levels as of each day up to date.

    Needs an estimate first.
    """
    if log is None:
        with event_log(settings) as opened:
            return daily(settings, project, opened, until)
    with warehouse.alone(settings.warehouse):
        return _daily(settings, project, log, until)


def _daily(settings: Settings, project: DbtProject | None, log: EventLog, until: date) -> Daily:
    read = 0
    taken = warehouse.rejected_offsets(settings.warehouse)
    for partition, offsets in log.offsets(REJECTED).items():
        letters = log.read(REJECTED, partition, max(offsets.begin, taken.get(partition, 0)), offsets.end)
        told = (one for one in letters if datetime.fromtimestamp(one.timestamp / 1000, UTC).date() <= until)
        read += warehouse.note_rejected(settings.warehouse, partition, offsets.end, told)
    (project or dbt_project(settings)).invoke("run", "--select", "tag:daily")
    return Daily(read)
