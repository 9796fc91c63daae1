"""The compiled predictions are those of the reference estimator, and their derivatives are right."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from transforms.answers import Answers, from_columns
from transforms.estimator import Evidence, Parameters, State, estimate, fold
from transforms.forward import Deviations, predict

PARAMETERS = Parameters(
    fast_retention=0.85, other_retention=0.97, slow_retention=0.98, half_life_days=40, practice=0.15, practice_curve=0.5, after_failure=-0.5,
    after_success=0.4, guess=0.05, slip=0.03, slope=1.2,
)  # fmt: skip


def random_answers(seed: int) -> Answers:
    random = np.random.default_rng(seed)
    rows = []
    for person in range(3):
        day = 0.0
        for answer in range(15):
            day += random.exponential(5)
            for competency in random.choice(3, size=1 + random.integers(2), replace=False):
                rows.append(
                    (person, person * 100 + answer, day, f"c{competency}", f"a{random.integers(4)}", random.integers(2))
                )
    table = pd.DataFrame(rows, columns=["person", "order", "day", "competency", "activity", "outcome"])
    count = len(table)
    return from_columns(
        table["person"], table["order"], table["day"].to_numpy(), table["competency"], table["activity"],
        random.normal(0, 1, count), table["outcome"].to_numpy(float), random.uniform(0.3, 2, count),
        guess=np.where(random.random(count) < 0.5, 0.25, np.nan), slip=np.full(count, np.nan),
    )  # fmt: skip


def some_deviations(answers: Answers) -> Deviations:
    random = np.random.default_rng(5)
    c, a = len(answers.competencies), len(answers.activities)
    return Deviations(
        0.2, random.normal(0, 0.5, c), random.normal(0, 0.2, c), random.normal(0, 0.5, a), random.normal(0, 0.2, a)
    )


def test_predictions_are_those_of_the_reference_estimator() -> None:
    answers = random_answers(1)
    deviations = some_deviations(answers)
    found = predict(answers, PARAMETERS, deviations).chance
    difficulty, slope = deviations.difficulties(answers, PARAMETERS), np.exp(deviations.activity_log_slope)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    practice = PARAMETERS.practice + deviations.competency_practice

    def piece(row: int, answer: int) -> Evidence:
        return Evidence(
            answers.competencies[answers.competency[row]], answers.activities[answers.activity[row]], difficulty[row],
            answers.outcome[row], answers.weight[row], start + timedelta(days=answers.day[answer]), f"{answer:05d}",
            slope[answers.activity[row]], None if np.isnan(answers.guess[row]) else answers.guess[row],
            practice=practice[answers.competency[row]],
        )  # fmt: skip

    for person in range(answers.people):
        history: list[Evidence] = []
        for answer in range(answers.person_starts[person], answers.person_starts[person + 1]):
            rows = range(answers.row_starts[answer], answers.row_starts[answer + 1])
            assert found[answer] == pytest.approx(
                np.mean([_chance(history, piece(row, answer), answers.retry[row]) for row in rows]), abs=1e-9
            )
            history += [piece(row, answer) for row in rows]


def _chance(history: list[Evidence], piece: Evidence, retry: int) -> float:
    """By way of the estimator: what an answer of no weight does not change, the posterior of now, tells the chance."""
    now = replace(piece, weight=0.0)
    states: dict[str, State] = fold([*history, now], PARAMETERS) if history else {}
    for state in states.values():
        assert np.isfinite(state.fast).all()
    if piece.competency in states:
        states[piece.competency].gained = 0.0
    posterior = _posterior(states, piece.competency)
    gained = (piece.practice or 0.0) * PARAMETERS.practised(sum(one.competency == piece.competency for one in history))
    shift = (0.0, PARAMETERS.after_failure, PARAMETERS.after_success)[retry]
    solved = 1 / (1 + np.exp(-(PARAMETERS.slope * piece.slope * (PARAMETERS.grid + gained - piece.difficulty) + shift)))
    guess = PARAMETERS.guess if piece.guess is None else piece.guess
    return float(posterior @ (guess + (1 - guess - PARAMETERS.slip) * solved))


def _posterior(states: dict[str, State], competency: str) -> np.ndarray:
    """The posterior on the grid, read off P(level ≥ k) of an estimator whose levels are the points of the grid."""
    edges = tuple(PARAMETERS.grid - PARAMETERS.step / 2)
    fine = replace(PARAMETERS, cuts=edges)
    (one,) = estimate(states, [competency], fine)
    return -np.diff(np.append(one.p_at_least, 0.0))


def test_derivatives_are_those_of_the_predictions() -> None:
    answers = random_answers(2)
    last = answers.person_starts[1:] - 1  # an answer that nothing comes after, so that only its own chance moves
    rows = answers.row_starts[last]
    deviations = some_deviations(answers)
    plain = predict(answers, PARAMETERS, deviations)
    pitch = answers.pitch.copy()
    pitch[rows] += 1e-5
    there = predict(replace(answers, pitch=pitch), PARAMETERS, deviations).chance
    assert (there - plain.chance)[last] / 1e-5 == pytest.approx(plain.by_difficulty[rows], rel=1e-3)
    more = replace(deviations, competency_practice=deviations.competency_practice + 1e-5)
    gained = (more.gained(answers, PARAMETERS) - deviations.gained(answers, PARAMETERS))[rows] / 1e-5
    assert plain.by_practice[rows] == pytest.approx(-plain.by_difficulty[rows] * gained, rel=1e-6)
