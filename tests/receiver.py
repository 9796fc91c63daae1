"""`proficio serve` as a process of its own, with clients, for the tests that ask it over HTTP."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from tests.home import GOOD, Home

VERSION = {"X-Experience-API-Version": "1.0.3"}


class Server:
    """`proficio serve` in a home of its own."""

    def __init__(
        self, folder: Path, port: int = 0, settings: str = "", secrets: dict[str, str] | None = None, **environment: str
    ) -> None:
        """`settings` are TOML; `secrets` those of clients who are there already, where it is one of several."""
        self.environment, self.port = environment, port
        folder.mkdir(parents=True, exist_ok=True)
        if settings:
            (folder / "proficio.toml").write_text(settings)
        self.home = Home(folder)
        self.secrets = secrets or {
            name: json.loads(self.home("clients", "add", name, *(f"--scope={one}" for one in scopes), "--json"))["secret"]
            for name, scopes in {"lms": ["write", "read-own"], "auditor": ["read-all"], "other": ["write", "read-own"]}.items()
        }  # fmt: skip
        self.start()

    @property
    def arguments(self) -> list[str]:
        return ["serve", "--port", str(self.port)]

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "flows.cli", *self.arguments], cwd=self.home.folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), **self.environment},
        )  # fmt: skip
        assert self.process.stdout
        told = self.process.stdout.readline()
        address = re.search(r"http://[\d.:]+", told)
        assert address, told + self.process.stdout.read()
        self.address = address[0]

    def client(self, name: str = "lms", **headers: str) -> httpx.Client:
        return httpx.Client(
            base_url=f"{self.address}/xapi", auth=(name, self.secrets[name]), headers={**VERSION, **headers}
        )

    def stop(self, how: signal.Signals = signal.SIGINT) -> str:
        self.process.send_signal(how)
        told = self.process.communicate(timeout=120)[0]
        return str(told)


def statement(**changes: Any) -> dict[str, Any]:
    return {**GOOD, "id": str(uuid4()), **changes}


def multipart(one: dict[str, Any], content: bytes) -> dict[str, Any]:
    """A request with a statement and an attachment of it (xAPI-Communication 1.5.2)."""
    sha2 = hashlib.sha256(content).hexdigest()
    named = {"usageType": "https://example.org/work", "display": {"en": "work"}, "contentType": "text/plain",
             "length": len(content), "sha2": sha2}  # fmt: skip
    body = (
        b"--edge\r\nContent-Type: application/json\r\n\r\n" + json.dumps({**one, "attachments": [named]}).encode()
        + b"\r\n--edge\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\nX-Experience-API-Hash: "
        + sha2.encode() + b"\r\n\r\n" + content + b"\r\n--edge--\r\n"
    )  # fmt: skip
    return {"content": body, "headers": {"Content-Type": "multipart/mixed; boundary=edge"}}
