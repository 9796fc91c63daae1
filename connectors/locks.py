"""Locks between processes, as files of the data folder: they go with the process that holds them, however it ends."""

import fcntl
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

_EVERY = 0.1  # seconds
_inside: defaultdict[Path, RLock] = defaultdict(RLock)
_depths: defaultdict[Path, int] = defaultdict(int)


@contextmanager
def locked(path: Path, patience: float) -> Iterator[bool]:
    """Whether a lock was got within so many seconds. The thread that holds it may take it again."""
    place = path.absolute()
    with _inside[place]:
        if _depths[place]:
            yield True
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            got = _got(file.fileno(), time.monotonic() + patience)
            _depths[place] += got
            try:
                yield got
            finally:
                _depths[place] -= got


def _got(handle: int, until: float) -> bool:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(_EVERY)
