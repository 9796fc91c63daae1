"""Processes and those that they started: found, and made to stand still."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def descendants(process: int) -> list[int]:
    """The processes that a process started, and those that they did."""
    found = [int(one) for path in Path(f"/proc/{process}/task").glob("*/children") for one in path.read_text().split()]
    return found + [one for child in found for one in descendants(child)]


@contextmanager
def standing_still(process: int) -> Iterator[None]:
    """Nothing of a process goes on while the block lasts."""
    stopped = [process, *descendants(process)]
    for one in stopped:
        os.kill(one, signal.SIGSTOP)
    try:
        yield
    finally:
        for one in stopped:
            os.kill(one, signal.SIGCONT)
