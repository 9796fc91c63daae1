"""Statements of other LRSs, xAPI 1.0.3 or 2.0, by `since` and `more`."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from connectors.http import Api, Pace, api
from connectors.sources.several import in_turn
from schemas.errors import InputError
from schemas.xapi import Statement
from schemas.xapi import parse_timestamp as _at


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


def events(
    settings: tuple[Lrs, ...], cursor: dict[str, Any] | None
) -> Iterator[tuple[Statement | None, dict[str, Any]]]:
    """Statements stored since the last read, oldest first, of each LRS in turn.

    The cursor is {name: {"since": timestamp, "seen": [id, …]}}; `seen` are the ids that were read beyond `since`. That stays
    before the moment that is being read, since others were stored in the same one, and before what the LRS may still be
    making visible, as X-Experience-API-Consistent-Through says (xAPI-Communication 2.1.3). A cursor holds until the
    next is taken.
    """
    cursors: dict[str, Any] = dict(cursor or {})

    def of_one(one: Lrs) -> Iterator[tuple[Statement | None, dict[str, Any]]]:
        headers = {"X-Experience-API-Version": "2.0.0" if one.version == "2.0" else "1.0.3"}
        with api(
            one.url, (one.username, one.password), headers, pace=Pace(patience_seconds=one.patience_seconds)
        ) as remote:
            for statement, own in _of_one(remote, one, cursors.get(one.name, {})):
                cursors[one.name] = own
                yield statement, dict(cursors)

    return in_turn(settings, of_one)


def cursor_at(settings: tuple[Lrs, ...], moment: datetime) -> dict[str, Any]:
    """The cursor of a read that had come up to a moment."""
    return {one.name: {"since": moment.isoformat()} for one in settings}


def _of_one(remote: Api, settings: Lrs, cursor: dict[str, Any]) -> Iterator[tuple[Statement | None, dict[str, Any]]]:
    begun, known = cursor.get("since"), set(cursor.get("seen", ()))
    read = _Read(begun)
    answer, headers = remote.get(
        "statements", {"ascending": "true", "limit": settings.page, **({"since": begun} if begun else {})}
    )
    while True:
        statements, more = _page(answer, settings)
        read.through = headers.get("x-experience-api-consistent-through")
        stored = [str(one["stored"]) for one in statements]
        if not read.continues_with(stored):
            read = _Read(begun, in_order=False)
        for one, moment in zip(statements, stored, strict=True):
            own = read.cursor_behind(moment, str(one["id"]).lower())
            if str(one["id"]).lower() not in known:
                yield one, own
        if not more:
            if not read.in_order:
                yield None, read.whole()
            return
        answer, headers = remote.follow(more)


class _Read:
    """How far a read has come. `through` is up to when the LRS says that all is visible, None where it does not.

    Statements should come as they were stored (xAPI-Communication 2.1.3, ascending). From an LRS that gives them in
    another order, nothing is known to be read before everything is: the cursor stays where the read began.
    """

    def __init__(self, since: str | None, in_order: bool = True) -> None:
        self._since, self.in_order = since, in_order
        self.through: str | None = None
        self._seen: list[str] = []  # ids beyond `since`
        self._moments: list[tuple[str, int]] = []  # beyond `since`; how many of `seen` are of it or before

    def continues_with(self, stored: list[str]) -> bool:
        """Whether a page is in order, by itself and behind what was read."""
        moments = [_at(one) for one in [*(moment for moment, _ in self._moments[-1:]), *stored]]
        return not self.in_order or all(before <= after for before, after in pairwise(moments))

    def cursor_behind(self, stored: str, statement_id: str) -> dict[str, Any]:
        """The cursor that covers everything up to this statement."""
        if not self._moments or stored != self._moments[-1][0]:
            if self.in_order:
                self._pass()
            self._moments.append((stored, 0))
        self._seen.append(statement_id)
        self._moments[-1] = stored, len(self._seen)
        return {"since": self._since, "seen": self._seen}

    def whole(self) -> dict[str, Any]:
        """The cursor when everything was read, in whatever order it came."""
        starts = [0, *(count for _, count in self._moments)]
        runs = [
            (moment, self._seen[first:count]) for (moment, count), first in zip(self._moments, starts, strict=False)
        ]
        ordered = _Read(self._since)
        ordered.through = self.through
        cursor: dict[str, Any] = {"since": self._since, "seen": []}
        for moment, ids in sorted(runs, key=lambda run: _at(run[0])):
            for one in ids:
                cursor = ordered.cursor_behind(moment, one)
        return cursor

    def _pass(self) -> None:
        """Move `since` to the last moment that was read to its end and is said to be visible whole."""
        passed = [one for one in self._moments if self.through is None or _at(one[0]) <= _at(self.through)]
        if passed:
            self._since, count = passed[-1]
            self._seen = self._seen[count:]
            self._moments = [(moment, number - count) for moment, number in self._moments[len(passed) :]]


def _page(answer: Any, settings: Lrs) -> tuple[list[Statement], str]:
    """The statements of an answer, and where it goes on."""
    statements = answer.get("statements") if isinstance(answer, dict) else None
    if not isinstance(statements, list) or not all(
        isinstance(one, dict) and {"id", "stored"} <= set(one) for one in statements
    ):
        raise InputError(f"The LRS {settings.name} does not answer with statements.", f"Check its URL: {settings.url}.")
    return statements, str(answer.get("more") or "")
