"""The LTI 1.3 platform of Open edX (https://pypi.org/project/lti-consumer-xblock/), in an environment and a process of its own."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from tests.broker import free_port

_PACKAGES = ("lti-consumer-xblock==11.4.4", "cryptography")  # the second is imported and not declared


class OpenEdx:
    """The platform of a tool; `url` is its issuer."""

    def __init__(self, folder: Path, tool: str) -> None:
        self._tool, port = tool, free_port()
        self.url = f"http://127.0.0.1:{port}"
        python = folder / "edx" / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", folder / "edx"], check=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *_PACKAGES], check=True
        )
        with (folder / "edx.log").open("wb") as log:
            self._process = subprocess.Popen(
                [python, Path(__file__).with_name("open_edx_server.py"), tool, str(port)], stdout=log, stderr=log
            )
        ends = time.monotonic() + 240
        while not self._answers():
            assert self._process.poll() is None and time.monotonic() < ends, (folder / "edx.log").read_text()
            time.sleep(0.1)

    def arguments(self) -> list[str]:
        """How it is registered: the arguments of `proficio lti add`."""
        return [
            self.url, "edx-client", f"--auth-url={self.url}/auth", f"--token-url={self.url}/token",
            f"--jwks-url={self.url}/jwks", "--deployment=1", "--trust-email",
        ]  # fmt: skip

    def launch(self, user: str, role: str, **given: str) -> httpx.Response:
        """A launch as a browser takes it; the page that it opens."""
        with httpx.Client(timeout=30) as browser:
            start = browser.get(f"{self.url}/start", params={"user": user, "role": role, **given}).json()
            login = browser.get(start["url"])
            assert login.status_code == 302, login.text
            cookie = login.headers["set-cookie"].partition(";")[0]
            form = browser.get(login.headers["location"]).json()
            return browser.post(
                f"{self._tool}/lti/launch", data=form, headers={"Cookie": cookie}, follow_redirects=True
            )

    def told(self) -> dict[str, Any]:
        """The line items and scores that it has, and what was chosen for links."""
        return dict(httpx.get(f"{self.url}/told").json())

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/jwks").status_code == 200
        except httpx.TransportError:
            return False
