"""Pages served over levels of a few people, for the tests that open them."""

from pathlib import Path
from typing import Any

import orjson

from tests.broker import free_port
from tests.lti import Platform
from tests.receiver import Server

ACTIVITY = "https://lms.example.org/{}/{}/{}"
_LEVELS = ("beginner", "intermediate", "advanced")
PEOPLE = ("ada", "bob", "eve")


class Served(Server):
    """`proficio serve` with pages and a registered platform, after a run over what three people did."""

    def __init__(self, folder: Path, sinks: str = "", run: bool = True, **environment: str) -> None:
        port = free_port()
        self.url, self._sinks = f"http://127.0.0.1:{port}", sinks
        super().__init__(folder, port, **environment)
        self.platform = Platform(self.url)
        self.home("lti", "add", *self.platform.arguments())
        if not run:
            return
        self.home("ingest", "-", stdin=b"\n".join(map(orjson.dumps, statements())))
        self.home.nightly()

    def start(self) -> None:
        path = self.home.folder / "proficio.toml"
        text = path.read_text("utf-8").replace("[pages]\n", f'[pages]\nurl = "{self.url}"\n')
        path.write_text(text + self._sinks, "utf-8")
        super().start()

    def close(self) -> None:
        self.stop()
        self.platform.close()


def statements() -> list[dict[str, Any]]:
    """Ada does well on data literacy, bob on collaboration; eve tries and fails."""
    told = []
    for number in range(36):
        who, competency = PEOPLE[number % 3], ("data-literacy", "collaboration", "ethics-bias")[number % 3]
        told.append({
            "actor": {"mbox": f"mailto:{who}@example.org", "name": who.capitalize()},
            "verb": {"id": "http://adlnet.gov/expapi/verbs/answered"},
            "object": {"id": ACTIVITY.format(competency, _LEVELS[number // 12], number % 4), "definition": {"name": {"en": f"Exercise {number}"}}},
            "result": {"success": who != "eve"},
            "timestamp": f"2026-11-{1 + number // 2:02d}T10:00:00Z",
        })  # fmt: skip
    return told
