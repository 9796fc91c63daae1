"""Sources: one file each, one function `events(settings, cursor)`, one line here.

`events` yields statements with the cursor that covers them; the caller stores a cursor only after the event log has
acknowledged everything up to it. A cursor is any JSON object; None starts from the beginning. None in place of a statement
moves the cursor alone.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from connectors.sources import git, github, kaggle, lrs, moodle
from schemas.xapi import Statement

Cursor = dict[str, Any]


class Source(NamedTuple):
    """A source: its events, and the cursor of a read that had come up to a moment (None: it reads from the beginning)."""

    events: Callable[[Any, Cursor | None], Iterator[tuple[Statement | None, Cursor]]]
    cursor_at: Callable[[Any, datetime], Cursor] | None = None


SOURCES = {
    "git": Source(git.events),
    "github": Source(github.events, github.cursor_at),
    "kaggle": Source(kaggle.events),
    "lrs": Source(lrs.events, lrs.cursor_at),
    "moodle": Source(moodle.events, moodle.cursor_at),
}
