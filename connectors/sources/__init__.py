"""Sources: one file each, one function `events(settings, cursor)`, one line here.

`events` yields statements with the cursor that covers them; the caller stores a cursor only after the event log has
acknowledged everything up to it. A cursor is any JSON object; None starts from the beginning. None in place of a statement
moves the cursor alone.
"""

from collections.abc import Callable, Iterator
from typing import Any

from connectors.sources import git, github, lrs, moodle
from schemas.xapi import Statement

Cursor = dict[str, Any]
Events = Callable[[Any, Cursor | None], Iterator[tuple[Statement | None, Cursor]]]

SOURCES: dict[str, Events] = {
    "git": git.events,
    "github": github.events,
    "lrs": lrs.events,
    "moodle": moodle.events,
}
