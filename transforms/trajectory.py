"""Levels as of each day: what the evidence up to a day, as it is known now, says of a person at the end of that day.

What `transforms.estimator` estimates from the pieces up to the day, compiled, for many people at once.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import boxcox1p

from transforms.answers import Floats, Integers
from transforms.forward import add, compiled, discount, messages, told_by_others


@dataclass(frozen=True)
class Pieces:
    """Pieces in force as flat arrays, a row each, ordered by person, time and statement.

    `person` and `statement` differ between neighbours that are not of one person or statement; `day` is days since 1970;
    `competency` counts from 0; `retry` is the shift by the attempt before, in logits.
    """

    person: Integers
    statement: Integers
    day: Floats
    competency: Integers
    outcome: Floats
    weight: Floats
    difficulty: Floats
    slope: Floats
    retry: Floats
    guess: Floats
    slip: Floats


@dataclass(frozen=True)
class Model:
    """The estimator as numbers: grid (points,), P(g) (points,), T (points, points), cuts (levels,)."""

    grid: Floats
    general_prior: Floats
    transition: Floats
    cuts: Floats
    practice: Floats  # of each competency
    practice_curve: float
    fast_retention: float
    other_retention: float
    slow_retention: float
    half_life_days: float


@dataclass(frozen=True)
class Days:
    """One estimate for each person, competency and day with evidence on it, in no order.

    `row` is the last piece of it; `p_at_least` has the shape (rows, levels); `count` is the pieces up to then.
    """

    row: Integers
    ability_mean: Floats
    ability_sd: Floats
    p_at_least: Floats
    count: Integers


def by_day(pieces: Pieces, model: Model) -> Days:
    """What was known of each competency at the end of each day (UTC) that brought evidence on it."""
    rows = len(pieces.person)
    is_last, count = np.zeros(rows, np.bool_), np.zeros(rows, np.int64)
    mean, sd, above = np.empty(rows), np.empty(rows), np.empty((rows, len(model.cuts)))
    new_person = np.append(True, pieces.person[1:] != pieces.person[:-1])[:rows]
    new_answer = new_person | np.append(True, pieces.statement[1:] != pieces.statement[:-1])[:rows]
    answers = np.flatnonzero(new_answer)
    longest = np.diff(np.append(np.flatnonzero(new_person), rows)).max(initial=0)  # pieces of one person
    practised = boxcox1p(np.arange(longest + 1), model.practice_curve)  # Parameters.practised
    _each_person(
        np.append(np.flatnonzero(new_person[answers]), len(answers)), np.append(answers, rows),
        pieces.day[answers], pieces.competency, pieces.outcome, pieces.weight, pieces.difficulty, pieces.slope,
        pieces.retry, pieces.guess, pieces.slip, model.practice, practised, model.grid, np.log(model.general_prior),
        model.transition, model.cuts, model.fast_retention, model.other_retention, model.slow_retention,
        model.half_life_days, is_last, mean, sd, above, count,
    )  # fmt: skip
    return Days(np.flatnonzero(is_last), mean[is_last], sd[is_last], above[is_last], count[is_last])


@compiled
def _each_person(
    person_starts: Integers, row_starts: Integers, day: Floats, competency: Integers, outcome: Floats, weight: Floats,
    difficulty: Floats, slope: Floats, retry: Floats, guess: Floats, slip: Floats, practice: Floats, practised: Floats,
    grid: Floats, log_prior: Floats, transition: Floats, cuts: Floats,
    fast_retention: float, other_retention: float, slow_retention: float, half_life: float,
    is_last: Floats, mean: Floats, sd: Floats, p_at_least: Floats, counts: Integers,
) -> None:  # fmt: skip
    points, step = grid.shape[0], grid[1] - grid[0]
    for person in range(person_starts.shape[0] - 1):
        first, end = person_starts[person], person_starts[person + 1]
        place = np.full(practice.shape[0], -1, np.int64)  # of a competency among those that the person meets
        met = 0
        for row in range(row_starts[first], row_starts[end]):
            if place[competency[row]] < 0:
                place[competency[row]] = met
                met += 1
        fast, slow, message = np.zeros((met, points)), np.zeros((met, points)), np.zeros((met, points))
        count, in_this, everything = np.zeros(met, np.int64), np.zeros(met, np.bool_), np.empty(points)
        last_row = np.full(met, -1, np.int64)  # of each competency on the day
        prior, mass = np.empty(points), np.empty(points)
        for answer in range(first, end):
            if answer > first:
                fade = 2.0 ** ((day[answer - 1] - day[answer]) / half_life)
                for row in range(row_starts[answer], row_starts[answer + 1]):
                    in_this[place[competency[row]]] = True
                discount(
                    fast, slow, count, in_this, fade * fast_retention, fade * other_retention, fade * slow_retention
                )
                in_this[:] = False
            for row in range(row_starts[answer], row_starts[answer + 1]):
                own = place[competency[row]]
                gained = practice[competency[row]] * practised[count[own]]
                count[own] += 1
                last_row[own] = row
                add(fast[own], slow[own], grid, outcome[row], weight[row], difficulty[row] - gained, slope[row], retry[row],
                    guess[row], slip[row])  # fmt: skip
            if answer + 1 < end and math.floor(day[answer + 1]) == math.floor(day[answer]):
                continue
            messages(slow, message, count, everything, log_prior, transition)
            for own in range(met):
                row = last_row[own]
                if row < 0:
                    continue
                last_row[own] = -1
                told_by_others(everything - message[own], transition, prior)
                gained = practice[competency[row]] * practised[count[own]]
                peak = fast[own].max()
                total = expected = squares = 0.0
                for k in range(points):
                    mass[k] = prior[k] * math.exp(fast[own, k] - peak)
                    total += mass[k]
                    expected += mass[k] * grid[k]
                expected /= total
                for k in range(points):
                    squares += mass[k] * (grid[k] - expected) ** 2
                for level in range(cuts.shape[0]):
                    share = 0.0
                    for k in range(points):
                        share += mass[k] * min(max((grid[k] + gained - cuts[level]) / step + 0.5, 0.0), 1.0)
                    p_at_least[row, level] = share / total
                is_last[row], mean[row], sd[row] = True, expected + gained, math.sqrt(squares / total)
                counts[row] = count[own]
