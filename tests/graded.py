"""Graded activities as statements, and as the evidence that they are by a calibration in which everything has an effect."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.xapi import VOIDED
from transforms.calibration import Calibration
from transforms.estimator import Evidence, Parameters

PARAMETERS = Parameters(
    general_mean=0.2,
    after_failure=-0.4,
    after_success=0.3,
    practice=0.15,
    practice_curve=0.3,
    half_life_days=90,
    fast_retention=0.9,
    other_retention=0.97,
    slip=0.03,
)
CALIBRATION = Calibration(
    PARAMETERS,
    competency_difficulty={"data-literacy": -0.3, "collaboration": 0.2},
    competency_practice={"data-literacy": -0.4, "ethics-bias": 0.1},
    activities={
        "https://lms.example.org/data-literacy/beginner/1": (0.5, 1.3),
        "https://lms.example.org/collaboration/master/2": (-0.7, 0.8),
    },
)
START = datetime(2026, 1, 1, tzinfo=UTC)
LEVELS = ("beginner", "intermediate", "advanced", "master")
COMPETENCIES = ("data-literacy", "collaboration", "ethics-bias")


def answered(
    number: int, person: int, competency: str, level: int, outcome: float, hour: float, activity: int = 1
) -> dict[str, Any]:
    """A graded activity; those numbered 3 are submissions, of which the newest grade replaces the ones before."""
    kind = {"type": "https://example.org/types/submission"} if activity == 3 else {}
    return {
        "id": f"00000000-0000-4000-8000-{number:012x}",
        "actor": {"mbox": f"mailto:p{person}@example.org", "name": f"Person {person}"},
        "verb": {"id": "http://adlnet.gov/expapi/verbs/answered"},
        "object": {"id": f"https://lms.example.org/{competency}/{LEVELS[level - 1]}/{activity}", "definition": kind},
        "result": {"score": {"scaled": outcome}},
        "timestamp": (START + timedelta(hours=hour)).isoformat(),
    }


def voiding(number: int, target: str) -> dict[str, Any]:
    return {
        "id": f"00000000-0000-4000-9000-{number:012x}",
        "actor": {"mbox": "mailto:admin@example.org"},
        "verb": {"id": VOIDED},
        "object": {"objectType": "StatementRef", "id": target},
    }


def pieces_of(statements: list[dict[str, Any]]) -> dict[str, list[Evidence]]:
    """The evidence of each person that the statements in force are."""
    voided = {one["object"]["id"] for one in statements if one["verb"]["id"] == VOIDED}
    evidence: dict[str, dict[str, Evidence]] = defaultdict(dict)
    for one in statements:
        if one["verb"]["id"] == VOIDED or one["id"] in voided:
            continue
        competency, level, _ = one["object"]["id"].rsplit("/", 3)[1:]
        deviation, slope = CALIBRATION.activities.get(one["object"]["id"], (0.0, 1.0))
        difficulty = PARAMETERS.difficulty(LEVELS.index(level) + 1) + CALIBRATION.difficulty_of(competency) + deviation
        evidence[one["actor"]["mbox"]][one["id"]] = Evidence(
            competency, one["object"]["id"], difficulty, one["result"]["score"]["scaled"],
            1.0, datetime.fromisoformat(one["timestamp"]), one["id"], slope,
            practice=CALIBRATION.practice_of(competency),
            only_latest="definition" in one["object"] and bool(one["object"]["definition"]),
        )  # fmt: skip
    return {person: list(pieces.values()) for person, pieces in evidence.items()}
