"""Publishing: the marts as Parquet, as one read-only DuckDB file and into PostgreSQL, each swapped in whole."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from connectors import publication, warehouse
from connectors.dbt import described
from connectors.publication import IDENTIFYING
from flows.opening import secret
from flows.settings import Settings
from schemas.errors import SettingsError

MARTS = (
    "mart_levels", "mart_level_history", "mart_evidence", "mart_explanations", "mart_people", "mart_cohort_progress",
    "mart_cohort_gaps", "mart_stuck", "mart_role_gaps", "mart_next_steps", "mart_portfolio", "mart_continuous_learning",
    "mart_framework_coverage", "mart_unaligned", "mart_data_quality", "mart_drift", "mart_disputes",
    *IDENTIFYING, "dim_person_attribute", "dim_competency", "dim_activity", "dim_date",
)  # fmt: skip
TARGETS = ("parquet", "duckdb", "postgres")
LIVE = ("mart_levels", "mart_people", *IDENTIFYING)  # what `stream` keeps fresh; the others wait for `nightly`


@dataclass(frozen=True)
class Published:
    """Rows of each mart that was published."""

    rows: dict[str, int]


def publish(settings: Settings, to: Collection[str] | None = None) -> Published:
    """Publish every mart as Parquet, and to what else `to` names: duckdb, postgres; without it, what the settings say.

    Readers of what was published before go on reading it; the next to open sees the new. Who people are goes to proficio's own
    pages and sinks, and to readers where `publish.identified` says so.
    """
    to = settings.publish.to if to is None else to
    with warehouse.alone(settings.warehouse):
        done = _publish(settings, MARTS)
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
    with warehouse.alone(settings.warehouse):
        return _publish(settings, LIVE)


def _chosen(settings: Settings, marts: Sequence[str]) -> list[str]:
    to_all = settings.publish.identified
    return [one for one in marts if one not in settings.publish.leave_out and (to_all or one not in IDENTIFYING)]


def _publish(settings: Settings, marts: Sequence[str]) -> Published:
    memory = settings.estimate.memory
    settings.identified.mkdir(mode=0o700, parents=True, exist_ok=True)
    names = publication.publish(settings.warehouse, settings.identified, IDENTIFYING, memory)
    rows = publication.publish(settings.warehouse, settings.published, _chosen(settings, marts), memory)
    return Published(names | rows)


def _to_postgres(settings: Settings, marts: Sequence[str]) -> None:
    from connectors import postgres

    chosen = settings.publish.postgres
    if chosen is None:
        raise SettingsError("publish.postgres is not set.", "Give its url: see docs/bi.md, PostgreSQL.")
    password = secret(chosen.password_file, "publish.postgres.password_file") if chosen.password_file else ""
    files = {mart: settings.published / f"{mart}.parquet" for mart in marts}
    postgres.publish(chosen.url, password, chosen.schema_name, files, described())
