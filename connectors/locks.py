"""Locks between processes, as files of the data folder: they go with the process that holds them, however it ends."""

import fcntl
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import TypeVar

from schemas.errors import UnavailableError

_EVERY = 0.1  # seconds
_inside: defaultdict[Path, RLock] = defaultdict(RLock)
_depths: defaultdict[Path, int] = defaultdict(int)
T = TypeVar("T")


@contextmanager
def locked(path: Path, patience: float, held: str = "") -> Iterator[None]:
    """Hold a lock, which the thread that has it may take again.

    UnavailableError where it is not got within so many seconds, with what `held` says of that.
    """
    held = held or f"{path} was held by another process for {patience:g} s."
    place = path.absolute()
    with _inside[place]:
        if _depths[place]:
            yield
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            patiently(lambda: _take(file.fileno(), held), patience)
            _depths[place] += 1
            try:
                yield
            finally:
                _depths[place] -= 1


def patiently(step: Callable[[], T], patience: float) -> T:
    """Do a step once whoever holds what it needs lets go; its UnavailableError after so many seconds."""
    until = time.monotonic() + patience
    while True:
        try:
            return step()
        except UnavailableError:
            if time.monotonic() >= until:
                raise
            time.sleep(_EVERY)


def _take(handle: int, held: str) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UnavailableError(held, "Wait for it to end, or stop it.") from None
