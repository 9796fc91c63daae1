"""Estimating: dbt takes up what landed and brings the levels up to date; conflicts go to the dead letters."""

from dataclasses import dataclass

from connectors import lake, warehouse
from connectors.dbt import DbtProject
from connectors.event_log import EventLog
from connectors.lake import Lake
from flows.dead_letters import record_of
from flows.engines import Engine, check_tests_run, engine
from flows.logs import logger
from flows.opening import dbt_project, event_log, identities, lake_of
from flows.settings import Settings, Target
from schemas.records import REJECTED, Record
from transforms.statements import Rejection, content_hash, parse

_COMPACT_EVERY = 20  # loads
_WITH_STATE = ("config.materialized:incremental", "config.materialized:table")  # views stay as they are
_CONFLICTS = "select * from int_conflicting_statements where load_id = ? order by topic, log_partition, log_offset"
_STATEMENT = "select statement from mart where log_partition = ? and log_offset = ?"


@dataclass(frozen=True)
class Estimated:
    """What an estimating run did: its load, the files taken up, statements refused as conflicting."""

    load_id: int
    files: int
    full_refresh: bool
    conflicts: int = 0


def estimate(
    settings: Settings,
    full_refresh: bool = False,
    project: DbtProject | None = None,
    log: EventLog | None = None,
    test: bool = False,
    refuse: bool = True,
    target: Target = "duckdb",
) -> Estimated:
    """Bring levels up to date with the lake. Only people with new evidence are touched, unless it starts from nothing.

    It starts from nothing when asked to, at the first run, and when framework, rules, parameters or models changed, or the
    lake was written anew. With `test`, dbt's tests run over what it wrote; those of the marts run when they are published.
    Without `refuse`, statements with an id that another has are left out, and no dead letter tells of them.
    """
    check_tests_run(test, target)
    project = project or dbt_project(settings, target=target)
    with engine(settings, target) as opened, lake_of(settings).reading():
        return _estimate(settings, opened, full_refresh, project, log, test, refuse)


def _estimate(
    settings: Settings,
    engine: Engine,
    full_refresh: bool,
    project: DbtProject,
    log: EventLog | None,
    test: bool,
    refuse: bool,
) -> Estimated:
    people = identities(settings)
    digest = f"{project.digest} {lake_of(settings).state().rewrites}"
    load = engine.begin_load(digest, people, full_refresh)
    if not load.files and not load.full_refresh and not load.relinked:
        return Estimated(load.load_id, 0, False)
    finished = load.finished_load_id
    not_there = ("--exclude", *engine.left_out) if engine.left_out else ()
    if load.full_refresh:
        project.invoke("seed", "--full-refresh")
        project.invoke("run", "--full-refresh", *not_there, finished_load=finished)
    else:
        project.invoke("run", "--select", *_WITH_STATE, "--exclude", "tag:daily", finished_load=finished)
    if test:
        for result in project.invoke("test", "--exclude", "test_type:unit", "path:models/marts"):
            if result["status"] == "warn":
                logger().warning("dbt test %s: %s", result["name"], result["message"])
    conflicts = _refuse_conflicts(settings, engine, load, log) if refuse else 0
    compact = load.load_id % _COMPACT_EVERY == 0
    engine.finish_load(load, digest, people, compact)
    if compact:
        project.invoke("run-operation", "compact_states")
    return Estimated(load.load_id, len(load.files), load.full_refresh, conflicts)


def _refuse_conflicts(settings: Settings, engine: Engine, load: warehouse.Load, log: EventLog | None) -> int:
    """Send statements to the dead letters that came with the id of an earlier one and other content (xAPI-Data 2.3.1)."""
    candidates = engine.rows(_CONFLICTS, [load.load_id])
    if not candidates:
        return 0
    if log is None:
        with event_log(settings) as opened:
            return _refuse_conflicts(settings, engine, load, opened)
    where = lake_of(settings)
    files = where.published()
    letters: list[Record] = []
    for row in candidates:
        later = _text(where, files, row["topic"], row["log_partition"], row["log_offset"])
        first = _text(where, files, row["first_topic"], row["first_partition"], row["first_offset"])
        if content_hash(parse(later.encode())[0]) != content_hash(parse(first.encode())[0]):
            place = f"{row['topic']}-{row['log_partition']}@{row['log_offset']}"
            earlier = f"{row['first_topic']}-{row['first_partition']}@{row['first_offset']}"
            reason = f"the id {row['statement_id']} belongs to another statement, received before as {earlier}"
            letters.append(record_of(place, later.encode(), Rejection("xAPI-Data 2.3.1", "/id", reason), {}))
    if letters:
        log.append(REJECTED, letters)
    return len(letters)


def _text(where: Lake, files: list[lake.LakeFile], topic: str, partition: int, offset: int) -> str:
    holding = next(
        file
        for file in files
        if (file.topic, file.partition) == (topic, partition) and file.first <= offset <= file.last
    )
    return str(warehouse.parquet_rows(where.local(holding), _STATEMENT, [partition, offset])[0]["statement"])
