"""Which files of a lake are merged, and how."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq

from connectors.lake import Lake, LakeFile
from schemas.lake import STATEMENTS


def neighbours(files: Sequence[LakeFile], below: int) -> list[list[LakeFile]]:
    """Runs of files smaller than `below` bytes, of one day and partition, without gaps between them; two or more in each."""
    by_place: dict[tuple[str, int, date], list[LakeFile]] = defaultdict(list)
    for file in files:
        if file.size < below:
            by_place[file.topic, file.partition, file.day].append(file)
    groups = []
    for small in by_place.values():
        group = small[:1]
        for before, file in pairwise(small):
            if file.first != before.last + 1:
                groups.append(group)
                group = []
            group.append(file)
        groups.append(group)
    return [group for group in groups if len(group) > 1]


def merge(lake: Lake, group: Sequence[LakeFile], target: Path) -> None:
    """Write the rows of a run of files as one."""
    with pq.ParquetWriter(target, STATEMENTS, compression="zstd") as writer:
        for file in group:
            for batch in lake.batches(file):
                writer.write_batch(batch)
