"""Explanations in SQL: equal to the reference, and summing to the estimate."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from connectors import warehouse
from tests.graded import CALIBRATION, COMPETENCIES, LEVELS, PARAMETERS, answered, pieces_of
from tests.pipeline import Pipeline
from transforms.explanation import contributions

PIECES = st.lists(
    st.tuples(
        st.integers(0, 1), st.sampled_from(COMPETENCIES), st.integers(1, 4), st.sampled_from([0.0, 0.4, 1.0]),
        st.integers(0, 5000), st.integers(1, 3),
    ),
    min_size=1, max_size=60,
)  # fmt: skip


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return Pipeline.at(tmp_path_factory.mktemp("explanations"), CALIBRATION)


@hypothesis_settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(PIECES)
def test_contributions_are_those_of_the_reference_and_sum_to_the_estimate(
    pipeline: Pipeline, drawn: list[tuple[int, str, int, float, int, int]]
) -> None:
    pipeline.reset()
    statements = [answered(number, *one) for number, one in enumerate(drawn)]
    half = len(statements) // 2
    pipeline.take(statements[:half])
    pipeline.take(statements[half:])
    found = warehouse.rows(
        pipeline.settings.warehouse, "select * from mart_explanations inner join dim_person using (person)"
    )
    expected = {
        (person, one.competency, one.component, one.statement_id): one.contribution
        for person, pieces in pieces_of(statements).items()
        for one in contributions(pieces, pipeline.competencies, PARAMETERS)
    }
    assert {
        (row["mail_address"], row["competency"], row["component"], row["statement_id"]) for row in found
    } == expected.keys()
    for row in found:
        key = (row["mail_address"], row["competency"], row["component"], row["statement_id"])
        assert row["contribution"] == pytest.approx(expected[key], abs=1e-9), key
    for (person, competency), level in pipeline.levels().items():
        total = sum(
            row["contribution"]
            for row in found
            if (row["mail_address"], row["competency"]) == (person, competency)
        )  # fmt: skip
        assert total == pytest.approx(level["ability_mean"], abs=1e-9)


def test_success_moves_up_and_failure_down(tmp_path: Path) -> None:
    pipeline = Pipeline.at(tmp_path, CALIBRATION)
    pipeline.take([answered(n, 0, "data-literacy", 2, n % 2, n) for n in range(6)])
    rows = warehouse.rows(
        pipeline.settings.warehouse, "select outcome, contribution from mart_explanations where component = 'evidence'"
    )
    assert len(rows) == 6
    assert all((row["contribution"] > 0) == (row["outcome"] == 1) for row in rows)
    assert LEVELS[1] == "intermediate"
