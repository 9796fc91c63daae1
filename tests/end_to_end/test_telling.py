"""The short versions of telling.py and wavering.py; at full size by hand."""

from pathlib import Path

import pytest

from tests.end_to_end.telling import told_under_fire
from tests.end_to_end.wavering import changes_told


def test_each_level_is_rated_and_told_once_through_kills_and_faults(tmp_path: Path) -> None:
    done = told_under_fire(tmp_path, levels=150, kills=2, faults=0.01)
    assert done["killed"] == 2


@pytest.mark.slow
def test_the_policy_tells_less_of_evidence_that_wavers(tmp_path: Path) -> None:
    found = changes_told(tmp_path, people=12, days=30)
    assert found["default"] < found["without"] / 1.5
    assert found["certainty 0.7, held 3 days"] < found["default"]
