"""A soak: `serve` and `stream` for hours while the broker, the Prefect server, the disk, the clock and a sink fail in turn.

python -m tests.end_to_end.soak FOLDER [--minutes 120]        needs root for a disk of its own, a C compiler, Prometheus

Every statement that was answered is in the lake once, levels equal a rebuild, no process grows, and Prometheus, with the rules of
infra/prometheus, fires what each fault should fire. A shorter soak hurries the rules by as much as it is shorter.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx
import numpy as np

from tests.end_to_end import soak_scene
from tests.end_to_end.mixed_load import statement
from tests.end_to_end.soak_scene import Scene
from tests.home import landed_ids
from tests.processes import until
from tests.receiver import VERSION

_FULL_MINUTES = 120  # for which the rules stand as they are
_JUDGED_MINUTES = 30  # from which growth and alerts without a fault are judged: on a busy machine seconds prove neither
_TOLD_WITHIN = 180  # seconds after a fault's span
_WRITERS = 4
_GROWTH = 0.15  # of resident memory, over the second half of a process's time, that is no leak

# Fault → the alerts that it must fire. Others may fire too where they follow from it.
EXPECTED = {
    "broker": {"ProficioDown", "ProficioReceiverErrors"},
    "prefect": set[str](),
    "disk": {"ProficioReceiverErrors"},
    "clock": set[str](),
    "sink": {"ProficioSinkFailing"},
}


@dataclass
class Soak:
    """What was seen. `usage`: of a process, by its name, the seconds since the beginning, MiB resident, open files."""

    answered: set[str] = field(default_factory=set)
    sent_again: int = 0
    fired: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # by the fault that was on, or "none"
    usage: dict[str, list[tuple[float, float, int]]] = field(default_factory=lambda: defaultdict(list))
    fault: str = "none"
    ended: threading.Event = field(default_factory=threading.Event)


def soak(folder: Path, minutes: float) -> dict[str, Any]:
    """What was sent, landed, started and fired. AssertionError where something was lost, doubled, leaked or not told of."""
    hurry = _FULL_MINUTES / minutes
    seen = Soak()
    with ExitStack() as stack:
        scene = stack.enter_context(soak_scene.scene(folder, hurry))
        pool = stack.enter_context(ThreadPoolExecutor())
        stack.callback(seen.ended.set)  # whatever happens, so that the threads end before what they ask does
        span = minutes * 60 / (2 * len(EXPECTED) + 2)
        running = [
            pool.submit(_write, scene, seen, Random(seed), span + _TOLD_WITHIN + 120) for seed in range(_WRITERS)
        ]
        running += [pool.submit(of, scene, seen) for of in (_watch, _ask)]
        _in_turn(scene, seen, span)
        seen.ended.set()
        for one in running:
            one.result()
        landed = _settled(scene)
    return _judged(scene, seen, landed, minutes)


def _in_turn(scene: Scene, seen: Soak, span: float) -> None:
    """Each fault for a span of seconds, and a span without it; at the end one without any, once no alert fires any more.

    On a slow machine a fault lasts longer: until what it must fire fires.
    """
    time.sleep(span)
    for name, (begin, end) in scene.faults.items():
        seen.fault = name
        begin()
        time.sleep(span)
        ends = time.monotonic() + _TOLD_WITHIN
        while not EXPECTED[name] <= seen.fired[name] and time.monotonic() < ends:
            time.sleep(0.5)
        end()
        seen.fault = f"after {name}"
        time.sleep(span)
    _calm(scene)
    seen.fault = "none"
    time.sleep(span)


def _write(scene: Scene, seen: Soak, chance: Random, patience: float) -> None:
    """A batch each second or so, sent again until it is answered; an AssertionError where that takes too many seconds."""
    with httpx.Client(
        base_url=f"http://127.0.0.1:{scene.port}/xapi", auth=("lms", scene.secret), headers=VERSION, timeout=60
    ) as client:
        while not seen.ended.is_set():
            batch = [statement(chance) for _ in range(chance.randint(1, 30))]
            ends = time.monotonic() + patience
            while True:
                try:
                    status = client.post("/statements", json=batch).status_code
                except httpx.TransportError:
                    status = 0
                if status == 200:
                    seen.answered.update(one["id"] for one in batch)
                    break
                assert status in (0, 503) and time.monotonic() < ends, status
                seen.sent_again += 1
                time.sleep(0.5)
            time.sleep(chance.random() * 2)


def _watch(scene: Scene, seen: Soak) -> None:
    """Resident memory and open files of each process."""
    begun = time.monotonic()
    while not seen.ended.wait(2):
        for name in ("serve", "stream"):
            process = scene.processes[name].process
            if process is None:
                continue
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()
                files = sum(1 for _ in Path(f"/proc/{process.pid}/fd").iterdir())
            except OSError:
                continue
            found = re.search(r"VmRSS:\s+(\d+)", status)
            if found:
                seen.usage[name].append((time.monotonic() - begun, int(found[1]) / 1024, files))


def _ask(scene: Scene, seen: Soak) -> None:
    """Which alerts fire, by the fault that is on."""
    with httpx.Client(base_url=scene.prometheus, timeout=10) as client:
        while not seen.ended.wait(0.5):
            with suppress(httpx.HTTPError, ValueError):
                seen.fired[seen.fault] |= _firing(client)


def _calm(scene: Scene) -> None:
    """Wait until no alert fires: what was mended has to be seen to be, a sink once it is not left in peace any more."""
    with httpx.Client(base_url=scene.prometheus, timeout=10) as client:
        until(lambda: not _firing(client), 900)


def _firing(client: httpx.Client) -> set[str]:
    answer = client.get("/api/v1/query", params={"query": 'ALERTS{alertstate="firing"}'}).json()
    return {one["metric"]["alertname"] for one in answer["data"]["result"]}


def _settled(scene: Scene) -> list[str]:
    """The ids in the lake once everything has landed; levels follow, and `verify` finds nothing wrong."""
    scene.processes["stream"].pause()
    for command in (["land"], ["estimate", "--daily"], ["publish"], ["verify"]):
        done = subprocess.run(
            [sys.executable, "-m", "flows.cli", "--config", scene.settings.home.parent / "proficio.toml", *command],
            env=scene.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    return landed_ids(scene.settings)


def _judged(scene: Scene, seen: Soak, landed: list[str], minutes: float) -> dict[str, Any]:
    assert len(landed) == len(set(landed)), f"{len(landed) - len(set(landed))} statements landed twice"
    assert set(landed) == seen.answered, (
        f"{len(seen.answered - set(landed))} lost, {len(set(landed) - seen.answered)} made up"
    )
    starts = {name: one.starts for name, one in scene.processes.items()}
    assert starts["serve"] == starts["stream"] == 1, f"a process ended: {starts}"
    folder = scene.settings.home.parent
    for name in ("serve", "stream"):
        told = (folder / f"{name}.log").read_text(errors="replace")
        assert "Traceback" not in told, told[told.index("Traceback") - 500 :][:3000]
    for fault, alerts in EXPECTED.items():
        fired = seen.fired[fault] | seen.fired[f"after {fault}"]
        assert alerts <= fired, f"{fault}: {alerts - fired} did not fire; {fired} did"
    growth = {name: _growth(rows) for name, rows in seen.usage.items()}
    if minutes >= _JUDGED_MINUTES:
        assert not seen.fired["none"], f"without a fault {seen.fired['none']} fired"
        assert max(one["memory"] for one in growth.values()) < _GROWTH, growth
        assert max(one["files"] for one in growth.values()) < _GROWTH, growth
    return {"minutes": minutes, "answered": len(seen.answered), "landed": len(landed), "sent_again": seen.sent_again,
            "starts": starts, "fired": {fault: sorted(of) for fault, of in seen.fired.items()}, "growth": growth}  # fmt: skip


def _growth(rows: list[tuple[float, float, int]]) -> dict[str, float]:
    """By how much a straight line through the second half of a process's time rises, as a share of where it begins."""
    later = np.array(rows[len(rows) // 2 :])
    found = {"mib": float(statistics.median(later[:, 1]))}
    for name, column in (("memory", 1), ("files", 2)):
        slope, start = np.polyfit(later[:, 0] - later[0, 0], later[:, column], 1)
        found[name] = round(float(slope * (later[-1, 0] - later[0, 0]) / start), 3)
    return found


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--minutes", type=float, default=_FULL_MINUTES)
    given = arguments.parse_args()
    print(json.dumps(soak(given.folder.resolve(), given.minutes), indent=1))
