"""Landing: speed beside bare parsing and validation of the same bytes, and peak memory."""

import gc
import json
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from flows.opening import definitions, event_log
from flows.settings import Settings
from schemas import xapi
from schemas.records import STATEMENTS, Record
from tests import measuring
from transforms.estimator import Parameters
from transforms.simulation import cohort, statements


def speed(folder: Path, scale: int) -> list[dict[str, Any]]:
    """Through the flow, the median of three, at least a quarter of bare `orjson.loads` and validation.

    For statements in the spelling that orjson writes, and for the same with white space, which cost a comparison more.
    """
    from flows.deployed import land

    compact = list(islice(_statements(), 600_000 // scale))
    _append(folder / "warm-up", compact[:100])
    land(str(folder / "warm-up.toml"))
    return _ratio(folder / "compact", compact, "") + _ratio(
        folder / "spaced", [json.dumps(orjson.loads(value)).encode() for value in compact], ", with white space"
    )


def _ratio(folder: Path, values: list[bytes], spelling: str) -> list[dict[str, Any]]:
    from flows.deployed import land

    count = len(values)
    bare = statistics.median(_bare(values) for _ in range(3))
    times = []
    for attempt in range(3):
        _append(folder / f"run{attempt}", values)
        started = time.perf_counter()
        told = land(str(folder / f"run{attempt}.toml"))
        times.append(time.perf_counter() - started)
        assert told["landed"]["landed"] == count
    landing = statistics.median(times)
    ratio = bare / landing
    return [
        {"what": f"bare loads and validation{spelling}, statements/s", "figure": count / bare, "bar": "", "met": True},
        {
            "what": f"landing through the flow{spelling}, statements/s",
            "figure": count / landing,
            "bar": "",
            "met": True,
        },
        {"what": f"landing / bare{spelling}", "figure": ratio, "bar": "≥ 0.25", "met": ratio >= 0.25},
    ]


def memory(folder: Path, scale: int) -> list[dict[str, Any]]:
    """Peak resident memory of `proficio land` with five million statements waiting."""
    count = 5_000_000 // scale
    sample = list(islice(_statements(), 50_000))
    settings = Settings(home=folder)
    with event_log(settings) as log:
        for start in range(0, count, 10_000):
            batch = [sample[number % len(sample)] for number in range(start, start + 10_000)]
            log.append(STATEMENTS, [_renumbered(value, start + place) for place, value in enumerate(batch)])
    seconds, peak = measuring.proficio(folder, "land")
    return [
        {"what": f"landing {count:,} statements, statements/s", "figure": count / seconds, "bar": "", "met": True},
        {"what": f"peak memory of it, MiB", "figure": peak, "bar": "≤ 1024", "met": peak <= 1024},  # noqa: F541
    ]


def _statements() -> Iterator[bytes]:
    chosen = definitions(Settings()).framework
    parameters = Parameters()
    for seed in range(100):
        group = cohort(chosen, 300, seed, parameters)
        for statement in statements(group, chosen, datetime.now(UTC), 182, seed, parameters):
            yield orjson.dumps(statement)


def _bare(values: list[bytes]) -> float:
    validator = xapi._validator("1.0.3")
    gc.collect()
    gc.freeze()
    gc.disable()
    started = time.perf_counter()
    for value in values:
        assert validator.is_valid(orjson.loads(value))
    seconds = time.perf_counter() - started
    gc.enable()
    gc.unfreeze()
    return seconds


def _append(home: Path, values: list[bytes]) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    home.with_suffix(".toml").write_text(f'home = "{home}"\n')
    with event_log(Settings(home=home)) as log:
        for start in range(0, len(values), 10_000):
            log.append(
                STATEMENTS, [Record(str(start % 97 + i % 97), v) for i, v in enumerate(values[start : start + 10_000])]
            )


def _renumbered(value: bytes, number: int) -> Record:
    """The statement under another id: the id stands first in what the simulation writes."""
    return Record(str(number % 4999), b'{"id":"' + str(UUID(int=number)).encode() + value[43:])
