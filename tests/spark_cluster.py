"""A real Spark standalone cluster from the pyspark package: a master and workers, each a process."""

import fcntl
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from connectors.spark.session import ICEBERG
from flows.settings import SparkSettings
from tests.broker import free_port

_LIBS = Path(__file__).parent.parent / ".proficio" / "spark-jars"
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
_FETCHING = Path(tempfile.gettempdir()) / "proficio-test-spark.lock"


def jars() -> str:
    """What Spark needs beyond its package, fetched once by Maven."""
    with _FETCHING.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not list(_LIBS.glob("*.jar")):
            subprocess.run(
                ["mvn", "-q", "-B", _COPY, f"-Dartifact={ICEBERG}", f"-DoutputDirectory={_LIBS}"], check=True
            )
    return ",".join(str(jar) for jar in sorted(_LIBS.glob("*.jar")))


def settings(master: str = "local[2]", **more: str) -> SparkSettings:
    """Spark's settings on a machine of two cores."""
    conf = {
        "spark.jars": jars(),
        "spark.jars.packages": "",
        "spark.sql.shuffle.partitions": "4",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
    }
    return SparkSettings(master=master, conf={**conf, **more})


class Cluster:
    """Starts on construction, with workers of one core each; `kill_worker` is SIGKILL to one and what it runs."""

    def __init__(self, folder: Path, workers: int = 2, memory: str = "1g") -> None:
        import pyspark

        self._folder, self._home = folder, Path(pyspark.__file__).parent
        self._processes: list[subprocess.Popen[bytes]] = []
        folder.mkdir(parents=True, exist_ok=True)
        port, self._web = free_port(), free_port()
        self.master = f"spark://127.0.0.1:{port}"
        self._run("master", "master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", str(self._web))
        self._until(lambda: "workers" in self._state())
        given = ("--cores", "1", "--memory", memory, "--host", "127.0.0.1", "--webui-port", "0")
        self.workers = [
            self._run(f"worker-{number}", "worker.Worker", *given, self.master) for number in range(workers)
        ]
        self._until(lambda: self._state()["aliveworkers"] == workers)

    def kill_worker(self) -> None:
        """One worker goes, with its executors and the shuffled data that they held."""
        os.killpg(self.workers.pop().pid, signal.SIGKILL)

    def running(self) -> bool:
        """Whether an application has executors."""
        return any(worker["coresused"] for worker in self._state()["workers"])

    def stop(self) -> None:
        for process in self._processes:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            process.wait()

    def _run(self, name: str, role: str, *arguments: str) -> "subprocess.Popen[bytes]":
        environment = {**os.environ, "SPARK_HOME": str(self._home), "SPARK_LOCAL_IP": "127.0.0.1",
                       "SPARK_WORKER_DIR": str(self._folder / "work"), "SPARK_DAEMON_MEMORY": "256m"}  # fmt: skip
        with (self._folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [str(self._home / "bin" / "spark-class"), f"org.apache.spark.deploy.{role}", *arguments],
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def _state(self) -> dict[str, Any]:
        try:
            told = httpx.get(f"http://127.0.0.1:{self._web}/json/", timeout=5)
            return told.json() if told.is_success else {}
        except httpx.HTTPError:
            return {}

    def _until(self, holds: Callable[[], bool]) -> None:
        ends = time.monotonic() + 240
        while not holds():
            if time.monotonic() > ends:
                raise TimeoutError("the Spark cluster did not start within 240 s")
            time.sleep(0.2)
