"""Published levels without a pipeline: mart_levels and dim_account as files, for the tests of what reads them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flows.opening import identities
from flows.settings import Settings

NAMES = ("Below Beginner", "Beginner", "Intermediate", "Advanced", "Master")
START = datetime(2026, 1, 1, tzinfo=UTC)


def level(
    account: str, level: int, certain: float = 0.9, pieces: int = 12, competency: str = "data-literacy", **changes: Any
) -> dict[str, Any]:
    """A row of mart_levels of an account, at a level with such a probability of being there or above."""
    below = [0.99] * (level - 1)
    chances = (
        [*below, certain, *[round((1 - certain) / 2, 3)] * (4 - level)] if level else [1 - certain, 0.05, 0.01, 0.0]
    )
    return {
        "account": account, "competency": competency, "competency_name": competency.replace("-", " ").capitalize(),
        "group_name": "Core", "level": level, "level_name": NAMES[level],
        **{f"p_at_least_{number}": chance for number, chance in enumerate(chances, start=1)},
        "ability_mean": 0.0, "ability_sd": 0.5, "ability_low": -0.8, "ability_high": 0.8, "evidence_count": pieces,
        "evidence_weight": float(pieces), "insufficient_evidence": False, "reported_level": level,
        "reported_level_name": NAMES[level], "criteria_met": "", "criteria_open": "", "self_assessed_level": None,
        "last_evidence_at": START + timedelta(days=pieces), "stale": False, "framework_version": "1", "parameters_version": "default",
        **changes,
    }  # fmt: skip


def publish_levels(settings: Settings, rows: Iterable[dict[str, Any]]) -> None:
    """Publish rows of `level` as what is so now, and whose the accounts are."""
    known = identities(settings)
    given = [{"person": known.person_key(row["account"]), **row} for row in rows]
    settings.identified.mkdir(parents=True, exist_ok=True)
    settings.published.mkdir(parents=True, exist_ok=True)
    levels = [{name: value for name, value in row.items() if name != "account"} for row in given]
    owners = {(row["person"], row["account"]) for row in given}
    accounts = [
        {"person": person, "account": account, "account_name": None, "first_seen_at": START, "last_seen_at": START}
        for person, account in sorted(owners)
    ]
    pq.write_table(pa.Table.from_pylist(levels, schema=_LEVELS), settings.published / "mart_levels.parquet")
    pq.write_table(pa.Table.from_pylist(accounts), settings.identified / "dim_account.parquet")


_LEVELS = pa.schema(
    [(name, pa.string()) for name in ("person", "competency", "competency_name", "group_name")]
    + [("level", pa.int32()), ("level_name", pa.string())]
    + [(f"p_at_least_{number}", pa.float64()) for number in range(1, 5)]
    + [(name, pa.float64()) for name in ("ability_mean", "ability_sd", "ability_low", "ability_high")]
    + [("evidence_count", pa.int64()), ("evidence_weight", pa.float64()), ("insufficient_evidence", pa.bool_())]
    + [("reported_level", pa.int32())]
    + [(name, pa.string()) for name in ("reported_level_name", "criteria_met", "criteria_open")]
    + [("self_assessed_level", pa.int32()), ("last_evidence_at", pa.timestamp("us", tz="UTC")), ("stale", pa.bool_())]
    + [(name, pa.string()) for name in ("framework_version", "parameters_version")]
)
