"""How a group of people covers what a role requires."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Expected(NamedTuple):
    """How many of some are expected to be so, and the standard deviation of that."""

    mean: float
    sd: float
    of: int


def expected(chances: Iterable[float]) -> Expected:
    """Of events with these probabilities how many happen: mean and deviation of a Poisson binomial distribution.

    They are taken as independent; abilities of one person are not quite, so the deviation is a lower bound there.
    """
    given = list(chances)
    return Expected(sum(given), math.sqrt(sum(one * (1 - one) for one in given)), len(given))


def by_competency(rows: Iterable[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Rows of mart_role_gaps of one role, those of each competency together."""
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["competency"]].append(row)
    return list(found.values())


def coverage(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each competency of a role who meets it, how many are expected to, and whether it depends on one; the least met first.

    `rows` are those of mart_role_gaps of the role and the people.
    """
    found = []
    for of in by_competency(rows):
        meeting = sorted((row for row in of if row["status"] == "met"), key=lambda row: -row["p_met"])
        count = expected(row["p_met"] for row in of)
        found.append(
            {
                "competency": of[0]["competency"],
                "competency_name": of[0]["competency_name"],
                "required_level_name": of[0]["required_level_name"],
                "people": len(of),
                "met_by": [row["person"] for row in meeting],
                "expected_to_meet": count.mean,
                "expected_sd": count.sd,
                "unknown": sum(row["insufficient_evidence"] for row in of),
                "risk": "nobody" if not meeting else "one person" if len(meeting) == 1 else "",
            }
        )
    return sorted(found, key=lambda one: (len(one["met_by"]), one["expected_to_meet"]))
