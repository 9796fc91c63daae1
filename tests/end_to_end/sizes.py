"""Cost by size: how long each step takes for ten times the statements, and ten times those.

python -m tests.end_to_end.sizes FOLDER [--largest 10000000] [--log kafka] [--diagram docs/sizes.svg]

Each size is a year of as many learners as it takes, of about 215 statements each. The slope of a step is that of the line through its
times on logarithmic scales: 1 is in step with the statements. With Kafka the log's disk is given back once it is landed.
"""

import argparse
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from flows.opening import event_log, topics
from flows.settings import EventLogSettings, Settings
from tests.broker import Broker
from tests.end_to_end import year
from tests.measuring import proficio
from tests.plots import log_log

_BLOCK = 465  # people, who make about 100,000 statements in a year
_STEPS = ("ingest", "land", "estimate", "publish")
_LEAST = 1.0  # seconds from which a step's time is more than its start


def measured(
    folder: Path, log: str, blocks: int, template: list[tuple[datetime, int, bytes, bytes]]
) -> dict[str, float]:
    """Seconds of each step for so many blocks of people, from nothing."""
    home = folder / ".proficio"
    folder.mkdir(parents=True)
    found: dict[str, float] = {"statements": len(template) * blocks}

    def step(name: str, *arguments: str, **given: Any) -> None:
        found[name], peak = proficio(home, *arguments, **given)
        disk = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**30
        row = {
            "statements": found["statements"],
            name: round(found[name], 1),
            "peak_mib": round(peak),
            "disk_gib": round(disk, 2),
        }
        print(json.dumps(row), flush=True)

    with _opened(log, folder) as env:
        step("ingest", "ingest", "-", stdin=year.lines(template, blocks), **env)
        step("land", "land", **env)
    step("estimate", "estimate")
    step("publish", "publish")
    shutil.rmtree(folder)
    return found


@contextmanager
def _opened(log: str, folder: Path) -> Iterator[dict[str, str]]:
    """What says in the environment where the event log is: the one file of a home, or a Kafka of its own."""
    if log == "sqlite":
        yield {}
        return
    broker = Broker(folder / "kafka")
    try:
        settings = Settings(home=folder, event_log=EventLogSettings(kind="kafka", bootstrap_servers=broker.address))
        with event_log(settings) as made:
            made.create(topics(settings))
        yield broker.environment
    finally:
        broker.kill()
        shutil.rmtree(folder / "kafka")


def slopes(rows: list[dict[str, float]], start: dict[str, float]) -> dict[str, float]:
    """The slope of each step's time, less what the command takes with nothing to do."""
    told = {}
    for step in _STEPS:
        points = [(row["statements"], row[step] - start[step]) for row in rows if row[step] - start[step] >= _LEAST]
        x, y = (np.log10([point[axis] for point in points]) for axis in (0, 1))
        told[step] = round(float(np.polyfit(x, y, 1)[0]), 3) if len(points) > 1 else float("nan")
    return told


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--largest", type=int, default=10_000_000)
    arguments.add_argument("--log", choices=["sqlite", "kafka"], default="sqlite")
    arguments.add_argument("--diagram", type=Path)
    given = arguments.parse_args()
    os.environ.pop("PROFICIO_IDENTITY__ATTRIBUTES", None)
    template = year.template(datetime.now(UTC), _BLOCK)
    start = measured(given.folder / "little", given.log, 1, template[:10])
    sizes = [blocks for power in range(6) if (blocks := 10**power) * len(template) <= given.largest * 1.5]
    rows = [measured(given.folder / str(blocks), given.log, blocks, template) for blocks in sizes]
    found = slopes(rows, start)
    print(json.dumps({"with nothing to do": {step: round(start[step], 1) for step in _STEPS}, "slopes": found}))
    if given.diagram:
        series = {f"{step}, {found[step]:.2f}": [(row["statements"], row[step]) for row in rows] for step in _STEPS}
        given.diagram.write_text(
            log_log("What a year of statements costs on 2 cores, and the slope of each step", series, "statements", "s")
        )


if __name__ == "__main__":
    main()
