"""A disk of its own at a folder, for what happens when it is full: a tmpfs, which needs root."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CAN_MOUNT = os.geteuid() == 0


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A tmpfs at a folder meanwhile, with mount's options, such as size=2m."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def resize(folder: Path, size: str) -> None:
    """Make room, or take it."""
    subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)
