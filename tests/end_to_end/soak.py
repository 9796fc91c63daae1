"""A soak: `serve` and `stream` for hours while the broker, the Prefect server, the disk, the clock and a sink fail in turn.

python -m tests.end_to_end.soak FOLDER [--minutes 120]        needs root for a disk of its own, a C compiler, Prometheus

Every statement that was answered is in the lake once, levels equal a rebuild, no process grows, and Prometheus, with the rules of
infra/prometheus, fires what each fault should fire. A shorter soak hurries the rules by as much as it is shorter.
"""

import argparse
import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import httpx
import numpy as np

from connectors import lake
from flows.opening import event_log, topics
from flows.serve import clients
from flows.settings import EventLogSettings, Settings
from tests.broker import Broker, free_port
from tests.http_server import Answer, HttpServer
from tests.receiver import VERSION

ROOT = Path(__file__).parents[2]
_FULL_MINUTES = 120  # for which the rules stand as they are
_DISK = "4g"
_PEOPLE = 300
_BACK = 600  # seconds that the clock steps back
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
    """What was seen."""

    answered: set[str] = field(default_factory=set)
    unanswered: int = 0
    fired: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # by the fault that was on, or "none"
    memory: dict[tuple[str, int], list[tuple[float, float, int]]] = field(default_factory=lambda: defaultdict(list))
    starts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    fault: str = "none"
    ended: threading.Event = field(default_factory=threading.Event)


class Kept:
    """A process that is started again when it ends, as systemd would."""

    def __init__(self, name: str, soak: Soak, command: list[Any], environment: dict[str, str], output: Path) -> None:
        self.name, self._soak, self._command, self._environment = name, soak, command, environment
        self._output = output.open("ab")
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self.process: subprocess.Popen[bytes] | None = None
        self._stopped = threading.Event()
        self._thread.start()

    def _keep(self) -> None:
        while not self._stopped.is_set():
            self._soak.starts[self.name] += 1
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdout=self._output, stderr=self._output, start_new_session=True
            )
            self.process.wait()
            self._stopped.wait(1)

    def pause(self) -> None:
        """Kill it, and do not start it again until `resume`."""
        self._stopped.set()
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
        self._thread.join()

    def resume(self) -> None:
        self._stopped.clear()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(120)
        self._output.close()


def soak(folder: Path, minutes: float) -> dict[str, Any]:
    """What was sent, landed, started and fired. AssertionError where something was lost, doubled, leaked or not told of."""
    hurry = _FULL_MINUTES / minutes
    seen = Soak()
    with ExitStack() as stack:
        scene = stack.enter_context(_scene(folder, seen, hurry))
        threads = [threading.Thread(target=of, args=(scene, seen)) for of in (_write, _watch, _ask)]
        for thread in threads:
            thread.start()
        span = minutes * 60 / (2 * len(EXPECTED) + 2)
        _wait(span)
        for name, (begin, end) in scene.faults.items():
            seen.fault = name
            begin()
            _wait(span)
            end()
            seen.fault = f"after {name}"
            _wait(span)
        seen.fault = "none"
        _wait(span)
        seen.ended.set()
        for thread in threads:
            thread.join()
        landed = _settled(scene)
    return _judged(scene, seen, landed, minutes)


@dataclass
class Scene:
    settings: Settings
    environment: dict[str, str]
    port: int
    secret: str
    prometheus: str
    processes: dict[str, Kept]
    faults: dict[str, tuple[Callable[[], None], Callable[[], None]]]


@contextmanager
def _scene(folder: Path, seen: Soak, hurry: float) -> Iterator[Scene]:
    home = folder / "home"
    home.mkdir(parents=True)
    with ExitStack() as stack:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", home], check=True)
        stack.callback(subprocess.run, ["umount", "-l", home], check=False)
        broker = Broker(folder / "kafka")
        stack.callback(broker.kill)
        sink = Sink()
        stack.callback(sink.close)
        port, metrics, prefect, prometheus = (free_port() for _ in range(4))
        _settings_file(folder, broker.address, sink.url)
        clock = folder / "clock"
        clock.write_text("0")
        environment = {
            **os.environ, "PROFICIO_HOME": str(home), "PYTHONPATH": str(ROOT), "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_API_URL": f"http://127.0.0.1:{prefect}/api",
            "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "PT1H",
        }  # fmt: skip
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-O2", "-o", folder / "clock.so", Path(__file__).with_name("clock.c")],
            check=True,
        )
        faked = {"LD_PRELOAD": str(folder / "clock.so"), "CLOCK_OFFSET": str(clock)}
        settings = Settings(home=home, event_log=EventLogSettings(kind="kafka", bootstrap_servers=broker.address))
        with event_log(settings) as opened:
            opened.create(topics(settings))
        secret = clients(settings).add("lms", frozenset({"write", "read-all"}))
        config = [sys.executable, "-m", "flows.cli", "--config", folder / "proficio.toml"]
        ours = {**environment, **faked}
        kept = {
            "prefect": Kept("prefect", seen, [Path(sys.executable).with_name("prefect"), "server", "start", "--port", str(prefect)],
                            environment, folder / "prefect.log"),
        }  # fmt: skip
        stack.callback(kept["prefect"].stop)
        _until(lambda: httpx.get(f"http://127.0.0.1:{prefect}/api/health", timeout=2).is_success, 180)
        kept["serve"] = Kept(
            "serve",
            seen,
            [*config, "serve", "--port", str(port), "--metrics-port", str(metrics)],
            ours,
            folder / "serve.log",
        )
        stack.callback(kept["serve"].stop)
        kept["stream"] = Kept("stream", seen, [*config, "stream"], ours, folder / "stream.log")
        stack.callback(kept["stream"].stop)
        kept["prometheus"] = Kept(
            "prometheus",
            seen,
            _prometheus(folder, metrics, prometheus, hurry),
            dict(os.environ),
            folder / "prometheus.log",
        )
        stack.callback(kept["prometheus"].stop)
        _until(lambda: httpx.get(f"http://127.0.0.1:{port}/ready", timeout=2).is_success, 180)
        yield Scene(
            settings, environment, port, secret, f"http://127.0.0.1:{prometheus}", kept,
            {
                "broker": (broker.kill, broker.start),
                "prefect": (kept["prefect"].pause, kept["prefect"].resume),
                "disk": (lambda: _fill(home), lambda: (home / "filler").unlink()),
                "clock": (lambda: _step(clock, f"-{_BACK}"), lambda: _step(clock, "0")),
                "sink": (sink.fail, sink.mend),
            },
        )  # fmt: skip


class Sink:
    """A webhook that is slow, and that can be made to fail."""

    def __init__(self) -> None:
        self.status, self.told = 204, list[str]()
        self._server = HttpServer(self._answer)
        self.url = self._server.url

    def _answer(self, path: str, headers: dict[str, str], body: bytes) -> Answer | None:
        time.sleep(0.02)
        if self.status == 204:
            self.told.append(json.loads(body)["id"])
        return self.status, {}, b""

    def fail(self) -> None:
        self.status = 503

    def mend(self) -> None:
        self.status = 204

    def close(self) -> None:
        self._server.close()


def _settings_file(folder: Path, kafka: str, sink: str) -> None:
    (folder / "secret").write_text("for-the-soak-alone-0123456789")
    (folder / "proficio.toml").write_text(f"""
home = "{folder / "home"}"
[event_log]
kind = "kafka"
bootstrap_servers = "{kafka}"
delivery_seconds = 15
[estimate]
memory = "1GB"
[[sinks.webhook]]
name = "hr"
url = "{sink}/levels"
secret_file = "{folder / "secret"}"
patience_seconds = 2
policy = {{ consent = "assumed" }}
""")


def _prometheus(folder: Path, metrics: int, port: int, hurry: float) -> list[Any]:
    """Prometheus on the rules of infra/prometheus, their spans divided by `hurry`."""
    rules = (ROOT / "infra" / "prometheus" / "alerts.yml").read_text("utf-8")
    if hurry > 1:
        rules = re.sub(r"(for: |\[)(\d+)([mh])", lambda found: f"{found[1]}{_hurried(found, hurry)}s", rules)
        rules = rules.replace("proficio_sink_failures > 5", "proficio_sink_failures > 0")
    (folder / "alerts.yml").write_text(rules)
    interval = f"{max(1, round(15 / hurry))}s"
    (folder / "prometheus.yml").write_text(f"""
global: {{scrape_interval: {interval}, scrape_timeout: {interval}, evaluation_interval: {interval}}}
rule_files: [alerts.yml]
scrape_configs:
  - job_name: proficio
    static_configs: [{{targets: ["127.0.0.1:{metrics}"]}}]
""")
    return ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}"]  # fmt: skip


def _hurried(found: re.Match[str], hurry: float) -> int:
    seconds = int(found[2]) * {"m": 60, "h": 3600}[found[3]] / hurry
    return max(round(seconds), 4 if found[1] == "[" else 2)


def _write(scene: Scene, seen: Soak) -> None:
    """A batch each second or so, sent again until it is answered."""
    chance = Random(1)
    with httpx.Client(
        base_url=f"http://127.0.0.1:{scene.port}/xapi", auth=("lms", scene.secret), headers=VERSION, timeout=60
    ) as client:
        while not seen.ended.is_set():
            batch = [_statement(chance) for _ in range(chance.randint(1, 30))]
            while True:
                try:
                    status = client.post("/statements", json=batch).status_code
                except httpx.TransportError:
                    status = 0
                if status == 200:
                    seen.answered.update(one["id"] for one in batch)
                    break
                assert status in (0, 503), status
                seen.unanswered += 1
                time.sleep(0.5)
            time.sleep(chance.random() * 2)


def _statement(chance: Random) -> dict[str, Any]:
    competency = chance.choice(["data-literacy", "programming-skills", "ethics-bias", "communication"])
    level = chance.choice(["beginner", "intermediate", "advanced"])
    return {
        "id": str(UUID(int=chance.getrandbits(128), version=4)),
        "actor": {"mbox": f"mailto:learner{chance.randrange(_PEOPLE)}@example.org"},
        "verb": {"id": "http://adlnet.gov/expapi/verbs/answered"},
        "object": {"id": f"https://lms.example.org/{competency}/{level}/{chance.randrange(12)}"},
        "result": {"success": chance.random() < 0.7},
        "timestamp": f"2026-{1 + chance.randrange(10):02d}-{1 + chance.randrange(28):02d}T00:00:00Z",
    }


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
                seen.memory[name, process.pid].append((time.monotonic() - begun, int(found[1]) / 1024, files))


def _ask(scene: Scene, seen: Soak) -> None:
    """Which alerts fire, by the fault that is on."""
    with httpx.Client(base_url=scene.prometheus, timeout=10) as client:
        while not seen.ended.wait(0.5):
            try:
                answer = client.get("/api/v1/query", params={"query": 'ALERTS{alertstate="firing"}'}).json()
            except (httpx.HTTPError, ValueError):
                continue
            for one in answer["data"]["result"]:
                seen.fired[seen.fault].add(one["metric"]["alertname"])


def _fill(folder: Path) -> None:
    """Fill a disk, to its last byte."""
    with (folder / "filler").open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 20))


def _step(clock: Path, offset: str) -> None:
    new = clock.with_suffix(".new")
    new.write_text(offset)
    new.replace(clock)


def _settled(scene: Scene) -> list[str]:
    """The ids in the lake once everything has landed; levels follow, and `verify` finds nothing wrong."""
    scene.processes["stream"].pause()
    for command in (["land"], ["estimate", "--daily"], ["publish"], ["verify"]):
        done = subprocess.run(
            [sys.executable, "-m", "flows.cli", "--config", scene.settings.home.parent / "proficio.toml", *command],
            env=scene.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    return [one for file in lake.published(scene.settings.lake) for one in lake.read(file)["statement_id"].to_pylist()]


def _judged(scene: Scene, seen: Soak, landed: list[str], minutes: float) -> dict[str, Any]:
    assert len(landed) == len(set(landed)), f"{len(landed) - len(set(landed))} statements landed twice"
    assert set(landed) == seen.answered, (
        f"{len(seen.answered - set(landed))} lost, {len(set(landed) - seen.answered)} made up"
    )
    folder = scene.settings.home.parent
    for name in ("serve", "stream"):
        told = (folder / f"{name}.log").read_text(errors="replace")
        assert "Traceback" not in told, told[told.index("Traceback") - 500 :][:3000]
    for fault, alerts in EXPECTED.items():
        fired = seen.fired[fault] | seen.fired[f"after {fault}"]
        assert alerts <= fired, f"{fault}: {alerts - fired} did not fire; {fired} did"
    assert not seen.fired["none"], f"without a fault {seen.fired['none']} fired"
    growth = {f"{name} {pid}": _growth(rows) for (name, pid), rows in seen.memory.items() if len(rows) > 100}
    if minutes >= 30:
        assert max(one["memory"] for one in growth.values()) < _GROWTH, growth
        assert max(one["files"] for one in growth.values()) < _GROWTH, growth
    return {"minutes": minutes, "answered": len(seen.answered), "landed": len(landed), "sent_again": seen.unanswered,
            "starts": dict(seen.starts), "fired": {fault: sorted(of) for fault, of in seen.fired.items()}, "growth": growth}  # fmt: skip


def _growth(rows: list[tuple[float, float, int]]) -> dict[str, float]:
    """By how much a straight line through the second half of a process's time rises, as a share of where it begins."""
    later = np.array(rows[len(rows) // 2 :])
    found = {"mib": float(statistics.median(later[:, 1]))}
    for name, column in (("memory", 1), ("files", 2)):
        slope, start = np.polyfit(later[:, 0] - later[0, 0], later[:, column], 1)
        found[name] = round(float(slope * (later[-1, 0] - later[0, 0]) / start), 3)
    return found


def _until(holds: Callable[[], bool], seconds: float) -> None:
    ends = time.monotonic() + seconds
    while True:
        try:
            if holds():
                return
        except httpx.HTTPError:
            pass
        assert time.monotonic() < ends, "it did not come to that in time"
        time.sleep(0.3)


def _wait(seconds: float) -> None:
    time.sleep(seconds)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--minutes", type=float, default=_FULL_MINUTES)
    given = arguments.parse_args()
    print(json.dumps(soak(given.folder.resolve(), given.minutes), indent=1))
