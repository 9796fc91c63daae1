"""The sink of docs/sinks.md does what the page says."""

import re
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson

from tests.http_server import Answer, HttpServer
from tests.levels import level

PAGE = Path(__file__).parents[2] / "docs" / "sinks.md"


def test_the_worked_example_is_a_sink_of_under_60_lines() -> None:
    source = re.search(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert source
    assert len(source[1].splitlines()) < 60
    sink: Any = ModuleType("mattermost")
    exec(compile(source[1], str(PAGE), "exec"), sink.__dict__)
    heard: list[dict[str, str]] = []

    def answer(path: str, headers: dict[str, str], body: bytes) -> Answer:
        heard.append(orjson.loads(body))
        return (200, {}, b"ok") if len(heard) < 2 else (400, {}, b"no such channel")

    server = HttpServer(answer)
    change = {
        **level("mailto:a@example.org", 2),
        "person": "0123456789",
        "last_evidence_at": datetime(2026, 11, 24, tzinfo=UTC),
    }
    changes = [{**change, "told_level": 1}, {**change, "told_level": 3}, {**change, "told_level": None}]
    told = list(sink.deliver(sink.Mattermost("team", f"{server.url}/hooks/x"), changes))
    server.close()
    assert [reason and "no such channel" in reason for _, reason in told] == [None, None, True]
    assert heard[0]["text"].startswith(
        "01234567 reached Intermediate in Data literacy. It rests on 12 pieces of evidence"
    )
