"""A real Apache Kafka broker as a process, from infra/kafka."""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

SCRIPT = Path(__file__).parent.parent / "infra" / "kafka" / "broker"
_STARTING = Path(tempfile.gettempdir()) / "proficio-test-broker.lock"


def can_run() -> bool:
    return bool(shutil.which("java")) and bool(shutil.which("mvn"))


class Broker:
    """Starts on construction; `kill` and `start` bring it down and up again on the same port with the same data."""

    def __init__(self, folder: Path, properties: str = "", **options: str) -> None:
        """`properties` stand over those of infra/kafka; `options` are those by which a client may ask for topics."""
        self.folder, self._options = folder, options
        folder.mkdir(parents=True, exist_ok=True)
        self._more = folder / "more.properties"
        self._more.write_text(properties)
        self.port, self._controller = free_port(), free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def environment(self) -> dict[str, str]:
        """What tells a command that the event log is here."""
        return {"PROFICIO_EVENT_LOG__KIND": "kafka", "PROFICIO_EVENT_LOG__BOOTSTRAP_SERVERS": self.address}

    def start(self) -> None:
        """One broker starts at a time, for the first one fetches the jars of all."""
        with _STARTING.open("w") as lock, (self.folder / "broker.log").open("ab") as log:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._process = subprocess.Popen(
                [str(SCRIPT), str(self.folder / "data"), str(self.port), str(self._more)],
                stdout=log,
                stderr=log,
                env={**os.environ, "CONTROLLER_PORT": str(self._controller)},
                start_new_session=True,
            )
            self._wait()

    def kill(self) -> None:
        """SIGKILL, as a power cut has it."""
        assert self._process
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _wait(self) -> None:
        assert self._process
        ends = time.monotonic() + 240
        while time.monotonic() < ends:
            if self._process.poll() is not None:
                raise RuntimeError(f"the broker ended:\n{(self.folder / 'broker.log').read_text()[-3000:]}")
            try:
                admin = KafkaAdminClient(bootstrap_servers=[self.address], bootstrap_timeout_ms=2000, **self._options)
                admin.list_topics()
                admin.close()
                return
            except (KafkaError, OSError):
                time.sleep(0.3)
        raise TimeoutError("the broker did not start within 240 s")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
