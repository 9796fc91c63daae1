"""What a lake in an object store is asked, and how long that takes, by the number of files in it.

python -m tests.end_to_end.many_files
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from connectors.lake import LakeFile, name_of
from connectors.lake.checkpoints import Checkpoint
from connectors.lake.objects import ObjectLake
from tests.connectors.test_lake import DAY, table
from tests.object_store import ObjectStore

_PARTITIONS = 10


def measured(files: int, folder: Path) -> dict[str, float]:
    """Seconds of each question to a lake of so many files."""
    with ObjectStore(folder / "s3") as store:
        ObjectLake(store.store("lake"), "s3://learning/lake", folder / "a")._commit(lambda none: _filled(none, files))
        lake = ObjectLake(store.store("lake"), "s3://learning/lake", folder / "b")
        last = files // _PARTITIONS * 10
        return {
            "files": files,
            "first look": _seconds(lambda: lake.ends("t")),
            "where it ends": _seconds(lambda: lake.ends("t")),
            "what is new": _seconds(lambda: lake.published({("t", n): last - 10 for n in range(_PARTITIONS)})),
            "all files": _seconds(lake.published),
            "publish one": _seconds(lambda: lake.publish(table(last, last), "t", 0, last, last, DAY)),
            "sweep": _seconds(lake.sweep),
            "a checkpoint": _seconds(lambda: lake.note_state(lake.state())),
        }


def _filled(empty: Checkpoint, files: int) -> Checkpoint:
    def one(partition: int, number: int) -> LakeFile:
        first, last = number * 10, number * 10 + 9
        path = Path("copies") / name_of("t", partition, first, last, DAY, f".{number:016x}")
        return LakeFile("t", partition, first, last, DAY, path, 1_000_000)

    return empty.followed_by(one(partition, n) for partition in range(_PARTITIONS) for n in range(files // _PARTITIONS))


def _seconds(ask: Callable[[], Any]) -> float:
    began = time.monotonic()
    ask()
    return round(time.monotonic() - began, 2)


if __name__ == "__main__":
    for files in (1_000, 10_000, 100_000, 1_000_000):
        with tempfile.TemporaryDirectory() as name:
            print(measured(files, Path(name)), flush=True)
