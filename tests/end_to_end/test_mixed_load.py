"""The short version of mixed load under fire; at full length by hand, see mixed_load.py."""

from pathlib import Path

import pytest

from tests.end_to_end.mixed_load import under_fire


@pytest.mark.slow  # test_receiver_limits.py kills a receiver on SQLite too
def test_on_sqlite_what_was_answered_is_there_once_and_nothing_is_there_in_part(tmp_path: Path) -> None:
    done = under_fire(tmp_path, 25, kafka=False, seed=5)
    assert done["killed"]["receiver"] > 0


@pytest.mark.kafka
def test_on_kafka_what_was_answered_is_there_once_and_nothing_is_there_in_part(
    kafka_can_run: None, tmp_path: Path
) -> None:
    done = under_fire(tmp_path, 45, kafka=True, seed=6, least=300)
    assert done["killed"]["broker"] > 0
    assert done["killed"]["receiver"] > 0
