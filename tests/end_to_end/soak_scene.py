"""What a soak runs in: broker, Prefect server, receiver, `stream`, Prometheus and a sink as processes, and how each is made to fail."""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from flows.opening import event_log, topics
from flows.serve import clients
from flows.settings import EventLogSettings, Settings
from tests import disk
from tests.broker import Broker, free_port
from tests.http_server import Answer, HttpServer
from tests.processes import Kept, until

ROOT = Path(__file__).parents[2]
_FULL_MIB, _LEAST_MIB = 4096, 700  # of the disk, by how long the soak is
BACK = 600  # seconds that the clock steps back


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
def scene(folder: Path, hurry: float) -> Iterator[Scene]:
    """Everything started, and ended afterwards. `hurry` is by how much the spans of the alert rules are divided."""
    home = folder / "home"
    with ExitStack() as stack:
        stack.enter_context(disk.mounted(home, f"size={max(round(_FULL_MIB / hurry), _LEAST_MIB)}m"))
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
            "prefect": Kept([Path(sys.executable).with_name("prefect"), "server", "start", "--port", str(prefect)],
                            environment, folder / "prefect.log"),
        }  # fmt: skip
        stack.callback(kept["prefect"].stop)
        until(lambda: httpx.get(f"http://127.0.0.1:{prefect}/api/health", timeout=2).is_success, 180)
        kept["serve"] = Kept(
            [*config, "serve", "--port", str(port), "--metrics-port", str(metrics)],
            ours,
            folder / "serve.log",
        )
        stack.callback(kept["serve"].stop)
        kept["stream"] = Kept([*config, "stream"], ours, folder / "stream.log")
        stack.callback(kept["stream"].stop)
        kept["prometheus"] = Kept(
            _prometheus(folder, metrics, prometheus, hurry),
            dict(os.environ),
            folder / "prometheus.log",
        )
        stack.callback(kept["prometheus"].stop)
        until(lambda: httpx.get(f"http://127.0.0.1:{port}/ready", timeout=2).is_success, 180)
        yield Scene(
            settings, environment, port, secret, f"http://127.0.0.1:{prometheus}", kept,
            {
                "broker": (broker.kill, broker.start),
                "prefect": (kept["prefect"].pause, kept["prefect"].resume),
                "disk": (lambda: _fill(home), lambda: (home / "filler").unlink()),
                "clock": (lambda: _step(clock, f"-{BACK}"), lambda: _step(clock, "0")),
                "sink": (sink.fail, sink.mend),
            },
        )  # fmt: skip


class Sink:
    """A webhook that is slow, and that can be made to fail."""

    def __init__(self) -> None:
        self.status = 204
        self._server = HttpServer(self._answer)
        self.url = self._server.url

    def _answer(self, path: str, headers: dict[str, str], body: bytes) -> Answer | None:
        time.sleep(0.02)
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
delivery_seconds = 4
[land]
group = "soak"
[estimate]
memory = "1GB"
[stream]
interval_seconds = 5
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


def _fill(folder: Path) -> None:
    """Fill a disk, to its last byte."""
    with (folder / "filler").open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 20))


def _step(clock: Path, offset: str) -> None:
    new = clock.with_suffix(".new")
    new.write_text(offset)
    new.replace(clock)
