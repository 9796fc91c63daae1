"""Calibration finds what answers were made with, and beats what it started from."""

import numpy as np
import pandas as pd
import pytest

from transforms.answers import Answers, from_table
from transforms.calibration import Calibration, from_json, to_json
from transforms.estimator import Parameters
from transforms.fitting import calibrate, predicted, refit
from transforms.metrics import log_loss


@pytest.fixture(scope="module")
def simulated() -> tuple[Answers, dict[str, float]]:
    random = np.random.default_rng(3)
    difficulty = {f"item{n:02d}": float(d) for n, d in enumerate(random.normal(0, 1, 40))}
    rows = []
    for person in range(300):
        ability = random.normal(0, 1.3)
        for order in range(40):
            item = f"item{random.integers(40):02d}"
            chance = 1 / (1 + np.exp(difficulty[item] - ability))
            rows.append((person, order, item, f"skill{int(item[4:]) % 4}", int(random.random() < chance)))
    return from_table(
        pd.DataFrame(rows, columns=["user_id", "order_in_user", "item_id", "skill_id", "correct"]), "here"
    ), difficulty


def test_difficulties_are_found(simulated: tuple[Answers, dict[str, float]]) -> None:
    answers, difficulty = simulated
    stable = Parameters(
        fast_retention=0.999, other_retention=0.999, slow_retention=0.999, practice=0, general_sd=1.3, specific_sd=0.3
    )
    found = refit(answers, stable, Calibration().shrinkage)
    learned = [
        found.activities[name][0] + found.competency_difficulty[f"skill{int(name[4:]) % 4}"] for name in difficulty
    ]
    assert np.corrcoef(learned, list(difficulty.values()))[0, 1] > 0.95


def test_calibration_beats_the_defaults_on_people_it_has_not_seen(simulated: tuple[Answers, dict[str, float]]) -> None:
    answers, _ = simulated
    fitted, tested = answers.of(np.arange(200)), answers.of(np.arange(200, 300))
    found = calibrate(fitted, Parameters())
    losses = [log_loss(tested.answer_outcome, predicted(tested, one)) for one in (Calibration(), found)]
    assert losses[1] < losses[0] - 0.03
    spread = found.parameters.slope * found.parameters.general_sd
    assert spread == pytest.approx(1.3, abs=0.35)


def test_a_calibration_is_written_and_read_exactly(simulated: tuple[Answers, dict[str, float]]) -> None:
    found = refit(simulated[0], Parameters(), Calibration().shrinkage)
    assert from_json(to_json(found), "here") == found
