"""Levels: how fast a rebuild is, and what new evidence costs on top of a little or a lot."""

import os
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

from connectors import lake, warehouse
from connectors.dbt import DbtProject
from flows.estimate import estimate
from flows.opening import dbt_project, definitions, identities
from flows.settings import EstimateSettings, Settings
from tests.benchmarks import synthetic_lake

_PER_PERSON = 100
_NEW, _TOUCHED, _ROUNDS = 10_000, 5_000, 8


def speed(folder: Path, scale: int) -> list[dict[str, Any]]:
    """Rebuild of levels from evidence, and increments on top of one and of ten million pieces."""
    little, rebuilt_little = _increment(folder / "little", 1_000_000 // scale)
    much, rebuilt_much = _increment(folder / "much", 10_000_000 // scale)
    return [
        {"what": f"rebuild of levels, {1_000_000 // scale:,} pieces, evidence/s", "figure": rebuilt_little, "bar": "≥ 300,000",
         "met": rebuilt_little >= 300_000},
        {"what": f"rebuild of levels, {10_000_000 // scale:,} pieces, evidence/s", "figure": rebuilt_much, "bar": "≥ 300,000",
         "met": rebuilt_much >= 300_000},
        {"what": f"{_NEW:,} new on {1_000_000 // scale:,}, s", "figure": little, "bar": "", "met": True},
        {"what": f"{_NEW:,} new on {10_000_000 // scale:,}, s", "figure": much, "bar": "< 3", "met": much < 3},
        {"what": "new on much / new on little", "figure": much / little, "bar": "≤ 1.3", "met": much / little <= 1.3},
    ]  # fmt: skip


def _increment(home: Path, rows: int) -> tuple[float, float]:
    """Median seconds of seven increments through `estimate`, after one to warm up, and evidence/s of the rebuild before.

    What the rebuild left to the disk is written out first: increments are not to wait for it.
    """
    settings = Settings(home=home, estimate=EstimateSettings(memory="6GB"))
    chosen = definitions(settings).framework
    synthetic_lake.write(settings.lake, chosen, rows // _PER_PERSON, rows)
    project = dbt_project(settings)
    project.parse()
    rebuilt = rows / _rebuild(settings, project)
    times = []
    os.sync()
    for number in range(_ROUNDS):
        synthetic_lake.write(settings.lake, chosen, _TOUCHED, _NEW, first=rows + number * _NEW)
        started = time.perf_counter()
        estimate(settings, project=project)
        times.append(time.perf_counter() - started)
    assert synthetic_lake.rows_in(settings.lake) == rows + _ROUNDS * _NEW == _evidence(settings)
    shutil.rmtree(home)
    return statistics.median(times[1:]), rebuilt


def _rebuild(settings: Settings, project: DbtProject) -> float:
    """Seconds from evidence to levels: the models after int_evidence, from nothing."""
    people = identities(settings)
    load = warehouse.begin_load(settings.warehouse, settings.lake, project.digest, people)
    project.invoke("seed")
    project.invoke("run", "--full-refresh", "--select", "+int_evidence")
    started = time.perf_counter()
    project.invoke("run", "--full-refresh", "--select", "int_competency_states", "int_estimates")
    seconds = time.perf_counter() - started
    project.invoke("run", "--full-refresh", "--exclude", "+int_estimates")
    warehouse.finish_load(settings.warehouse, load, project.digest, people)
    return seconds


def _evidence(settings: Settings) -> int:
    assert lake.published(settings.lake)
    return int(warehouse.rows(settings.warehouse, "select count(*) as pieces from int_evidence")[0]["pieces"])
