"""What Prometheus scrapes of a running receiver; every alert and every panel asks for metrics that there are."""

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from flows.metrics import Pipeline
from flows.settings import EventLogSettings, Settings
from tests.broker import free_port
from tests.receiver import Server, statement

INFRA = Path(__file__).parents[2] / "infra"
ALERTS = yaml.safe_load((INFRA / "prometheus" / "alerts.yml").read_text("utf-8"))["groups"][0]["rules"]


class Measured(Server):
    """A receiver with metrics."""

    def __init__(self, folder: Path) -> None:
        self.metrics_port = free_port()
        super().__init__(folder)

    @property
    def arguments(self) -> list[str]:
        return [*super().arguments, "--metrics-port", str(self.metrics_port)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measured]:
    """A receiver that took and refused some, and a pipeline that ran."""
    one = Measured(tmp_path_factory.mktemp("metrics"))
    with one.client() as client:
        assert client.post("/statements", json=[statement() for _ in range(3)]).status_code == 200
        assert client.post("/statements", json=[{"actor": 1}]).status_code == 400
    httpx.get(f"{one.address}/nowhere/{'x' * 50}")
    home = one.home
    home("ingest", "-", stdin=json.dumps({"actor": 1}).encode(), PROFICIO_LAND__MAX_REJECT_SHARE="1")
    home("run", PROFICIO_LAND__MAX_REJECT_SHARE="1")
    yield one
    assert "Traceback" not in one.stop()


def scraped(server: Measured) -> dict[str, float]:
    text = httpx.get(f"http://127.0.0.1:{server.metrics_port}/metrics").text
    return {
        one.name + "".join(f" {name}={value}" for name, value in sorted(one.labels.items())): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def test_what_happens_is_counted(server: Measured) -> None:
    found = scraped(server)
    assert found["proficio_up"] == 1
    assert found["proficio_received_total"] == found["proficio_landed_total"] == 4
    assert found["proficio_backlog"] == 0 and found["proficio_dead_letters"] == 1
    assert found["proficio_run_failed run=nightly"] == 0 and found["proficio_run_seconds run=nightly"] > 0
    assert found["proficio_http_requests_total method=POST place=xapi status=200"] == 1
    assert found["proficio_http_requests_total method=POST place=xapi status=400"] == 1
    assert found["proficio_http_requests_total method=GET place=other status=404"] == 1
    assert found["proficio_published_timestamp_seconds"] > 1.7e9
    assert not [name for name in found if "example.org" in name]  # nobody's account
    assert httpx.get(f"{server.address}/ready").json() == {"status": "ready"}
    assert httpx.get(f"{server.address}/health").status_code == 200


def metrics_in(expression: str) -> set[str]:
    return set(re.findall(r"\bproficio_\w+", re.sub(r'"[^"]*"', "", expression)))


def test_alerts_and_panels_ask_for_what_there_is(server: Measured) -> None:
    known = {name.split(" ")[0] for name in scraped(server)}
    optional = {"proficio_rejects_rising", "proficio_sink_failures", "proficio_sink_waiting", "proficio_source_failed",
                "proficio_source_lag_seconds"}  # fmt: skip
    text = (Path(__file__).parents[2] / "flows" / "metrics.py").read_text()
    assert all(f'"{name}"' in text for name in optional)
    panels = json.loads((INFRA / "grafana" / "proficio.json").read_text())["panels"]
    asked = [alert["expr"] for alert in ALERTS] + [target["expr"] for panel in panels for target in panel["targets"]]
    assert set().union(*map(metrics_in, asked)) <= known | optional


def test_every_alert_has_its_section_in_the_runbook() -> None:
    sections = set(re.findall(r"^## (\w+)$", (INFRA.parent / "docs" / "runbook.md").read_text(), re.MULTILINE))
    assert {alert["alert"] for alert in ALERTS} == sections
    assert all(alert["annotations"]["runbook"] == f"docs/runbook.md#{alert['alert'].lower()}" for alert in ALERTS)


def test_every_alert_fires_when_it_should_and_none_when_all_is_well() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        assert not os.environ.get("CI"), "promtool is needed (Debian: apt-get install prometheus)"
        pytest.skip("no promtool (Debian: apt-get install prometheus)")
    for arguments in (["check", "config", INFRA / "prometheus" / "prometheus.yml"],
                      ["test", "rules", Path(__file__).with_name("alerts_test.yml")]):  # fmt: skip
        done = subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_no_scrape_waits_for_a_log_that_does_not_answer(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        pipeline = Pipeline(
            Settings(home=tmp_path, event_log=EventLogSettings(kind="kafka", bootstrap_servers=address))
        )
        found, first = timed(pipeline)
        again, second = timed(pipeline)
    assert found["proficio_up"] == again["proficio_up"] == 0 and "proficio_received_total" not in again
    assert first < 10 and second < 1  # what Prometheus waits for unless told otherwise; a second is what a soak allows


def timed(pipeline: Pipeline) -> tuple[dict[str, float], float]:
    begun = monotonic()
    found = {one.name: one.value for metric in pipeline.collect() for one in metric.samples}
    return found, monotonic() - begun
