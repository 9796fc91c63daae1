"""Marts: how long each takes on ten million pieces of evidence of 100,000 people, and the memory of rebuilding all of it."""

import multiprocessing
import resource
import shutil
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from connectors import publication
from connectors.warehouse import connected
from flows.daily import daily
from flows.estimate import estimate
from flows.opening import dbt_project, definitions
from flows.publish import MARTS, publish
from flows.settings import Settings
from tests.benchmarks import synthetic_lake

_ROWS, _PEOPLE = 10_000_000, 100_000


def speed(folder: Path, scale: int) -> list[dict[str, Any]]:
    """Each mart computed in full, and the peak memory of a process that rebuilds everything and publishes it."""
    rows = _ROWS // scale
    settings = Settings(home=folder)
    synthetic_lake.write(settings.lake_folder, definitions(settings).framework, _PEOPLE // scale, rows)
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_rebuild, args=(settings, sender))
    process.start()
    seconds, peak = receiver.recv()
    process.join()
    shutil.rmtree(folder)
    slowest = sorted(seconds.items(), key=lambda one: -one[1])
    return [
        *(
            {"what": f"{name} of {rows:,} pieces, s", "figure": took, "bar": "", "met": True}
            if name not in MARTS
            else {"what": f"{name} of {rows:,} pieces, s", "figure": took, "bar": "< 60", "met": took < 60}
            for name, took in slowest
        ),
        {
            "what": f"peak memory of rebuilding and publishing {rows:,} pieces, GiB",
            "figure": peak,
            "bar": "< 6",
            "met": peak < 6,
        },
    ]


def _rebuild(settings: Settings, sender: Connection) -> None:
    project = dbt_project(settings)
    started = time.perf_counter()
    estimate(settings, project=project)
    seconds = {"estimate from nothing, all models": time.perf_counter() - started}
    started = time.perf_counter()
    daily(settings, project)
    seconds["daily run without news"] = time.perf_counter() - started
    for mart in MARTS:
        started = time.perf_counter()
        publication.stage(settings.warehouse, settings.published, [mart], settings.estimate.memory)
        seconds[mart] = time.perf_counter() - started
    started = time.perf_counter()
    publish(settings)
    seconds["all marts, and the database of them"] = time.perf_counter() - started
    with connected(settings.warehouse, read_only=True) as connection:
        assert connection.execute("select count(*) from mart_evidence").fetchone() != (0,)
    sender.send((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20))
