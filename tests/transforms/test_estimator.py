"""Laws of the reference estimator, and its calibration on people whose ability is known."""

from datetime import UTC, datetime, timedelta
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.framework import parse_framework
from transforms.estimator import Evidence, Parameters, estimate, fold
from transforms.simulation import cohort

PARAMETERS = Parameters(after_failure=-0.4, after_success=0.3, practice=0.1)
NAMES = ("a", "b", "c")
START = datetime(2026, 1, 1, tzinfo=UTC)


@st.composite
def histories(draw: st.DrawFn) -> list[Evidence]:
    return [
        Evidence(
            competency=draw(st.sampled_from(NAMES)),
            activity=draw(st.sampled_from("xyz")),
            difficulty=draw(st.floats(-3, 3)),
            outcome=draw(st.floats(0, 1)),
            weight=draw(st.floats(0.1, 3)),
            occurred_at=START + timedelta(hours=draw(st.integers(0, 5000))),
            statement_id=f"{number:04d}",
        )
        for number in range(draw(st.integers(0, 25)))
    ]


@given(histories(), st.randoms())
def test_the_order_of_evidence_does_not_matter(history: list[Evidence], random: object) -> None:
    shuffled = list(history)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for one, other in zip(_levels(history), _levels(shuffled), strict=True):
        assert one.ability_mean == pytest.approx(other.ability_mean, abs=1e-12)


@given(histories(), st.sampled_from(NAMES), st.floats(-3, 3))
def test_a_success_never_lowers_the_chance_of_any_level(history: list[Evidence], name: str, difficulty: float) -> None:
    plain = Parameters(practice=0.1, fast_retention=1.0, other_retention=1.0, slow_retention=1.0, half_life_days=1e9)
    success = Evidence(name, "new", difficulty, 1.0, 1.0, START + timedelta(hours=6000), "9999")
    before = estimate(fold(history, plain), NAMES, plain)
    after = estimate(fold([*history, success], plain), NAMES, plain)
    for one, other in zip(before, after, strict=True):
        assert all(new >= old - 1e-9 for old, new in zip(one.p_at_least, other.p_at_least, strict=True))


@settings(max_examples=50)
@given(histories())
def test_a_posterior_is_a_distribution(history: list[Evidence]) -> None:
    for one in _levels(history):
        assert all(0 <= p <= 1 + 1e-12 for p in one.p_at_least)
        assert list(one.p_at_least) == sorted(one.p_at_least, reverse=True)
        assert one.ability_low <= one.ability_mean <= one.ability_high
        assert one.level == sum(p >= 0.5 for p in one.p_at_least)


def test_who_is_just_at_a_level_succeeds_seven_times_in_ten() -> None:
    for level, cut in enumerate(PARAMETERS.cuts, start=1):
        assert 1 / (1 + np.exp(PARAMETERS.slope * (PARAMETERS.difficulty(level) - cut))) == pytest.approx(0.7)


def test_cells_hold_all_mass_and_a_small_sd_survives() -> None:
    narrow = Parameters(specific_sd=0.05)
    assert narrow.transition.sum(axis=1) == pytest.approx(np.ones(17))
    assert narrow.transition[8, 8] > 0.99


def test_intervals_hold_the_truth() -> None:
    """Simulation by the model itself, without forgetting and practice: coverage of the 90 % interval, by design."""
    plain = Parameters(practice=0, fast_retention=1, other_retention=1, slow_retention=1, half_life_days=1e9)
    framework = parse_framework(files("schemas").joinpath("generative_ai/framework.yaml").read_text("utf-8"), "")
    group = cohort(framework, 150, 5, plain)
    random = np.random.default_rng(6)
    covered, close = [], []
    for abilities in group.abilities:
        history = []
        for number in range(80):
            index = int(random.integers(len(abilities)))
            difficulty = float(random.normal(0, 1.5))
            success = random.random() < 1 / (1 + np.exp(difficulty - abilities[index]))
            history.append(
                Evidence(
                    group.competencies[index], str(number), difficulty, float(success), 1.0, START, f"{number:03d}"
                )
            )
        for one, truth in zip(estimate(fold(history, plain), group.competencies, plain), abilities, strict=True):
            covered.append(one.ability_low <= truth <= one.ability_high)
            close.append(abs(one.level - sum(truth >= cut for cut in plain.cuts)) <= 1)
    assert 0.87 <= np.mean(covered) <= 0.94
    assert np.mean(close) >= 0.95


def _levels(history: list[Evidence]) -> list:  # type: ignore[type-arg]
    return estimate(fold(history, PARAMETERS), NAMES, PARAMETERS)
