"""Statements of other LRSs, xAPI 1.0.3 or 2.0, by `since` and `more`."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connectors.sources.http import Api, api
from connectors.sources.several import in_turn
from schemas.errors import InputError
from schemas.xapi import Statement, parse_timestamp


@dataclass(frozen=True)
class Lrs:
    """One LRS: its name here, its endpoint (what stands before /statements), Basic credentials, its version."""

    name: str
    url: str
    username: str
    password: str
    version: str = "1.0.3"
    page: int = 500
    patience_seconds: float = 600


def events(settings: tuple[Lrs, ...], cursor: dict[str, Any] | None) -> Iterator[tuple[Statement, dict[str, Any]]]:
    """Statements stored since the last read, oldest first, of each LRS in turn.

    The cursor is {name: {"since": timestamp, "seen": [id, …]}}. An LRS may still be making older statements visible;
    X-Experience-API-Consistent-Through says up to when it is not (xAPI-Communication 2.1.3). So `since` never passes that,
    and `seen` are the ids that were read beyond it.
    """
    cursors: dict[str, Any] = dict(cursor or {})

    def of_one(one: Lrs) -> Iterator[tuple[Statement, dict[str, Any]]]:
        headers = {"X-Experience-API-Version": "2.0.0" if one.version == "2.0" else "1.0.3"}
        with api(one.url, (one.username, one.password), headers, patience_seconds=one.patience_seconds) as remote:
            for statement, own in _of_one(remote, one, cursors.get(one.name, {})):
                cursors[one.name] = own
                yield statement, dict(cursors)

    return in_turn(settings, of_one)


def cursor_at(settings: tuple[Lrs, ...], moment: datetime) -> dict[str, Any]:
    """The cursor of a read that had come up to a moment."""
    return {one.name: {"since": moment.isoformat()} for one in settings}


def _of_one(remote: Api, settings: Lrs, cursor: dict[str, Any]) -> Iterator[tuple[Statement, dict[str, Any]]]:
    since, seen = cursor.get("since"), set(cursor.get("seen", ()))
    beyond: list[tuple[str, str]] = []  # (stored, id) of what was read later than what is consistent
    answer, headers = remote.get(
        "statements", {"ascending": "true", "limit": settings.page, **({"since": since} if since else {})}
    )
    while True:
        statements, more = _page(answer, settings)
        through = headers.get("x-experience-api-consistent-through")
        for one in statements:
            stored, statement_id = str(one["stored"]), str(one["id"]).lower()
            if through is None or parse_timestamp(stored) <= parse_timestamp(through):
                since = stored
                beyond = [pair for pair in beyond if parse_timestamp(pair[0]) > parse_timestamp(since)]
            else:
                beyond.append((stored, statement_id))
            if statement_id not in seen:
                yield one, {"since": since, "seen": [pair[1] for pair in beyond]}
        if not more:
            return
        answer, headers = remote.follow(more)


def _page(answer: Any, settings: Lrs) -> tuple[list[Statement], str]:
    """The statements of an answer, and where it goes on."""
    statements = answer.get("statements") if isinstance(answer, dict) else None
    if not isinstance(statements, list) or not all(
        isinstance(one, dict) and {"id", "stored"} <= set(one) for one in statements
    ):
        raise InputError(f"The LRS {settings.name} does not answer with statements.", f"Check its URL: {settings.url}.")
    return statements, str(answer.get("more") or "")
