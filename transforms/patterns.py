"""Patterns of alignment rules, as SQL evaluates them: exact ones by equality, the others by LIKE behind an anchor.

An anchor is a run of characters that every match contains. Joining on anchors leaves few pairs of pattern and trait to
compare, so that the work does not grow with rules × statements.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

ANCHOR_LENGTHS = (8, 4)


@dataclass(frozen=True)
class Pattern:
    """A pattern as equality or SQL LIKE with the escape character ! has it; `anchor` is None where it has no long run."""

    text: str
    is_exact: bool
    anchor: str | None = None


def patterns(texts: Iterable[str]) -> dict[str, Pattern]:
    """Each pattern (`*` for any characters) as SQL has it; anchors are the runs that fewest patterns share."""
    given = sorted(set(texts))
    grams = {text: _grams(text) for text in given if "*" in text}
    shared = Counter(gram for found in grams.values() for gram in set(found))
    return {
        text: Pattern(as_like(text), False, min(reversed(grams[text]), key=lambda gram: shared[gram], default=None))
        if text in grams
        else Pattern(text, True)
        for text in given
    }


def _grams(text: str) -> list[str]:
    runs = text.split("*")
    longest = max(map(len, runs))
    length = next((one for one in ANCHOR_LENGTHS if one <= longest), None)
    if length is None:
        return []
    return [run[start : start + length] for run in runs for start in range(len(run) - length + 1)]


def as_like(text: str) -> str:
    """A pattern as SQL LIKE with the escape character ! has it."""
    for special in "!%_":
        text = text.replace(special, f"!{special}")
    return text.replace("*", "%")
