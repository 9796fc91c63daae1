"""Claims: by which file the lake goes on, where several workers land into it.

A worker that lost its partition to another, because it was paused or cut off, may wake up with a file ready. So each file
begins with a claim on the place that it continues: `claims/xapi.statements-0-00000000000000010000` is for whoever goes on
from offset 10000 of partition 0, and a file system lets one only make it (link(2) fails where the name is taken). Who comes
too late publishes nothing. As every worker claims only the end of what is in the lake, or of what it claimed itself, the
files of a partition are one chain. A claim names the file that is ready, so that the next worker can finish what a killed one
left.
"""

import os
from contextlib import suppress
from pathlib import Path

from connectors.lake import Fenced
from schemas.errors import StorageError

_FOLDER = "claims"


def claim(lake: Path, topic: str, partition: int, follows: int, ready: Path, target: Path) -> None:
    """Claim the place that begins with offset `follows` for a file that is `ready`, durably, to be `target`. Raises Fenced."""
    path = _path(lake, topic, partition, follows)
    path.parent.mkdir(parents=True, exist_ok=True)
    written = ready.with_name(f"{ready.name}.claim.tmp")
    try:
        with written.open("w") as file:
            file.write(f"{ready.relative_to(lake)}\n{target.relative_to(lake)}\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(written, path)
    except FileExistsError:
        raise Fenced(f"{topic}-{partition} goes on from {follows} already") from None
    finally:
        written.unlink(missing_ok=True)
    sync(path.parent)


def finish(lake: Path, topic: str, partition: int, follows: int) -> bool:
    """Publish the file that a claim names, where its worker has not yet; whether there is such a claim.

    StorageError where the file is gone.
    """
    path = _path(lake, topic, partition, follows)
    if not path.exists():
        return False
    target = _publish(lake, path)
    if not target.exists():
        raise StorageError(
            f"{path} stands for {target}, which is gone.",
            "Run proficio land while no other worker lands: it forgets the claim, and lands those offsets again.",
        )
    return True


def clear(lake: Path) -> None:
    """Publish what is claimed and ready, and forget all claims. Only for who has the lake alone: others may hold a file."""
    for path in (lake / _FOLDER).glob("*-" + "[0-9]" * 20):
        _publish(lake, path)
        path.unlink()


def _publish(lake: Path, claimed: Path) -> Path:
    ready, target = (lake / line for line in claimed.read_text().splitlines())
    with suppress(FileNotFoundError):  # published already, by its own worker or another
        ready.rename(target)
        sync(target.parent)
    return target


def sync(folder: Path) -> None:
    """Make what was made or renamed in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _path(lake: Path, topic: str, partition: int, follows: int) -> Path:
    return lake / _FOLDER / f"{topic}-{partition}-{follows:020d}"
