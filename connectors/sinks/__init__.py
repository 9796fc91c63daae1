"""Sinks: one file each, one function `deliver(settings, changes)`, one line here.

`deliver` takes levels that changed (rows of mart_levels with `told_level`) and yields each, once it was told, with None; or with
the reason for which the other side refuses this one for good. What may pass by itself, and what concerns all, it raises: what
was not told then is told the next time. A change may be told twice, where a process was killed: a sink gives it the same id,
or looks first.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from connectors.sinks import lrs, lti, moodle, webhook

Change = dict[str, Any]


class Sink(NamedTuple):
    """A sink. Where it is `personal`, a change also has the person's `accounts`, and `reasons`, the rows of
    mart_explanations that moved the level most. `at_once` is how many changes are begun before the first is noted as told.
    """

    deliver: Callable[[Any, Iterable[Change]], Iterator[tuple[Change, str | None]]]
    personal: bool = False
    at_once: int = 100


SINKS = {
    "webhook": Sink(webhook.deliver),
    "lrs": Sink(lrs.deliver, personal=True),
    "lti": Sink(lti.deliver, personal=True),
    "moodle": Sink(moodle.deliver, personal=True, at_once=moodle.AT_ONCE),
}
