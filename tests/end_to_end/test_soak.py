"""The short version of the soak; at full length by hand, see soak.py."""

import os
import shutil
from pathlib import Path

import pytest

from tests.disk import CAN_MOUNT
from tests.end_to_end.soak import soak


@pytest.mark.slow
@pytest.mark.kafka
def test_faults_lose_and_double_nothing_and_each_is_told_of(kafka_can_run: None, tmp_path: Path) -> None:
    missing = [one for one in ("prometheus", "cc") if shutil.which(one) is None]
    if missing or not CAN_MOUNT:
        assert not os.environ.get("CI"), f"a soak needs root, prometheus and a C compiler; without {missing}"
        pytest.skip(f"a soak needs root for a disk of its own, prometheus and a C compiler; without {missing}")
    assert soak(tmp_path, minutes=3)["landed"] > 500
