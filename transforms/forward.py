"""Predictions one step ahead for many people: the reference estimator, compiled, over flat arrays.

For each answer, what `transforms.estimator` says of it from the answers before it (`fold`, `estimate`, then the chance of
success of the posterior), and how that chance would move with the difficulty, the slope and the practice of each row.
"""

import math
from dataclasses import dataclass

import numba
import numpy as np

from transforms.answers import Answers, Floats, Integers
from transforms.estimator import Parameters

FAST = {"reassoc", "contract", "arcp"}  # sums may be taken in any order; NaN and infinity keep their meaning
compiled = numba.njit(fastmath=FAST, cache=True)


@dataclass(frozen=True)
class Deviations:
    """What calibration adds to the parameters: numbers for each competency, and for each activity."""

    difficulty: float
    competency_difficulty: Floats
    competency_practice: Floats
    activity_difficulty: Floats
    activity_log_slope: Floats

    @staticmethod
    def none(answers: Answers) -> "Deviations":
        """No deviations: where calibration starts."""
        of_competencies, of_activities = np.zeros(len(answers.competencies)), np.zeros(len(answers.activities))
        return Deviations(0.0, of_competencies, of_competencies.copy(), of_activities, of_activities.copy())

    def difficulties(self, answers: Answers, parameters: Parameters) -> Floats:
        """The difficulty of each row."""
        return (
            (answers.pitch - parameters.ease + self.difficulty)
            + self.competency_difficulty[answers.competency]
            + _of_activity(self.activity_difficulty, answers.activity)
        )

    def gained(self, answers: Answers, parameters: Parameters) -> Floats:
        """How far practice had raised the competency of each row before it."""
        return (parameters.practice + self.competency_practice[answers.competency]) * parameters.practised(
            answers.earlier
        )

    def slopes(self, answers: Answers, slope: float) -> Floats:
        """The slope of each row."""
        return np.asarray(slope * np.exp(_of_activity(self.activity_log_slope, answers.activity)))


@dataclass(frozen=True)
class Predictions:
    """The chance of success of each answer; for each row its derivatives by difficulty, log slope and practice."""

    chance: Floats
    by_difficulty: Floats
    by_log_slope: Floats
    by_practice: Floats


def predict(answers: Answers, parameters: Parameters, deviations: Deviations) -> Predictions:
    """The chance of success of each answer, from the person's answers before it.

    An answer that needs several competencies has the mean of their chances, and adds to each of them.
    """
    rows = len(answers.competency)
    chance, by_difficulty, by_log_slope = np.empty(len(answers.day)), np.empty(rows), np.empty(rows)
    retry = np.array([0.0, parameters.after_failure, parameters.after_success])
    _forward(
        answers.person_starts, answers.row_starts, answers.day, answers.competency, answers.outcome, answers.weight,
        deviations.difficulties(answers, parameters) - deviations.gained(answers, parameters),
        deviations.slopes(answers, parameters.slope), retry[answers.retry],
        np.where(np.isnan(answers.guess), parameters.guess, answers.guess),
        np.where(np.isnan(answers.slip), parameters.slip, answers.slip),
        len(answers.competencies), parameters.grid, np.log(parameters.general_prior), parameters.transition,
        parameters.fast_retention, parameters.other_retention, parameters.slow_retention, parameters.half_life_days,
        chance, by_difficulty, by_log_slope,
    )  # fmt: skip
    return Predictions(chance, by_difficulty, by_log_slope, -by_difficulty * parameters.practised(answers.earlier))


def _of_activity(values: Floats, activity: Integers) -> Floats:
    return np.append(values, 0.0)[activity]  # activity -1, unknown, has none


@compiled
def discount(
    fast: Floats, slow: Floats, count: Integers, on_same: Floats, keep_same: float, keep_other: float, keep_slow: float
) -> None:
    """Let a further piece of evidence, and the time to it, take from a person's sums; `on_same` is emptied."""
    for own in range(count.shape[0]):
        if count[own] > 0:
            slow[own] *= keep_slow
            fast[own] *= keep_same if on_same[own] else keep_other
            on_same[own] = False


@compiled
def messages(
    slow: Floats, message: Floats, count: Integers, everything: Floats, log_prior: Floats, transition: Floats
) -> None:
    """Collect what each competency tells the general ability."""
    weights = np.empty(log_prior.shape[0])
    everything[:] = log_prior
    for own in range(count.shape[0]):
        if count[own] == 0:
            continue
        weights[:] = np.exp(slow[own] - slow[own].max())
        for g in range(weights.shape[0]):
            total = 0.0
            for k in range(weights.shape[0]):
                total += transition[g, k] * weights[k]
            message[own, g] = math.log(total)
            everything[g] += message[own, g]


@compiled
def told_by_others(general: Floats, transition: Floats, prior: Floats) -> None:
    """Fill `prior` with what log P(g), known up to a constant, says of a competency; it does not sum to 1."""
    weights = np.exp(general - general.max())
    prior[:] = 0.0
    for g in range(weights.shape[0]):
        for k in range(weights.shape[0]):
            prior[k] += weights[g] * transition[g, k]


@compiled
def _chance(
    fast: Floats, general: Floats, transition: Floats, grid: Floats, difficulty: float, slope: float, retry: float,
    guess: float, slip: float,
) -> tuple[float, float, float]:  # fmt: skip
    """The chance of success of one row, and its derivatives; `general` is log P(g), up to a constant, by the others."""
    points = grid.shape[0]
    prior = np.empty(points)
    told_by_others(general, transition, prior)
    peak = fast.max()
    total = success = by_difficulty = by_slope = 0.0
    for k in range(points):
        mass = prior[k] * math.exp(fast[k] - peak)
        solved = 1 / (1 + math.exp(-slope * (grid[k] - difficulty) - retry))
        bend = mass * (1 - guess - slip) * solved * (1 - solved) * slope
        total += mass
        success += mass * (guess + (1 - guess - slip) * solved)
        by_difficulty -= bend
        by_slope += bend * (grid[k] - difficulty)
    return success / total, by_difficulty / total, by_slope / total


@compiled
def add(
    fast: Floats, slow: Floats, grid: Floats, outcome: float, weight: float, difficulty: float, slope: float,
    retry: float, guess: float, slip: float,
) -> None:  # fmt: skip
    """Add the log-likelihood of one row to both sums."""
    for k in range(grid.shape[0]):
        odds = math.exp(slope * (grid[k] - difficulty) + retry)
        gain = weight * (
            outcome * math.log(guess + (1 - slip) * odds)
            + (1 - outcome) * math.log(1 - guess + slip * odds)
            - math.log(1 + odds)
        )
        fast[k] += gain
        slow[k] += gain


def _each_person(
    person_starts: Integers, row_starts: Integers, day: Floats, competency: Integers, outcome: Floats, weight: Floats,
    difficulty: Floats, slope: Floats, retry: Floats, guess: Floats, slip: Floats,
    competencies: int, grid: Floats, log_prior: Floats, transition: Floats,
    fast_retention: float, other_retention: float, slow_retention: float, half_life: float,
    chance: Floats, by_difficulty: Floats, by_log_slope: Floats,
) -> None:  # fmt: skip
    points = grid.shape[0]
    for person in numba.prange(person_starts.shape[0] - 1):
        first, end = person_starts[person], person_starts[person + 1]
        place = np.full(competencies, -1, np.int64)  # of a competency among those that the person meets
        met = 0
        for row in range(row_starts[first], row_starts[end]):
            if place[competency[row]] < 0:
                place[competency[row]] = met
                met += 1
        fast, slow, message = np.zeros((met, points)), np.zeros((met, points)), np.zeros((met, points))
        count, in_last, everything = np.zeros(met, np.int64), np.zeros(met, np.bool_), np.empty(points)
        for answer in range(first, end):
            fade = 1.0 if answer == first else 2.0 ** ((day[answer - 1] - day[answer]) / half_life)
            discount(fast, slow, count, in_last, fade * fast_retention, fade * other_retention, fade * slow_retention)
            messages(slow, message, count, everything, log_prior, transition)
            share = 1.0 / (row_starts[answer + 1] - row_starts[answer])
            chance[answer] = 0.0
            for row in range(row_starts[answer], row_starts[answer + 1]):
                own = place[competency[row]]
                right, by_d, by_a = _chance(
                    fast[own], everything - message[own], transition, grid, difficulty[row], slope[row], retry[row],
                    guess[row], slip[row],
                )  # fmt: skip
                chance[answer] += share * right
                by_difficulty[row], by_log_slope[row] = share * by_d, share * by_a
            for row in range(row_starts[answer], row_starts[answer + 1]):
                own = place[competency[row]]
                count[own] += 1
                in_last[own] = True
                add(fast[own], slow[own], grid, outcome[row], weight[row], difficulty[row], slope[row], retry[row],
                    guess[row], slip[row])  # fmt: skip


_forward = numba.njit(parallel=True, fastmath=FAST, cache=True)(_each_person)
