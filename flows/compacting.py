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
    with lake_of(settings).locked():
        lake_of(settings).sweep()
        return Compacted(*lake_of(settings).compact())
