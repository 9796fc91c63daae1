"""The reference estimator: Bayesian item response theory on a grid, with forgetting and practice.

This is the oracle. The dbt project computes the same in SQL, incrementally; tests hold the two together to 1e-9. The
model is that of docs/estimator.md: the Rasch model with a common slope (Lord 1980, 2PL with equal discrimination),
abilities of the competencies drawn around a general ability (a second-order factor model), likelihoods discounted by
later evidence and by time (power discounting, as in West and Harrison 1997, 6.3).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cached_property
from math import erf, log, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LEAST_MASS = 1e-30  # of a cell, so that no amount of evidence makes an ability impossible and no logarithm infinite


@dataclass(frozen=True)
class Parameters:
    """Parameters of the estimator, all on the logit scale of ability unless said otherwise."""

    version: str = "default-1"
    points: int = 17
    low: float = -5.0
    high: float = 5.0
    slope: float = 1.0
    general_mean: float = 0.0  # of the people whom the parameters were fitted on
    general_sd: float = 1.0
    specific_sd: float = 0.6
    loading: float = 1.0
    fast_retention: float = 0.98  # of the fast sum, for each later piece of evidence on the same competency
    other_retention: float = 0.98  # of the fast sum, for each later piece on other competencies
    slow_retention: float = 0.99  # of the slow sum, for each later piece
    half_life_days: float = 365.0
    practice: float = 0.05
    practice_curve: float = 0.0  # 0: practice gains with the logarithm of how often, 1: in proportion to it
    after_failure: float = 0.0
    after_success: float = 0.0
    repetition: float = 0.5  # of a piece's weight, for each earlier one like it on the same day (UTC)
    guess: float = 0.0  # chance of success without the ability, where the activity does not say
    slip: float = 0.0  # chance of failure in spite of it
    cuts: tuple[float, ...] = (-2.0, -0.5, 1.0, 2.5)
    target_success: float = 0.7
    minimum_weight: float = 1.0

    @cached_property
    def step(self) -> float:
        """Distance between two points of the grid."""
        return (self.high - self.low) / (self.points - 1)

    @cached_property
    def grid(self) -> Array:
        """The points θ, shape (points,)."""
        return np.asarray(self.low + self.step * np.arange(self.points), dtype=np.float64)

    @cached_property
    def general_prior(self) -> Array:
        """P(g) on the grid by cell mass, shape (points,)."""
        return self._cell_mass(self.general_mean, self.general_sd)

    @cached_property
    def transition(self) -> Array:
        """T[g, θ] = P(θ | g) by cell mass, so that a specific_sd below the step survives; rows sum to 1."""
        return np.array([self._cell_mass(self.loading * g, self.specific_sd) for g in self.grid])

    def above(self, gained: float = 0.0) -> Array:
        """Share of each cell that lies above each cut once practice has `gained`, (levels, points): mass is even in a cell."""
        shares = (self.grid + gained + self.step / 2 - np.array(self.cuts)[:, None]) / self.step
        return np.asarray(np.clip(shares, 0.0, 1.0), dtype=np.float64)

    def practised(self, count: int | NDArray[np.int64]) -> Array:
        """What so many pieces of evidence count for as practice: ((1 + n)^κ − 1) / κ, log(1 + n) for κ = 0 (Box and Cox 1964)."""
        from scipy.special import boxcox1p  # late: commands that estimate nothing start sooner

        return np.asarray(boxcox1p(count, self.practice_curve), dtype=np.float64)

    def difficulty(self, level: int) -> float:
        """Difficulty of an activity pitched at a level (1 is the lowest): who is just there succeeds 7 times in 10."""
        return self.cuts[level - 1] - self.ease

    @property
    def ease(self) -> float:
        """How far below the cut of its level an activity's difficulty stands."""
        return log(self.target_success / (1 - self.target_success)) / self.slope

    def _cell_mass(self, mean: float, sd: float) -> Array:
        edges = np.append(self.grid - self.step / 2, self.grid[-1] + self.step / 2)
        cumulative = np.array([(1 + erf((edge - mean) / (sd * sqrt(2)))) / 2 for edge in edges])
        mass = np.maximum(np.diff(cumulative), LEAST_MASS)
        return np.asarray(mass / mass.sum(), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One piece of evidence on one competency. Pieces of one statement share `statement_id` and `occurred_at`.

    `slope` is how sharply the activity tells abilities apart, beside the parameters' slope; `guess`, `slip` and the
    competency's `practice` are None where the parameters decide. Pieces on one competency with the same `repeats` repeat each
    other; None: those on the same activity do. Where `only_latest`, a later piece on the same activity replaces this one.
    """

    competency: str
    activity: str
    difficulty: float
    outcome: float
    weight: float
    occurred_at: datetime
    statement_id: str
    slope: float = 1.0
    guess: float | None = None
    slip: float | None = None
    practice: float | None = None
    repeats: str | None = None
    only_latest: bool = False


@dataclass(frozen=True)
class Estimate:
    """What the evidence says of one person in one competency. `level` 0 is below the lowest level."""

    competency: str
    level: int
    p_at_least: tuple[float, ...]
    ability_mean: float
    ability_sd: float
    ability_low: float  # 5 % quantile
    ability_high: float  # 95 % quantile
    evidence_count: int
    evidence_weight: float
    last_evidence_at: datetime | None


@dataclass
class State:
    """The two sums of log-likelihood for one competency, discounted to the person's newest evidence, as functions of the
    ability before practice; and how far practice has raised that ability since.
    """

    fast: Array
    slow: Array
    gained: float = 0.0
    weight: float = 0.0
    count: int = 0
    last: datetime | None = None


def fold(evidence: Iterable[Evidence], parameters: Parameters) -> dict[str, State]:
    """The state of one person for each competency with evidence. Order of the argument does not matter.

    Each piece adds its log-likelihood to both sums, discounted as `discounted` says.
    """
    states: dict[str, State] = {}
    for one in discounted(evidence, parameters):
        state = states.setdefault(one.piece.competency, State(np.zeros(parameters.points), np.zeros(parameters.points)))
        state.count += 1
        state.fast += one.fast * one.likelihood
        state.slow += one.slow * one.likelihood
        state.gained = _gained(one.piece, state.count, parameters)
        state.weight += one.fast * one.piece.weight
        state.last = one.piece.occurred_at
    return states


class Discounted(NamedTuple):
    """A piece of evidence, what it says of each ability before practice (points,), what is left of it in the two sums."""

    piece: Evidence
    likelihood: Array
    fast: float
    slow: float


def discounted(evidence: Iterable[Evidence], parameters: Parameters) -> Iterator[Discounted]:
    """The pieces in force of one person, in the order in which they occurred, each with what is left of it at the newest.

    A piece says w·(y·log P + (1 − y)·log(1 − P)), where P = guess + (1 − guess − slip)·σ(z) (Barton and Lord 1981, 4PL)
    and z = slope·(θ + practice·practised(n) − difficulty) + retry. θ is what the person began with, n how many pieces on the
    same competency came before: practice raises what they can do (additive factors model, Cen, Koedinger and Junker 2006).
    Later pieces of the person multiply the slow sum by slow_retention each, the fast one by fast_retention or
    other_retention, as they are on the same competency or not; Δt days to the newest piece multiply both by
    2^(−Δt/half-life).
    """
    ordered = list(in_force(evidence, parameters))
    places = sorted({(piece.occurred_at, piece.statement_id) for piece, _ in ordered})
    later = {place: len(places) - 1 - index for index, place in enumerate(places)}
    on_same = Counter(piece.competency for piece, _ in ordered)
    later_on_same = on_same.copy()
    for piece, previous in ordered:
        place = (piece.occurred_at, piece.statement_id)
        days = (places[-1][0] - piece.occurred_at).total_seconds() / 86_400
        fade = 2.0 ** (-days / parameters.half_life_days)
        later_on_same[piece.competency] -= 1
        same = later_on_same[piece.competency]
        gained = _gained(piece, on_same[piece.competency] - 1 - same, parameters)
        yield Discounted(
            piece,
            _log_likelihood(piece, previous, gained, parameters),
            fade * parameters.fast_retention**same * parameters.other_retention ** (later[place] - same),
            fade * parameters.slow_retention ** later[place],
        )


def in_force(evidence: Iterable[Evidence], parameters: Parameters) -> Iterator[tuple[Evidence, float | None]]:
    """The pieces of one person that count, in order, with the outcome of the attempt before at the same activity.

    A piece that a later one replaced counts no more. Of pieces that repeat each other within a day, the first has its
    whole weight, and each further one `repetition` times that of the one before.
    """
    ordered = sorted(evidence, key=lambda piece: (piece.occurred_at, piece.statement_id))
    last = {(piece.competency, piece.activity): number for number, piece in enumerate(ordered)}
    before: dict[tuple[str, str], float] = {}
    repeated: Counter[tuple[str, str, date]] = Counter()
    for number, piece in enumerate(ordered):
        attempt = (piece.competency, piece.activity)
        if not piece.only_latest or last[attempt] == number:
            day = (piece.competency, piece.repeats or piece.activity, piece.occurred_at.astimezone(UTC).date())
            weight = piece.weight * parameters.repetition ** repeated[day]
            repeated[day] += 1
            yield replace(piece, weight=weight), None if piece.only_latest else before.get(attempt)
        before[attempt] = piece.outcome


def _gained(piece: Evidence, count: int, parameters: Parameters) -> float:
    """How far practice has raised the competency of a piece after so many pieces on it."""
    practice = parameters.practice if piece.practice is None else piece.practice
    return practice * float(parameters.practised(count))


def _log_likelihood(piece: Evidence, last_outcome: float | None, gained: float, parameters: Parameters) -> Array:
    """What one piece says of each ability on the grid; `last_outcome` is that of the attempt before."""
    retry = 0.0
    if last_outcome is not None:
        retry = parameters.after_success if last_outcome >= 0.5 else parameters.after_failure
    guess = parameters.guess if piece.guess is None else piece.guess
    slip = parameters.slip if piece.slip is None else piece.slip
    odds = np.exp(parameters.slope * piece.slope * (parameters.grid + gained - piece.difficulty) + retry)
    right, wrong = np.log(guess + (1 - slip) * odds), np.log(1 - guess + slip * odds)
    return np.asarray(piece.weight * (piece.outcome * right + (1 - piece.outcome) * wrong - np.log1p(odds)))


def estimate(states: dict[str, State], competencies: Sequence[str], parameters: Parameters) -> list[Estimate]:
    """The posterior of one person for each competency, with or without evidence of its own, in the order given.

    Messages m_c(g) = log Σ_θ T(g,θ)·e^{S_c(θ)} carry each competency's slow sum to the general ability; a competency's
    prior is T applied to the posterior of g from all messages but its own; its posterior is that prior times e^{F_c},
    moved by what practice gained.
    """
    estimates = []
    for name, prior in priors(states, competencies, parameters).items():
        state = states.get(name) or State(np.zeros(parameters.points), np.zeros(parameters.points))
        posterior = prior * np.exp(state.fast - state.fast.max())
        estimates.append(_summary(name, state, posterior / posterior.sum(), parameters))
    return estimates


def priors(states: dict[str, State], competencies: Sequence[str], parameters: Parameters) -> dict[str, Array]:
    """What the evidence on all other competencies says of each, before practice: probabilities, shape (points,)."""
    messages = {
        name: np.log(parameters.transition @ np.exp(state.slow - state.slow.max())) for name, state in states.items()
    }
    everything = np.log(parameters.general_prior) + sum(messages.values(), np.zeros(parameters.points))
    found = {}
    for name in competencies:
        general = everything - messages.get(name, 0.0)
        general = np.exp(general - general.max())
        found[name] = general / general.sum() @ parameters.transition
    return found


def _summary(name: str, state: State, posterior: Array, parameters: Parameters) -> Estimate:
    p_at_least = parameters.above(state.gained) @ posterior
    mean = float(parameters.grid @ posterior)
    return Estimate(
        competency=name,
        level=int(sum(p_at_least >= 0.5)),
        p_at_least=tuple(float(p) for p in p_at_least),
        ability_mean=mean + state.gained,
        ability_sd=float(np.sqrt(((parameters.grid - mean) ** 2) @ posterior)),
        ability_low=_quantile(posterior, 0.05, parameters) + state.gained,
        ability_high=_quantile(posterior, 0.95, parameters) + state.gained,
        evidence_count=state.count,
        evidence_weight=state.weight,
        last_evidence_at=state.last,
    )


def _quantile(posterior: Array, share: float, parameters: Parameters) -> float:
    """Quantile of a distribution whose mass is even within each cell."""
    cumulative = np.cumsum(posterior)
    cell = min(int(np.searchsorted(cumulative, share)), parameters.points - 1)
    below = cumulative[cell] - posterior[cell]
    return float(parameters.grid[cell] - parameters.step / 2 + parameters.step * (share - below) / posterior[cell])
