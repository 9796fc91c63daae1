"""What a run shows in the Prefect UI: tables of what landed, what was refused, which levels changed, and what quality found."""

from collections import Counter
from pathlib import Path
from typing import Any

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from connectors import warehouse
from flows.dead_letters import dead_letters
from flows.opening import event_log
from flows.settings import Settings

_CHANGES = """
with known as (
    select
        competency, load_id, reported_level,
        lag(reported_level) over (partition by person_key, competency order by load_id) as level_before
    from int_level_history
)
select
    competency,
    sum(case when level_before is null then 1 else 0 end)::bigint as first_estimated,
    sum(case when reported_level > level_before then 1 else 0 end)::bigint as risen,
    sum(case when reported_level < level_before then 1 else 0 end)::bigint as fallen,
    count(*) as with_new_evidence
from known where load_id = (select completed_load_id from lake.progress) group by competency order by competency
"""


def show_landed(settings: Settings, landed: dict[str, Any]) -> None:
    """What landed, and what stands among the dead letters by source and clause."""
    create_table_artifact(table=[landed], key="landed", description="What this run landed")
    with event_log(settings) as log:
        counted = Counter((letter.source, letter.clause) for letter in dead_letters(log))
    rows = [
        {"source": source, "clause": clause, "records": count} for (source, clause), count in counted.most_common(50)
    ]
    create_table_artifact(
        table=rows, key="rejected", description="Dead letters that stand, by source and clause: `proficio rejected`"
    )


def show_levels(settings: Settings) -> None:
    """By competency, how many people's levels the newest load changed."""
    rows = warehouse.rows(settings.warehouse, _CHANGES)
    create_table_artifact(table=rows, key="levels-changed", description="People with new evidence, by competency")


def show_quality(settings: Settings, found: dict[str, Any]) -> None:
    """What expectations warned of, with links to the Data Docs and to dbt's docs where the settings give them."""
    warnings = "\n".join(f"- {one}" for one in found["warnings"]) or "Every expectation is met."
    create_markdown_artifact(warnings, key="quality", description="Expectations")
    data_docs = settings.docs.data_docs or Path(found["docs"]).resolve().as_uri()
    create_link_artifact(
        str(data_docs), "Data Docs of Great Expectations", key="data-docs", description="What was checked"
    )
    if settings.docs.dbt_docs:
        create_link_artifact(
            str(settings.docs.dbt_docs), "dbt docs", key="dbt-docs", description="Models and their lineage"
        )
