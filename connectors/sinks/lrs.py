"""An LRS: levels that changed as xAPI statements, each put under its own id (xAPI-Communication 2.1.1)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from connectors.http import Pace, api
from schemas.errors import InputError
from transforms.level_statements import level_statement

Change = dict[str, Any]
_HEADERS = {"X-Experience-API-Version": "1.0.3"}


@dataclass(frozen=True)
class LrsSink:
    """One LRS: its endpoint (what stands before /statements), Basic credentials; `page` is the address of learner pages."""

    name: str
    url: str
    username: str
    password: str
    levels: int
    page: str = ""
    pace: Pace = field(default_factory=Pace)


def deliver(settings: LrsSink, changes: Iterable[Change]) -> Iterator[tuple[Change, str | None]]:
    """Put a statement for each change. One that the LRS has already is the same one."""
    with api(settings.url, (settings.username, settings.password), _HEADERS, settings.pace) as remote:
        for change in changes:
            if change["reported_level"] is None:
                yield change, "An LRS keeps what it was told; what was withdrawn is told by the next level."
                continue
            page = f"{settings.page}/levels/{change['competency']}" if settings.page else ""
            statement = level_statement(change, settings.levels, settings.name, page)
            address = f"{remote.base_url}/statements?statementId={statement['id']}"
            try:
                remote.exchange("PUT", address, orjson.dumps(statement), {"Content-Type": "application/json"})
                yield change, None
            except InputError as refusal:
                yield change, str(refusal)
