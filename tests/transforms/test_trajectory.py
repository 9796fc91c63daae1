"""Levels as of each day: equal to the reference estimator on the pieces up to the day."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from transforms.estimator import Evidence, Parameters, estimate, fold
from transforms.trajectory import Model, Pieces, by_day

PARAMETERS = Parameters(
    after_failure=-0.4,
    after_success=0.3,
    practice=0.2,
    practice_curve=0.4,
    half_life_days=20,
    fast_retention=0.8,
    other_retention=0.95,
)
NAMES = ("a", "b", "c")
START = datetime(2026, 1, 1, tzinfo=UTC)


def test_each_day_is_what_the_pieces_up_to_it_say() -> None:
    random = np.random.default_rng(7)
    people = [
        [
            Evidence(
                NAMES[random.integers(3)], f"x{n}", float(random.normal()), float(random.integers(2)),
                float(random.choice([0.5, 1.0])), START + timedelta(hours=float(hours)), f"{n:04d}", 1.2, 0.1, 0.05,
            )
            for n, hours in enumerate(np.sort(random.uniform(0, 400, 30)))
        ]
        for _ in range(4)
    ]  # fmt: skip
    flat = [(person, piece) for person, pieces in enumerate(people) for piece in pieces]
    column = {name: np.array([getattr(piece, name) for _, piece in flat]) for name in
              ("difficulty", "outcome", "weight", "slope", "guess", "slip")}  # fmt: skip
    found = by_day(
        Pieces(
            person=np.array([person for person, _ in flat]),
            statement=np.arange(len(flat)),
            day=np.array([piece.occurred_at.timestamp() / 86_400 for _, piece in flat]),
            competency=np.array([NAMES.index(piece.competency) for _, piece in flat]),
            retry=np.zeros(len(flat)),
            **column,
        ),
        Model(
            PARAMETERS.grid, PARAMETERS.general_prior, PARAMETERS.transition, np.array(PARAMETERS.cuts),
            np.full(3, PARAMETERS.practice), PARAMETERS.practice_curve,
            PARAMETERS.fast_retention, PARAMETERS.other_retention, PARAMETERS.slow_retention, PARAMETERS.half_life_days,
        ),
    )  # fmt: skip
    met = set()
    for row, mean, sd, above, count in zip(
        found.row, found.ability_mean, found.ability_sd, found.p_at_least, found.count, strict=True
    ):
        person, piece = flat[row]
        day = piece.occurred_at.date()
        met.add((person, piece.competency, day))
        so_far = [one for one in people[person] if one.occurred_at.date() <= day]
        (wanted,) = estimate(fold(so_far, PARAMETERS), [piece.competency], PARAMETERS)
        assert (mean, sd) == pytest.approx((wanted.ability_mean, wanted.ability_sd), abs=1e-9)
        assert tuple(above) == pytest.approx(wanted.p_at_least, abs=1e-9)
        assert count == wanted.evidence_count
    assert met == {(person, piece.competency, piece.occurred_at.date()) for person, piece in flat}
    assert len(found.row) == len(met)
