"""Publishing: the marts as Parquet, as one read-only DuckDB file and into PostgreSQL, each swapped in whole."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from connectors import publication
from connectors.dbt import DbtProject, described
from connectors.publication import IDENTIFYING
from flows.engines import Engine, check_tests_run, engine
from flows.logs import logger
from flows.opening import dbt_project, secret
from flows.settings import Settings, Target
from schemas.errors import SettingsError

MARTS = (
    "mart_levels", "mart_level_history", "mart_evidence", "mart_explanations", "mart_people", "mart_cohort_progress",
    "mart_cohort_gaps", "mart_stuck", "mart_role_gaps", "mart_role_readiness", "mart_next_steps", "mart_portfolio",
    "mart_continuous_learning", "mart_framework_coverage", "mart_unaligned", "mart_data_quality", "mart_drift", "mart_disputes",
    *IDENTIFYING, "dim_person_attribute", "dim_competency", "dim_activity", "dim_date",
)  # fmt: skip
TARGETS = ("parquet", "duckdb", "postgres")
LIVE = ("mart_levels", "mart_people", *IDENTIFYING)  # what `stream` keeps fresh; the others wait for `nightly`


@dataclass(frozen=True)
class Published:
    """Rows of each mart that was published."""

    rows: dict[str, int]


def publish(
    settings: Settings,
    to: Collection[str] | None = None,
    test: bool = False,
    project: DbtProject | None = None,
    target: Target = "duckdb",
) -> Published:
    """Publish every mart as Parquet, and to what else `to` names: duckdb, postgres; without it, what the settings say.

    With `test`, dbt's tests of the marts run on what is about to be published; QualityError where one fails, and readers keep
    what they have. Readers of what was published before go on reading it; the next to open sees the new. Who people are goes to
    proficio's own pages and sinks, and to readers where `publish.identified` says so.
    """
    to = settings.publish.to if to is None else to
    check_tests_run(test, target)
    with engine(settings, target) as opened:
        done = _publish(settings, opened, lambda: project or dbt_project(settings, target=target), MARTS, test)
        chosen = _chosen(settings, MARTS)
        for path in settings.published.glob("*.parquet"):
            if path.stem not in chosen:  # published before, and left out now
                path.unlink()
        if "duckdb" in to:
            publication.publish_database(settings.published, chosen, settings.estimate.memory)
    if "postgres" in to:
        _to_postgres(settings, chosen)
    return done


def publish_live(settings: Settings) -> Published:
    """Publish what `stream` keeps fresh, as Parquet."""
    with engine(settings, "duckdb") as opened:
        return _publish(settings, opened, lambda: dbt_project(settings), LIVE)


def _chosen(settings: Settings, marts: Sequence[str]) -> list[str]:
    to_all = settings.publish.identified
    return [one for one in marts if one not in settings.publish.leave_out and (to_all or one not in IDENTIFYING)]


def _publish(
    settings: Settings, engine: Engine, project: Callable[[], DbtProject], marts: Sequence[str], test: bool = False
) -> Published:
    staged, chosen = settings.home / "staged", _chosen(settings, marts)
    try:
        rows = engine.stage(staged, [*IDENTIFYING, *chosen], lambda mart: project().compiled(mart))
        if test:
            _test(project(), staged, list(rows))
        settings.identified.mkdir(mode=0o700, parents=True, exist_ok=True)
        publication.release(staged, settings.identified, IDENTIFYING)
        publication.release(staged, settings.published, chosen)
    finally:
        rmtree(staged, ignore_errors=True)
    return Published(rows)


def _test(project: DbtProject, staged: Path, marts: Sequence[str]) -> None:
    """Run dbt's tests of marts on their staged files: a mart is computed once, not once for each of its tests."""
    tests = ("--select", "path:models/marts", "--exclude", "test_type:unit")
    for result in project.invoke("test", *tests, staged=str(staged), staged_marts=list(marts)):
        if result["status"] == "warn":
            logger().warning("dbt test %s: %s", result["name"], result["message"])


def _to_postgres(settings: Settings, marts: Sequence[str]) -> None:
    from connectors import postgres

    chosen = settings.publish.postgres
    if chosen is None:
        raise SettingsError("publish.postgres is not set.", "Give its url: see docs/bi.md, PostgreSQL.")
    password = secret(chosen.password_file, "publish.postgres.password_file") if chosen.password_file else ""
    files = {mart: settings.published / f"{mart}.parquet" for mart in marts}
    postgres.publish(chosen.url, password, chosen.schema_name, files, described())
