"""Reads what was published: levels for the command line. Nothing here waits for a writer."""

from pathlib import Path
from typing import Any

from connectors.warehouse import parquet_rows
from flows.settings import Settings
from schemas.errors import InputError

_LEVELS = """
select * from mart
where ($1 is null or person = $1 or person = 'mailto:' || lower($1) or person_name = $1)
order by person, competency
"""


def levels(settings: Settings, person: str | None = None) -> list[dict[str, Any]]:
    """The published levels, of one person (identifier, mail address or name) or of all."""
    rows = parquet_rows(_published(settings, "mart_levels"), _LEVELS, [person])
    if person and not rows:
        raise InputError(
            f"Nothing is known of {person}.", "Give the identifier as `proficio levels` lists it, or a mail address."
        )
    return [
        {
            "person": row["person"],
            "person_name": row["person_name"],
            "competency": row["competency"],
            "competency_name": row["competency_name"],
            "level": row["level"],
            "level_name": row["level_name"],
            "p_at_least": [row[f"p_at_least_{level}"] for level in range(1, 5)],
            "ability_mean": row["ability_mean"],
            "ability_sd": row["ability_sd"],
            "ability_low": row["ability_low"],
            "ability_high": row["ability_high"],
            "evidence_count": row["evidence_count"],
            "evidence_weight": row["evidence_weight"],
            "insufficient_evidence": row["insufficient_evidence"],
            "last_evidence_at": row["last_evidence_at"],
            "stale": row["stale"],
        }
        for row in rows
    ]


def evidence(settings: Settings, person: str) -> list[dict[str, Any]]:
    """The published evidence of one person, newest first."""
    path = _published(settings, "mart_evidence")
    return parquet_rows(path, "select * from mart where person = $1 order by occurred_at desc", [person])


def _published(settings: Settings, mart: str) -> Path:
    path = settings.published / f"{mart}.parquet"
    if not path.exists():
        raise InputError("No levels are published yet.", "Run the pipeline: proficio run.")
    return path
