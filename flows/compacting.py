"""Compaction: small files of the lake become larger ones."""

from dataclasses import dataclass

from connectors import lake
from flows.settings import Settings


@dataclass(frozen=True)
class Compacted:
    """How many files went in, and how many came out."""

    merged: int
    created: int


def compact(settings: Settings) -> Compacted:
    """Merge small files. UnavailableError while something lands."""
    with lake.locked(settings.lake):
        lake.sweep(settings.lake)
        return Compacted(*lake.compact(settings.lake))
