"""Ralph (https://pypi.org/project/ralph-malph/), an LRS from PyPI, in an environment and a process of its own."""

import base64
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.broker import free_port

_PACKAGES = ("ralph-malph[cli,lrs]==5.1.0", "requests")  # requests is imported and not declared
USERNAME, PASSWORD = "me", "secret-word"
# Its file backend creates a file with each write, so the second request fails; here it appends, as its documentation says.
_SERVE = """
import sys
import uvicorn
from ralph.backends.data.base import BaseOperationType
from ralph.backends.lrs.fs import FSLRSBackend
FSLRSBackend.default_operation_type = BaseOperationType.APPEND
uvicorn.run("ralph.api:app", port=int(sys.argv[1]), log_level="warning")
"""


class Ralph:
    """Ralph on its file backend; `url` is its endpoint."""

    def __init__(self, folder: Path) -> None:
        python = folder / "venv" / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *_PACKAGES], check=True
        )
        (folder / "data").mkdir()
        environment = {
            **os.environ, "RALPH_APP_DIR": str(folder / "app"), "RALPH_RUNSERVER_BACKEND": "fs",
            "RALPH_BACKENDS__LRS__FS__DEFAULT_DIRECTORY_PATH": str(folder / "data"),
        }  # fmt: skip
        subprocess.run(
            [python.with_name("ralph"), "auth", "--write-to-disk", "--username", USERNAME, "--password", PASSWORD,
             "--scope", "all", "--agent-ifi-mbox", "mailto:me@example.org"],
            check=True, env=environment, capture_output=True, cwd=folder,
        )  # fmt: skip
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/xAPI"
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [python, "-c", _SERVE, str(self.port)], env=environment, cwd=folder, stdout=log, stderr=log
            )
        ends = time.monotonic() + 240
        while not self._answers():
            assert self._process.poll() is None and time.monotonic() < ends, (folder / "log").read_text()
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/__lbheartbeat__").status_code == 200
        except httpx.TransportError:
            return False

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(30)


AUTHORIZATION = "Basic " + base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
