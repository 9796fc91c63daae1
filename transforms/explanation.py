"""Why an estimate is what it is: how much each piece of evidence, practice and the other competencies moved it.

The expected ability is followed from the prior to the posterior while the evidence is let in, from t = 0 to 1: its slope
is the covariance of ability and evidence, and a piece's part of the covariance, integrated, is its contribution. That is
the integrated gradient of the expected ability (Sundararajan, Taly and Yan 2017), and sums to what the evidence moved.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from transforms.estimator import Array, Evidence, Parameters, discounted, estimate, fold, priors

COMPONENTS = {
    "other competencies": "What the other competencies say",
    "practice": "Practice: how often it was exercised",
}
NODES = 8  # of the Gauss–Legendre rule; what it leaves is spread over the pieces by their size


@dataclass(frozen=True)
class Contribution:
    """How far something moved the expected ability in a competency, in logits; `statement_id` is None but for evidence."""

    competency: str
    component: Literal["other competencies", "practice", "evidence"]
    statement_id: str | None
    contribution: float


@dataclass(frozen=True)
class Explanation:
    """A level (a row as `flows.reading.levels` gives it), what made it, largest first, and what a further outcome would."""

    level: dict[str, Any]
    parts: list[dict[str, Any]]
    changes: list[dict[str, Any]]


def contributions(
    evidence: Iterable[Evidence], competencies: Sequence[str], parameters: Parameters
) -> list[Contribution]:
    """What made each expected ability of one person; for each competency they sum to it, counted from 0."""
    pieces = list(evidence)
    states = fold(pieces, parameters)
    parts = list(discounted(pieces, parameters))
    means = {one.competency: one.ability_mean for one in estimate(states, competencies, parameters)}
    found = []
    for name, prior in priors(states, competencies, parameters).items():
        before = float(parameters.grid @ prior)
        found.append(Contribution(name, "other competencies", None, before))
        if name not in states:
            continue
        gained = states[name].gained
        found.append(Contribution(name, "practice", None, gained))
        own = [one for one in parts if one.piece.competency == name]
        direction = _direction(prior, states[name].fast, parameters)
        raw = np.array([one.fast * float(one.likelihood @ direction) for one in own])
        size = np.abs(raw).sum()
        rest = means[name] - gained - before - raw.sum()
        share = np.abs(raw) / size if size > 0 else np.full(len(raw), 1 / len(raw))
        found += [
            Contribution(name, "evidence", one.piece.statement_id, float(moved))
            for one, moved in zip(own, raw + rest * share, strict=True)
        ]
    return found


def _direction(prior: Array, evidence: Array, parameters: Parameters) -> Array:
    """What a unit of log-likelihood at each point moves the expected ability, over the way from prior to posterior."""
    places, weights = np.polynomial.legendre.leggauss(NODES)
    direction = np.zeros(parameters.points)
    for t, weight in zip((places + 1) / 2, weights / 2, strict=True):
        mass = prior * np.exp(t * (evidence - evidence.max()))
        mass /= mass.sum()
        direction += weight * mass * (parameters.grid - mass @ parameters.grid)
    return direction
