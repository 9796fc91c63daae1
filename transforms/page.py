"""One self-contained HTML page: a person's levels with their uncertainty, and the cohort."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment

from schemas.framework import Framework
from transforms.explanation import COMPONENTS, Explanation

_TOLD = 6  # parts of an explanation that are shown one by one


def page(
    framework: Framework,
    levels: Sequence[dict[str, Any]],
    person: str,
    evidence: Sequence[dict[str, Any]],
    explanations: Sequence[Explanation],
    truth: dict[tuple[str, str], float],
    agreement: dict[str, Any] | None,
    made_at: str,
) -> str:
    """The page as HTML text, without any reference to the network.

    `levels` are rows as `flows.reading.levels` gives them, of everyone; `explanations` say why the person's are what they
    are; `truth` maps (person, competency) to a known ability, empty where none is known; `agreement` is `agreement(…)` of levels
    and truth.
    """
    order = {competency.id: number for number, competency in enumerate(framework.competencies)}
    mine = sorted((row for row in levels if row["person"] == person), key=lambda row: order[row["competency"]])
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        files("transforms").joinpath("page.html.j2").read_text("utf-8")
    )
    return template.render(
        framework=framework,
        person_name=next((row["person_name"] for row in mine if row["person_name"]), person),
        rows=[{**row, "truth": truth.get((person, row["competency"]))} for row in mine],
        evidence=evidence[:12],
        evidence_total=len(evidence),
        explanations=explanations,
        components=COMPONENTS,
        told=_TOLD,
        cohort=_cohort(framework, levels),
        people=len({row["person"] for row in levels}),
        agreement=agreement,
        made_at=made_at,
        x=lambda ability: round(50 + max(-4.5, min(4.5, ability)) * 100 / 9, 2),
    )


def agreement(
    levels: Sequence[dict[str, Any]], truth: dict[tuple[str, str], float], cuts: Sequence[float]
) -> dict[str, Any]:
    """How often estimates with enough evidence agree with the truth, overall and for each competency."""
    compared = [
        {
            "competency": row["competency"],
            "competency_name": row["competency_name"],
            "exact": row["level"] == _level(truth[row["person"], row["competency"]], cuts),
            "within_one": abs(row["level"] - _level(truth[row["person"], row["competency"]], cuts)) <= 1,
            "covered": row["ability_low"] <= truth[row["person"], row["competency"]] <= row["ability_high"],
        }
        for row in levels
        if not row["insufficient_evidence"] and (row["person"], row["competency"]) in truth
    ]
    names = dict.fromkeys(row["competency_name"] for row in compared)
    return {
        "overall": _shares(compared),
        "competencies": {name: _shares([row for row in compared if row["competency_name"] == name]) for name in names},
    }


def _level(ability: float, cuts: Sequence[float]) -> int:
    return sum(ability >= cut for cut in cuts)


def _shares(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    count = max(1, len(rows))
    return {
        "estimates": len(rows),
        **{key: sum(row[key] for row in rows) / count for key in ("exact", "within_one", "covered")},
    }


def _cohort(framework: Framework, levels: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each competency, how many people with enough evidence stand at each level, lowest first."""
    result = []
    for competency in framework.competencies:
        found = [
            row["level"] for row in levels if row["competency"] == competency.id and not row["insufficient_evidence"]
        ]
        counts = [found.count(level) for level in range(len(framework.levels) + 1)]
        result.append({"name": competency.name, "counts": counts, "total": len(found)})
    return result
