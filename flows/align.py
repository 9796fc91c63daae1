"""Trying alignment rules on statements, and proposing rules for what none takes."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import yaml
from pyarrow.dataset import dataset

from connectors import warehouse
from flows.estimate import estimate
from flows.land import land
from flows.opening import definitions, event_log, lake_of
from flows.pull import ingest
from flows.reading import published
from flows.settings import EventLogSettings, LandSettings, Settings
from schemas.lake import STATEMENTS
from transforms.suggestion import Suggestion, suggest

_RULES = """
select alignments.rule_name, alignments.competency, levels.level_id as level, alignments.weight,
    count(distinct statements.statement_id) as statements, count(distinct evidence.statement_id) as evidence,
    min(alignments.activity_name) as example
from stg_statements as statements
inner join int_alignments as alignments using (alignment_key)
left join framework_levels as levels on alignments.level = levels.level
left join int_evidence as evidence
    on statements.statement_id = evidence.statement_id and alignments.rule_name = evidence.rule_name
where alignments.rule_name is not null
group by all
order by evidence desc, statements desc, alignments.rule_name
"""
_UNALIGNED = "select * from mart_unaligned order by potential_weight desc, statements desc, activity_id, verb_id"
_PROPOSABLE = """
select activity_id, min(activity_name) as activity_name, sum(statements) as statements, sum(potential_weight) as potential
from mart where reason = 'no rule' and potential_weight > 0
group by activity_id order by potential desc, activity_id limit $1
"""


@dataclass(frozen=True)
class Trial:
    """What the rules make of statements: how many each took, what none took, how many statements were refused."""

    statements: int
    rules: list[dict[str, Any]]
    unaligned: list[dict[str, Any]]
    rejected: int


def align_test(settings: Settings, file: Path) -> Trial:
    """Run the whole path on a file of statements in a place of its own, and tell what the rules made of them."""
    with tempfile.TemporaryDirectory(prefix="proficio-align-") as folder:
        trial = settings.model_copy(
            update={
                "home": Path(folder), "lake": "", "event_log": EventLogSettings(), "land": LandSettings(max_reject_share=1.0)
            }
        )  # fmt: skip
        taken = ingest(trial, file, "file")
        with event_log(trial) as log:
            landed = land(trial, log)
            estimate(trial, log=log)
        rows = warehouse.rows(trial.warehouse, "select count(*) as statements from stg_statements")
        return Trial(
            rows[0]["statements"],
            warehouse.rows(trial.warehouse, _RULES),
            warehouse.rows(trial.warehouse, _UNALIGNED),
            taken.rejected + landed.rejected,
        )


def align_suggest(settings: Settings, count: int) -> list[tuple[dict[str, Any], Suggestion]]:
    """Proposals for the unaligned activities that would bring most evidence, as published, with the row of each."""
    chosen = definitions(settings).framework
    path = published(settings, "mart_unaligned")
    rows = warehouse.parquet_rows(path, _PROPOSABLE, [count])
    described = _descriptions(settings, [row["activity_id"] for row in rows])
    texts = [
        " ".join(filter(None, (row["activity_name"] or _words(row["activity_id"]), described.get(row["activity_id"]))))
        for row in rows
    ]
    return [(row, one) for row, one in zip(rows, suggest(texts, chosen), strict=True) if one] if rows else []


def as_rules(found: list[tuple[dict[str, Any], Suggestion]]) -> str:
    """Proposals as YAML for alignment.yaml, each with what speaks for it; a person takes the lines that are right."""
    lines = []
    for row, one in found:
        rule = {
            "name": f"suggested-{one.competency}-{_words(row['activity_id']).replace(' ', '-').lower()}",
            "match": {"activity_id": row["activity_id"], "has": ["score", "success", "completion"]},
            "competency": one.competency, "level": one.level, "weight": 0.5, "outcome": "score", "kind": "graded",
        }  # fmt: skip
        about = " ".join((row["activity_name"] or row["activity_id"]).split())
        lines.append(f"# {about}: {row['statements']} statements, confidence {one.confidence:.2f}")
        lines.append("- " + yaml.safe_dump(rule, default_flow_style=True, sort_keys=False, width=10_000).strip())
    return "\n".join(lines)


def _descriptions(settings: Settings, activities: list[str]) -> dict[str, str]:
    """What the statements say of activities, where they say anything."""
    where = lake_of(settings)
    with where.reading():
        files = [where.local(file) for file in where.published()]
        if not files or not activities:
            return {}
        columns = ["activity_id", "activity_description"]
        asked = pc.field("activity_id").isin(activities) & pc.field("activity_description").is_valid()
        found = dataset(files, schema=STATEMENTS).to_table(columns, asked)
    return dict(zip(found["activity_id"].to_pylist(), found["activity_description"].to_pylist(), strict=True))


def _words(iri: str) -> str:
    """The words of an IRI's last two parts."""
    parts = [part for part in iri.rstrip("/").split("/")[3:] if part] or [iri]
    return " ".join("".join(one if one.isalnum() else " " for one in part) for part in parts[-2:]).strip()
