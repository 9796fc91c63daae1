"""Locks of a lake between the processes of a machine, or of those that share its file system."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from connectors.storage import storage_errors


@contextmanager
def hold(folder: Path, name: str, kind: int, wait: bool = False) -> Iterator[bool]:
    """Whether a lock was got. It goes with the process, however that ends."""
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, kind if wait else kind | fcntl.LOCK_NB)
        got = True
    except BlockingIOError:
        got = False
    try:
        yield got
    finally:
        os.close(handle)
