"""Sinks: one file each, one function `deliver(settings, changes)`, one line here.

`deliver` takes levels that changed (rows of mart_levels with `told_level`) and yields each, once it was told, with None; or with
the reason for which the other side refuses this one for good. What may pass by itself, and what concerns all, it raises: what
was not told then is told the next time. A change may be told twice, where a process was killed: a sink gives it the same id.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from connectors.sinks import webhook

Change = dict[str, Any]
Deliver = Callable[[Any, Iterable[Change]], Iterator[tuple[Change, str | None]]]

SINKS: dict[str, Deliver] = {"webhook": webhook.deliver}
