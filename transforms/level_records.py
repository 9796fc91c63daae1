"""A person's level in a competency as a record of the topic competency.levels."""

from collections.abc import Mapping
from typing import Any

import orjson

from schemas.records import Record


def level_record(row: Mapping[str, Any]) -> Record:
    """The record of a row of mart_levels: key person|competency, value JSON. A row without a level is a tombstone."""
    key = f"{row['person']}|{row['competency']}"
    if row["reported_level"] is None:
        return Record(key, None)
    chances = sorted(name for name in row if name.startswith("p_at_least_"))
    told = {
        "person": row["person"],
        "competency": row["competency"],
        "competency_name": row["competency_name"],
        "level": row["reported_level"],
        "level_name": row["reported_level_name"],
        "estimated_level": row["level"],
        "p_at_least": [round(row[name], 6) for name in chances],
        "ability_mean": round(row["ability_mean"], 6),
        "ability_sd": round(row["ability_sd"], 6),
        "evidence_count": row["evidence_count"],
        "evidence_weight": round(row["evidence_weight"], 6),
        "last_evidence_at": row["last_evidence_at"] and row["last_evidence_at"].isoformat(),
        "stale": row["stale"],
        "framework_version": row["framework_version"],
        "parameters_version": row["parameters_version"],
    }
    return Record(key, orjson.dumps(told))
