"""A working directory with a settings file, and the command run in it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from flows.opening import lake_of
from flows.settings import Settings
from tests import command_server

GOOD = {
    "actor": {"mbox": "mailto:ada@example.org", "name": "Ada"},
    "verb": {"id": "http://adlnet.gov/expapi/verbs/answered"},
    "object": {"id": "https://lms.example.org/data-literacy/intermediate/1"},
    "result": {"success": True},
    "timestamp": "2026-01-01T00:00:00Z",
}


class Home:
    """A working directory with a settings file, and the command run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self("init")

    def __call__(self, *arguments: str, expect: int = 0, stdin: bytes = b"", **env: str) -> str:
        done = command_server.run(arguments, self.folder, stdin, **env)
        told = done.stdout + done.stderr
        assert "Traceback" not in told, told
        assert done.returncode == expect, told
        return told

    def nightly(self, **env: str) -> None:
        """What the nightly flow does to statements, without Prefect, which takes as long as the rest."""
        self("land", **env)
        self("estimate", "--daily", **env)
        self("publish", **env)

    def start(self, *arguments: str, **env: str) -> "subprocess.Popen[bytes]":
        """The command, running."""
        environment = {**os.environ, **env, "PYTHONPATH": str(Path(__file__).parents[1])}
        return subprocess.Popen([sys.executable, "-m", "flows.cli", *arguments], cwd=self.folder, env=environment)

    @property
    def settings(self) -> Settings:
        return Settings(home=self.folder / ".proficio")

    def rows(self) -> list[dict[str, Any]]:
        return [
            row for file in lake_of(self.settings).published() for row in lake_of(self.settings).read(file).to_pylist()
        ]


def landed_ids(settings: Settings) -> list[str]:
    """The ids of the statements in the lake."""
    where = lake_of(settings)
    return [one for file in where.published() for one in where.read(file, ["statement_id"])["statement_id"].to_pylist()]
