"""Checking what is there against itself: the lake against the event log, ids, offsets, and the levels against a rebuild."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import SecretStr

from connectors import lake, warehouse
from connectors.event_log import EventLog
from connectors.lake import Lake
from flows.estimate import estimate
from flows.opening import event_log, identities, lake_of
from flows.settings import Settings
from schemas.records import REJECTED, STATEMENTS

_TOLERANCE = 1e-9
_LEVELS = """
select count(*) filter (
    ours.person is null or anew.person is null or ours.level is distinct from anew.level
    or ours.evidence_count is distinct from anew.evidence_count
    or not coalesce(abs(ours.ability_mean - anew.ability_mean) <= $1, false)
) as wrong, count(*) as rows
from mart_levels as ours full join anew.mart_levels as anew on ours.person = anew.person and ours.competency = anew.competency
"""


@dataclass(frozen=True)
class Finding:
    """What was checked, over how many, and what is wrong; empty where nothing is."""

    check: str
    checked: int
    wrong: tuple[str, ...] = ()


def verify(settings: Settings, rebuild: bool = True) -> list[Finding]:
    """Check lake, event log and levels. Landing, estimating and publishing wait meanwhile; receiving goes on.

    Without `rebuild`, levels are not estimated anew to be compared, which takes as long as `estimate --full-refresh`.
    """
    where = lake_of(settings)
    with warehouse.alone(settings.warehouse), where.locked(), event_log(settings) as log:
        files = where.published()
        findings = [_contiguous(files), _within(where, files), *_against_log(log, where, files)]
        if settings.warehouse.exists():
            findings.append(_unique_ids(settings))
            if rebuild:
                findings.append(_rebuilt(settings))
    return findings


def _offsets(where: Lake, file: lake.LakeFile) -> list[int]:
    """The offsets of the rows of a file."""
    found: list[int] = where.read(file, ["log_offset"])["log_offset"].to_pylist()
    return found


def _contiguous(files: list[lake.LakeFile]) -> Finding:
    """The ranges of a partition follow on one another, by the names of the files."""
    by_partition: defaultdict[tuple[str, int], list[lake.LakeFile]] = defaultdict(list)
    for file in files:
        by_partition[file.topic, file.partition].append(file)
    wrong = [
        f"{file.path.name} begins at {file.first}, but the one before ends at {before.last}"
        for some in by_partition.values()
        for before, file in pairwise(some)
        if file.first != before.last + 1
    ]
    return Finding("offsets are contiguous", len(files), tuple(wrong))


def _within(where: Lake, files: list[lake.LakeFile]) -> Finding:
    """Each row stands in the range that its file's name gives, each offset once."""
    wrong, rows = [], 0
    for file in files:
        offsets = _offsets(where, file)
        rows += len(offsets)
        if len(set(offsets)) < len(offsets):
            wrong.append(f"{file.path.name} holds an offset twice")
        if offsets and not file.first <= min(offsets) <= max(offsets) <= file.last:
            wrong.append(f"{file.path.name} holds offsets {min(offsets)} to {max(offsets)}")
    return Finding("rows stand in their file's range, once", rows, tuple(wrong))


def _against_log(log: EventLog, where: Lake, files: list[lake.LakeFile]) -> list[Finding]:
    """Every record that was landed is in the lake or among the dead letters, and every row of the lake in the log.

    Records that expired, or were taken out with a person, are not in the log any more; so far the lake is taken at its word.
    """
    letters = {
        record.headers.get("origin", record.place)
        for partition, at in log.offsets(REJECTED).items()
        for record in log.read(REJECTED, partition, *at)
    }
    held = log.offsets(STATEMENTS)
    firsts: dict[int, int] = {}
    for file in files:
        firsts[file.partition] = min(firsts.get(file.partition, file.first), file.first)
    lost = [
        f"{STATEMENTS}-{partition}@{held[partition].begin} to {first - 1}"
        for partition, first in firsts.items()
        if partition in held and held[partition].begin < first
    ]
    foreign: list[str] = []
    records = rows = 0
    for file in files:
        begin, end = held.get(file.partition, (0, 0))
        landed = set(_offsets(where, file))
        seen = set()
        for record in log.read(STATEMENTS, file.partition, max(begin, file.first), min(end, file.last + 1)):
            records += 1
            seen.add(record.offset)
            if record.offset not in landed and record.place not in letters:
                lost.append(record.place)
        rows += len(landed)
        if file.last >= end:
            foreign.append(f"{file.path.name}, but the log ends at {end}")
        elif log.singly is False:
            foreign += [f"{STATEMENTS}-{file.partition}@{one}" for one in sorted(landed - seen) if one >= begin]
    return [
        Finding("records of the log are in the lake or among the dead letters", records, tuple(lost)),
        Finding("rows of the lake are in the log", rows, tuple(foreign)),
    ]


def _unique_ids(settings: Settings) -> Finding:
    counted = "select count(*) as rows, count(distinct statement_id) as ids from stg_statements"
    (found,) = warehouse.rows(settings.warehouse, counted)
    twice = found["rows"] - found["ids"]
    return Finding("statements that count have an id of their own", found["rows"], (f"{twice} twice",) if twice else ())


def _rebuilt(settings: Settings) -> Finding:
    """Levels are what they are when they are estimated from nothing, to 1e-9. What waits to be estimated is, first."""
    estimate(settings)
    with TemporaryDirectory(dir=settings.home, prefix=".verify-") as folder:
        (Path(folder) / "lake").symlink_to(settings.home.absolute() / "lake")
        if settings.calibrations.exists():
            (Path(folder) / "calibrations").symlink_to(settings.calibrations.absolute())
        key = SecretStr(identities(settings).key.decode())
        identity = settings.identity.model_copy(update={"key": key})
        anew = settings.model_copy(
            update={"home": Path(folder), "identity": identity, "compiled": settings.compiled_folder}
        )
        estimate(anew, full_refresh=True)
        with warehouse.connected(settings.warehouse, read_only=True) as connection:
            connection.execute(f"attach '{warehouse.quoted(anew.warehouse)}' as anew (read_only)")
            wrong, rows = connection.execute(_LEVELS, [_TOLERANCE]).fetchone() or (0, 0)
    return Finding("levels equal a rebuild to 1e-9", rows, (f"{wrong} differ",) if wrong else ())
