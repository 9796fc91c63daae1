"""Calibration: how long it takes on a million pieces of evidence, from the warehouse to the version kept."""

import shutil
import time
from pathlib import Path
from typing import Any

from flows.estimate import estimate
from flows.evaluate import calibrate
from flows.opening import definitions
from flows.settings import Settings
from tests.benchmarks import synthetic_lake

_ROWS, _PEOPLE = 1_000_000, 10_000


def speed(folder: Path, scale: int) -> list[dict[str, Any]]:
    """Seconds of `proficio calibrate`."""
    rows = _ROWS // scale
    settings = Settings(home=folder)
    synthetic_lake.write(settings.lake_folder, definitions(settings).framework, _PEOPLE // scale, rows)
    estimate(settings)
    started = time.perf_counter()
    found = calibrate(settings, tell=lambda text: print(f"  {text}", flush=True))
    seconds = time.perf_counter() - started
    shutil.rmtree(folder)
    assert found["answers"] == rows
    return [{"what": f"calibrate on {rows:,} pieces, s", "figure": seconds, "bar": "< 300", "met": seconds < 300}]
