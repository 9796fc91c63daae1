"""What is brought up to date once a day, for the marts: the history of levels as known now, and the dead letters."""

from dataclasses import dataclass

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


def daily(settings: Settings, project: DbtProject | None = None, log: EventLog | None = None) -> Daily:
    """Read new dead letters into the warehouse, and bring the levels as of each day up to date. Needs an estimate first."""
    if log is None:
        with event_log(settings) as opened:
            return daily(settings, project, opened)
    with warehouse.alone(settings.warehouse):
        return _daily(settings, project, log)


def _daily(settings: Settings, project: DbtProject | None, log: EventLog) -> Daily:
    read = 0
    taken = warehouse.rejected_offsets(settings.warehouse)
    for partition, offsets in log.offsets(REJECTED).items():
        letters = log.read(REJECTED, partition, max(offsets.begin, taken.get(partition, 0)), offsets.end)
        read += warehouse.note_rejected(settings.warehouse, partition, offsets.end, letters)
    (project or dbt_project(settings)).invoke("run", "--select", "tag:daily")
    return Daily(read)
