"""Compaction: small files of the lake become larger ones."""

from dataclasses import dataclass

from flows.opening import lake_of
from flows.settings import Settings


@dataclass(frozen=True)
class Compacted:
    """How many files went in, and how many came out."""

    merged: int
    created: int


def compact(settings: Settings) -> Compacted:
    """Merge small files. UnavailableError while something lands."""
    lake = lake_of(settings)
    with lake.locked():
        lake.sweep()
        return Compacted(*lake.compact())
