"""What of the event log is not in the lake yet."""

from collections.abc import Mapping
from typing import NamedTuple

from connectors.event_log import EventLog
from flows.opening import lake_of
from flows.settings import Settings
from schemas.errors import StorageError
from schemas.records import STATEMENTS


class Waiting(NamedTuple):
    """What of a partition is not landed: where the lake ends, the first offset to land, the end of the partition."""

    follows: int
    first: int
    end: int


def backlog(settings: Settings, log: EventLog, ends: Mapping[int, int] | None = None) -> dict[int, Waiting]:
    """For each partition with records that are not landed, those; with `ends`, of the partitions named and up to there."""
    starts = lake_of(settings).ends(STATEMENTS)
    waiting = {}
    for partition, (begin, end) in log.offsets(STATEMENTS).items():
        follows = starts.get(partition, 0)
        if follows > end:
            raise StorageError(
                f"The lake holds offset {follows - 1} of {STATEMENTS}-{partition}, but the event log ends at {end}.",
                "The event log was replaced or cut. Bring it back, or start with another home.",
            )
        if follows < begin and partition in starts and not settings.land.skip_expired:
            raise StorageError(
                f"{STATEMENTS}-{partition} starts at offset {begin}, but {follows} is to be landed next: "
                f"{begin - follows} records expired unlanded.",
                "Raise the topic's retention and land more often. To go on without them: land.skip_expired = true.",
            )
        waits = Waiting(follows, max(follows, begin), end if ends is None else min(end, ends.get(partition, 0)))
        if waits.first < waits.end:
            waiting[partition] = waits
    return waiting
