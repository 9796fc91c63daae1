"""Levels: how fast a rebuild is, and what new evidence costs on top of a little or a lot."""

import os
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

from connectors import warehouse
from connectors.dbt import DbtProject
from flows.estimate import estimate
from flows.opening import dbt_project, definitions, identities, lake_of
from flows.settings import EstimateSettings, Settings
from tests.benchmarks import synthetic_lake

_PER_PERSON = 100
_NEW, _TOUCHED, _ROUNDS = 10_000, 5_000, 8


def speed(folder: Path, scale: int) -> list[dict[str, Any]]:
    """Rebuild of levels from evidence, and increments on top of one and of ten million pieces, in turns."""
    homes = [(folder / "little", 1_000_000 // scale), (folder / "much", 10_000_000 // scale)]
    prepared = [_prepared(home, rows) for home, rows in homes]
    times = [[_increment(settings, project) for settings, project, _ in prepared] for _ in range(_ROUNDS)][1:]
    for (home, rows), (settings, _, _) in zip(homes, prepared, strict=True):
        assert synthetic_lake.rows_in(settings.lake_folder) == rows + _ROUNDS * _NEW == _evidence(settings)
        shutil.rmtree(home)
    little, much = (statistics.median(seconds) for seconds in zip(*times, strict=True))
    rebuilt = [
        {
            "what": f"rebuild of levels, {rows:,} pieces, evidence/s",
            "figure": speed,
            "bar": "≥ 300,000",
            "met": speed >= 300_000,
        }
        for (_, rows), (_, _, speed) in zip(homes, prepared, strict=True)
    ]
    return [
        *rebuilt,
        {"what": f"{_NEW:,} new on {homes[0][1]:,}, s", "figure": little, "bar": "", "met": True},
        {"what": f"{_NEW:,} new on {homes[1][1]:,}, s", "figure": much, "bar": "< 3", "met": much < 3},
        {"what": "new on much / new on little", "figure": much / little, "bar": "≤ 1.3", "met": much / little <= 1.3},
    ]


def _prepared(home: Path, rows: int) -> tuple[Settings, DbtProject, float]:
    """A home whose levels were rebuilt from that many pieces of evidence, and how many pieces a second that took.

    What the rebuild left to the disk is written out: increments are not to wait for it.
    """
    settings = Settings(home=home, estimate=EstimateSettings(memory="6GB"))
    synthetic_lake.write(settings.lake_folder, definitions(settings).framework, rows // _PER_PERSON, rows)
    project = dbt_project(settings)
    project.parse()
    speed = rows / _rebuild(settings, project)
    os.sync()
    return settings, project, speed


def _increment(settings: Settings, project: DbtProject) -> float:
    """Seconds that `estimate` takes over new evidence."""
    have = synthetic_lake.rows_in(settings.lake_folder)
    synthetic_lake.write(settings.lake_folder, definitions(settings).framework, _TOUCHED, _NEW, first=have)
    started = time.perf_counter()
    estimate(settings, project=project)
    return time.perf_counter() - started


def _rebuild(settings: Settings, project: DbtProject) -> float:
    """Seconds from evidence to levels: the models after int_evidence, from nothing."""
    people = identities(settings)
    load = warehouse.begin_load(settings.warehouse, lake_of(settings), project.digest, people)
    project.invoke("seed")
    project.invoke("run", "--full-refresh", "--select", "+int_evidence")
    started = time.perf_counter()
    project.invoke("run", "--full-refresh", "--select", "int_competency_states", "int_estimates")
    seconds = time.perf_counter() - started
    project.invoke("run", "--full-refresh", "--exclude", "+int_estimates")
    warehouse.finish_load(settings.warehouse, load, project.digest, people)
    return seconds


def _evidence(settings: Settings) -> int:
    assert lake_of(settings).published()
    return int(warehouse.rows(settings.warehouse, "select count(*) as pieces from int_evidence")[0]["pieces"])
