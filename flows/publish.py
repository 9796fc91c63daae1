"""Publishing: the marts as Parquet and as one read-only DuckDB file, each swapped in whole."""

from dataclasses import dataclass

from connectors import publication, warehouse
from connectors.publication import IDENTIFYING
from flows.settings import Settings

MARTS = (
    "mart_levels", "mart_level_history", "mart_evidence", "mart_explanations", "mart_people", "mart_cohort_progress",
    "mart_role_gaps", "mart_next_steps", "mart_portfolio", "mart_continuous_learning", "mart_framework_coverage",
    "mart_unaligned", "mart_data_quality", "mart_disputes", *IDENTIFYING, "dim_person_attribute", "dim_competency",
    "dim_activity", "dim_date",
)  # fmt: skip
LIVE = ("mart_levels", "mart_people", *IDENTIFYING)  # what `stream` keeps fresh; the others wait for `nightly`


@dataclass(frozen=True)
class Published:
    """Rows of each mart that was published."""

    rows: dict[str, int]


def publish(settings: Settings, marts: tuple[str, ...] = MARTS, database: bool = True) -> Published:
    """Publish marts. Readers of what was published before go on reading it; the next to open sees the new.

    Who people are goes to proficio's own pages and sinks, and to readers where `publish.identified` says so.
    """
    open_to_all = settings.publish.identified
    chosen = [one for one in marts if one not in settings.publish.leave_out and (open_to_all or one not in IDENTIFYING)]
    memory = settings.estimate.memory
    with warehouse.alone(settings.warehouse):
        settings.identified.mkdir(mode=0o700, parents=True, exist_ok=True)
        names = publication.publish(settings.warehouse, settings.identified, IDENTIFYING, False, memory)
        rows = publication.publish(settings.warehouse, settings.published, chosen, database, memory)
    return Published(names | rows)
