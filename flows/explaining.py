"""Why a level is what it is, and what would change it: from the published marts, by the reference estimator."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from connectors.warehouse import parquet_rows
from flows.opening import calibration, definitions
from flows.reading import evidence, levels, one_person, published
from flows.settings import Settings
from schemas.errors import InputError
from transforms.calibration import Calibration
from transforms.estimator import Evidence, estimate, fold
from transforms.explanation import Explanation
from transforms.published_evidence import as_evidence, parameters_for

_PARTS = """
select * exclude (person) from mart where person = $1 order by abs(contribution) desc, statement_id
"""


def explain(settings: Settings, person: str, competency: str | None = None) -> list[Explanation]:
    """What made each published level of a person, or the one of a competency (id or name); without one, those with evidence."""
    key = one_person(settings, person)
    rows = levels(settings, key)
    chosen = [row for row in rows if _is_meant(row, competency)]
    if not chosen:
        known = ", ".join(sorted(row["competency"] for row in rows))
        raise InputError(f"There is no competency {competency}.", f"Give one of {known}.")
    parts = parquet_rows(published(settings, "mart_explanations"), _PARTS, [key])
    in_use = calibration(settings, definitions(settings).framework)
    pieces = [as_evidence(row, in_use) for row in evidence(settings, key)]
    return [
        Explanation(
            row,
            [part for part in parts if part["competency"] == row["competency"]],
            list(_changes(row["competency"], pieces, in_use)),
        )
        for row in chosen
    ]


def _is_meant(row: dict[str, Any], competency: str | None) -> bool:
    if competency is None:
        return bool(row["evidence_count"])
    return competency.lower() in (row["competency"], row["competency_name"].lower())


def _changes(competency: str, pieces: list[Evidence], in_use: Calibration) -> Iterable[dict[str, Any]]:
    """What one more graded activity at each level would make of the level, done well or not, right after the newest."""
    parameters = parameters_for(in_use)
    newest = max((piece.occurred_at for piece in pieces), default=None)
    if newest is None:
        return
    for level in range(1, len(parameters.cuts) + 1):
        difficulty = in_use.parameters.difficulty(level) + in_use.difficulty_of(competency)
        for outcome in (1.0, 0.0):
            further = Evidence(
                competency, "further", difficulty, outcome, 1.0, newest + timedelta(seconds=1), "further",
                in_use.parameters.slope, practice=in_use.practice_of(competency),
            )  # fmt: skip
            (found,) = estimate(fold([*pieces, further], parameters), [competency], parameters)
            yield {
                "pitched_level": level, "outcome": outcome, "level": found.level, "p_at_least": list(found.p_at_least),
                "ability_mean": found.ability_mean,
            }  # fmt: skip
