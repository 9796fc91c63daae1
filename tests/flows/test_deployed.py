"""The Prefect flows: with no server, against a real server and worker, and how soon a level follows an event."""

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import kubernetes_validate
import pytest
import yaml

from flows.opening import event_log
from flows.settings import Settings
from schemas.records import STATEMENTS, Record
from tests.broker import free_port
from tests.home import GOOD, Home
from tests.processes import descendants

ROOT = Path(__file__).parents[2]
PREFECT = ROOT / "infra" / "prefect"


def proficio(home: Path, *arguments: str, **env: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PROFICIO_HOME": str(home), "PYTHONPATH": str(ROOT), **env}
    return subprocess.Popen(
        [sys.executable, "-m", "flows.cli", *arguments], env=environment, cwd=home.parent, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def end(process: subprocess.Popen[Any]) -> None:
    """Ask a process to end; make it, where it takes longer than two minutes."""
    process.terminate()
    try:
        process.wait(120)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def put(home: Path, person: str, count: int, start: int = 0) -> None:
    with event_log(Settings(home=home)) as log:
        log.append(
            STATEMENTS,
            [
                Record(
                    person,
                    json.dumps(
                        {
                            "actor": {"mbox": f"mailto:{person}@example.org"},
                            "verb": {"id": "http://adlnet.gov/expapi/verbs/answered"},
                            "object": {"id": f"https://lms.example.org/data-literacy/intermediate/{n % 5}"},
                            "result": {"success": True},
                            "timestamp": f"2026-01-01T00:{n // 60:02d}:{n % 60:02d}Z",
                        }
                    ).encode(),
                    {"source": "t"},
                )
                for n in range(start, start + count)
            ],
        )


def evidence_count(home: Path, person: str) -> int:
    done = proficio(home, "levels", f"{person}@example.org", "--json")
    out, _ = done.communicate()
    counts = [json.loads(line)["evidence_count"] for line in out.splitlines() if '"data-literacy"' in line]
    return counts[0] if counts else 0


def test_run_works_without_a_prefect_server_and_leaves_its_state_in_the_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    put(home, "ada", 5)
    done = proficio(home, "run", "--json", HOME=str(tmp_path / "nobody"))
    out, err = done.communicate()
    assert done.returncode == 0, err
    assert json.loads(out)["landed"]["landed"] == 5
    assert evidence_count(home, "ada") == 5
    assert (home / "prefect").is_dir()
    assert not (tmp_path / "nobody" / ".prefect").exists()


def test_a_failing_run_ends_in_a_message_not_a_traceback(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with event_log(Settings(home=home)) as log:
        log.append(STATEMENTS, [Record(None, b"nonsense") for _ in range(200)])
    done = proficio(home, "run")
    out, err = done.communicate()
    assert done.returncode == 6, out + err
    assert "land.max_reject_share" in err
    assert "Traceback" not in out + err
    assert json.loads((home / "runs.jsonl").read_text().splitlines()[-1])["state"] == "failed"


def test_a_source_that_fails_does_not_stop_the_run(home: Home) -> None:
    toml = home.folder / "proficio.toml"
    lrs = '\n[[sources.lrs]]\nname = "x"\nurl = "http://127.0.0.1:9"\nusername = "me"\npassword_file = "nowhere"\n'
    toml.write_text(toml.read_text("utf-8") + lrs)
    home("ingest", "-", stdin=json.dumps(GOOD).encode())
    bad = json.dumps({**GOOD, "verb": {}}).encode()
    home("ingest", "-", "--source", "broken", stdin=b"\n".join([bad] * 12))
    told = home("run", expect=3)
    assert "sources.lrs.password_file" in told
    assert "Rejects are rising. broken: 12 rejected in a day, 0.0 a day in the week before." in told
    assert "rising: broken: 12 rejected" in home("status")
    assert '"evidence_count": 1' in home("levels", "ada@example.org", "--json")
    assert json.loads((home.settings.home / "runs.jsonl").read_text().splitlines()[-1])["failed_sources"] == ["lrs"]


def test_in_stream_a_level_follows_its_event_at_once(tmp_path: Path) -> None:
    """From `ingest` to a changed row in `levels`, both as commands: no longer than a few of these commands take here and now."""
    home = tmp_path / "home"
    put(home, "ada", 1)
    stream = proficio(home, "stream", "--json")
    commands, ways = [], []
    try:
        ends = time.monotonic() + 300
        while evidence_count(home, "ada") < 1:
            assert time.monotonic() < ends, "stream did not start"
            assert stream.poll() is None, stream.communicate()[1]
        for number in range(8):
            line = json.dumps(
                {
                    "actor": {"mbox": "mailto:ada@example.org"},
                    "verb": {"id": "http://adlnet.gov/expapi/verbs/answered"},
                    "object": {"id": "https://lms.example.org/data-literacy/intermediate/1"},
                    "result": {"success": number % 2 == 0},
                    "timestamp": f"2026-02-01T00:00:{number:02d}Z",
                }
            )
            (tmp_path / "one.ndjson").write_text(line)
            started = time.monotonic()
            assert proficio(home, "ingest", str(tmp_path / "one.ndjson")).wait() == 0
            commands.append(time.monotonic() - started)
            while evidence_count(home, "ada") < number + 2:
                assert time.monotonic() - started < 120
            ways.append(time.monotonic() - started)
    finally:
        stream.terminate()
        out, _ = stream.communicate(timeout=120)
    assert stream.returncode == 0
    assert json.loads(out)["landed"] == 9
    print(
        f"\nfrom ingest to level: median {statistics.median(ways):.1f} s; ingest: {statistics.median(commands):.1f} s"
    )
    assert statistics.median(ways) < Settings().stream.interval_seconds + 5 * statistics.median(commands)


@pytest.fixture(scope="module")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("prefect")
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    environment = {
        "PREFECT_HOME": str(folder), "PREFECT_API_URL": url, "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }  # fmt: skip
    command = [
        str(Path(sys.executable).parent / "prefect"),
        "server",
        "start",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log)
        ends = time.monotonic() + 300
        while True:
            try:
                if httpx.get(f"{url}/health", timeout=2).is_success:
                    break
            except httpx.HTTPError:
                assert time.monotonic() < ends, (folder / "log").read_text()[-3000:]
                time.sleep(0.5)
        yield environment
        end(server)


def test_deployments_run_on_a_real_server_and_worker(prefect_server: dict[str, str], tmp_path: Path) -> None:
    home = tmp_path / "home"
    put(home, "ada", 3)
    prefect = str(Path(sys.executable).parent / "prefect")
    environment = {**os.environ, **prefect_server, "PROFICIO_HOME": str(home), "PYTHONPATH": str(ROOT),
                   "PROFICIO_DOCS__DBT_DOCS": "https://docs.example.org/dbt/"}  # fmt: skip

    def call(*arguments: str) -> str:
        done = subprocess.run(
            [prefect, "--no-prompt", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    call("work-pool", "create", "proficio", "--type", "process")
    call("deploy", "--all")
    call("automation", "create", "--from-file", str(ROOT / "infra" / "prefect" / "automations.yaml"))
    api = httpx.Client(base_url=prefect_server["PREFECT_API_URL"], timeout=30)
    deployments = {one["name"]: one for one in api.post("/deployments/filter", json={}).json()}
    assert set(deployments) == {"nightly", "past", "land", "stream", "feedback", "quality", "compact", "calibrate"}
    for one in deployments.values():
        given = one["parameter_openapi_schema"]["properties"]
        assert one["description"] and all(each.get("description") for each in given.values()), one["name"]

    with working(
        prefect, environment, tmp_path / "worker.log"
    ) as worker:  # killed in the middle of a run, with what it runs
        call("deployment", "run", "nightly/nightly")
        wait_until(lambda: "estimate" in {run["name"] for run in api.post("/task_runs/filter", json={}).json()}, 600)
        for process in (worker.pid, *descendants(worker.pid)):
            os.kill(process, signal.SIGKILL)
    for run in api.post("/flow_runs/filter", json={}).json():  # else the dead run holds its place for five minutes
        if run["state_type"] == "RUNNING":
            api.post(
                f"/flow_runs/{run['id']}/set_state", json={"state": {"type": "CRASHED"}, "force": True}
            ).raise_for_status()
    with working(prefect, environment, tmp_path / "worker.log"):
        call("deployment", "run", "nightly/nightly", "--watch", "--watch-timeout", "900")
        assert evidence_count(home, "ada") == 3, (tmp_path / "worker.log").read_text()[-4000:]
        shown = {one["key"] for one in api.post("/artifacts/latest/filter", json={}).json()}
        assert shown >= {"landed", "rejected", "levels-changed", "quality", "data-docs", "dbt-docs"}
        nodes = json.loads((home / "dbt" / "target" / "manifest.json").read_text())["nodes"].values()
        tests = {
            f"test {one['name']}"
            for one in nodes
            if one["original_file_path"].startswith("models/marts/") and one["resource_type"] == "test"
        }
        assert len(tests) > 150  # each of dbt's tests of marts is a task run of its own
        steps = {"land", "expire", "estimate", "daily", "quality", "publish", "feedback"}

        def told_of_all() -> bool:  # what a run tells of its tasks comes to the server some time later
            ran = task_runs(api)
            return steps <= ran.keys() and all(ran.get(name) == "COMPLETED" for name in tests)

        wait_until(told_of_all, 300)
        call("deployment", "run", "compact/compact", "--watch", "--watch-timeout", "600")

        with event_log(Settings(home=home)) as log:  # a run that fails, and is told of
            log.append(STATEMENTS, [Record(None, b"nonsense") for _ in range(200)])
        call("deployment", "run", "land/land")
        fired = {"event": {"name": ["prefect.automation.triggered"]}}
        wait_until(lambda: "proficio run failed" in str(api.post("/events/filter", json={"filter": fired}).json()), 300)
        wait_until(lambda: states(api)["FAILED"] == 1, 300)
    assert states(api)["COMPLETED"] == 2
    assert json.loads((home / "runs.jsonl").read_text().splitlines()[-1])["state"] == "failed"


@pytest.mark.parametrize("kind", ["docker", "kubernetes"])
def test_deployments_as_containers(kind: str, prefect_server: dict[str, str]) -> None:
    """Each on the queue that it has among processes; a Kubernetes job of it is one of Kubernetes, with data, settings and secrets."""
    environment = {**os.environ, **prefect_server}
    template = ["--base-job-template", str(PREFECT / "kubernetes-job.json")] if kind == "kubernetes" else []
    for arguments in (
        ["work-pool", "create", f"proficio-{kind}", "--type", kind, *template],
        ["deploy", "--all", "--prefect-file", str(PREFECT / f"{kind}.yaml")],
    ):
        done = subprocess.run(
            [str(Path(sys.executable).parent / "prefect"), "--no-prompt", *arguments],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    api = httpx.Client(base_url=prefect_server["PREFECT_API_URL"], timeout=30)
    processes = {
        one["name"]: one["work_pool"] for one in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    }
    found = {one["name"]: one for one in api.post("/deployments/filter", json={}).json()}
    assert {name: one["work_queue_name"] for name, one in found.items()} == {
        name: pool["work_queue_name"] for name, pool in processes.items()
    }
    assert {one["work_pool_name"] for one in found.values()} == {f"proficio-{kind}"}
    assert (
        found["land"]["pull_steps"][0]["prefect.deployments.steps.set_working_directory"]["directory"]
        == "/opt/proficio"
    )
    if kind == "kubernetes":
        kubernetes_validate.validate(_job(found["land"], prefect_server["PREFECT_API_URL"]), "1.31.0", strict=True)
    else:
        assert "proficio_data:/data" in found["land"]["job_variables"]["volumes"]


def _job(deployment: dict[str, Any], url: str) -> dict[str, Any]:
    """The job that a Kubernetes worker makes of a run."""
    from prefect.client.schemas.objects import FlowRun
    from prefect.settings import PREFECT_API_URL, temporary_settings
    from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration

    template = json.loads((PREFECT / "kubernetes-job.json").read_text())

    def configured() -> KubernetesWorkerJobConfiguration:
        with temporary_settings({PREFECT_API_URL: url}):
            given = KubernetesWorkerJobConfiguration.from_template_and_values(template, deployment["job_variables"])
            return asyncio.run(given)

    with ThreadPoolExecutor(1) as thread:  # the browser of other tests keeps a loop running in this one
        made = thread.submit(configured).result()
    made.prepare_for_flow_run(FlowRun(flow_id=deployment["flow_id"], name="a run"))
    job = dict(made.job_manifest)
    for name in ("parallelism", "completions"):  # Prefect asks for them where Kubernetes has none, and passes over them
        del job["spec"]["template"]["spec"][name]
    return job


def task_runs(api: httpx.Client) -> dict[str, str]:
    """Every task run and its state, page by page."""
    found: dict[str, str] = {}
    seen = 0  # what comes in between may move a run from one page to the next
    while page := api.post("/task_runs/filter", json={"limit": 200, "offset": seen, "sort": "ID_DESC"}).json():
        found |= {f"{run['name']} {run['id']}": run["state_type"] for run in page}
        seen += len(page)
    return {name.rpartition(" ")[0]: state for name, state in found.items()}


def states(api: httpx.Client) -> Counter[str]:
    """How many runs ended in which state."""
    return Counter(run["state_type"] for run in api.post("/flow_runs/filter", json={}).json())


@contextmanager
def working(prefect: str, environment: dict[str, str], path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker in a process group of its own."""
    with path.open("ab") as log:
        worker = subprocess.Popen(
            [prefect, "worker", "start", "--pool", "proficio"], cwd=ROOT, env=environment, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield worker
    finally:
        end(worker)


def wait_until(holds: Callable[[], bool], seconds: float) -> None:
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, "it did not come to that in time"
        time.sleep(0.5)
