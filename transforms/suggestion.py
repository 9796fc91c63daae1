"""Proposals for alignment rules: which competency and level an activity may speak to, by the words of its name.

TF-IDF of words and of runs of characters (Salton & Buckley 1988, as in scikit-learn), compared by cosine with what the
framework says of each competency: its name, description, indicators and descriptors. Where the extra `embeddings` is installed,
the likeness of meaning by WordLlama's static token embeddings counts as much. Nothing is aligned by it; a person accepts a
rule or does not.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse

from schemas.framework import Framework

_LEVEL_WORDS = (
    ("introduct", "basic", "fundamental", "beginner", "first step", "getting started", "101", "foundation"),
    ("intermediate", "applied", "practical", "in practice"),
    ("advanced", "deep dive", "in depth", "optimi", "scal"),
    ("master", "expert", "research", "novel", "state of the art"),
)


@dataclass(frozen=True)
class Suggestion:
    """A proposal for an activity. `confidence` is the share of the best competency in the likeness of all, 0 to 1."""

    text: str
    competency: str
    level: str
    confidence: float


def suggest(
    texts: Sequence[str], framework: Framework, embedded: bool = find_spec("wordllama") is not None
) -> list[Suggestion | None]:
    """The first proposal for each text (name and description of an activity); None where no word is like any.

    `embedded`: whether meaning counts too, for which the extra `embeddings` must be installed.
    """
    competencies = [one for one in framework.competencies if not one.retired]
    sentences = [
        (number, sentence)
        for number, one in enumerate(competencies)
        for sentence in (one.name, one.description, *one.indicators, *one.levels.values())
    ]
    given, known = [_plain(one) for one in texts], [_plain(sentence) for _, sentence in sentences]
    similarity = _of_words(given, known)
    if embedded:
        similarity = np.where(similarity.any(axis=1, keepdims=True), (similarity + _of_meaning(given, known)) / 2, 0)
    owner = np.array([number for number, _ in sentences])
    # The likeness to a competency is that to its two most alike sentences: a name alone may say everything.
    likeness = np.stack(
        [np.sort(similarity[:, owner == number], axis=1)[:, -2:] @ [0.3, 0.7] for number in range(len(competencies))],
        axis=1,
    )
    return [
        _suggestion(text, row, [one.id for one in competencies], [level.id for level in framework.levels])
        for text, row in zip(texts, likeness, strict=True)
    ]


def _suggestion(text: str, likeness: npt.NDArray[np.float64], ids: list[str], levels: list[str]) -> Suggestion | None:
    total = float(likeness.sum())
    if total <= 0:
        return None
    best = int(likeness.argmax())
    return Suggestion(text, ids[best], _level(text, levels), float(likeness[best]) / total)


def _level(text: str, levels: list[str]) -> str:
    """The level whose words stand in the text; the second where none does."""
    lowered = text.lower()
    for number, words in enumerate(_LEVEL_WORDS):
        if levels[number] in lowered or any(word in lowered for word in words):
            return levels[number]
    return levels[1]


def _of_words(given: Sequence[str], known: Sequence[str]) -> npt.NDArray[np.float64]:
    """Cosine similarity of each text given with each known, by words and runs of characters."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(ngram_range=(1, 2), stop_words="english", sublinear_tf=True)
    runs = TfidfVectorizer(analyzer="char_wb", ngram_range=(4, 6), sublinear_tf=True)
    both = [
        (kind.fit(known).transform(given), kind.transform(known)) for kind in (words, runs)
    ]  # fitted on the framework: what it does not say tells nothing
    pairs = [sparse.csr_matrix(one @ other.T).toarray() for one, other in both]
    return np.asarray(0.7 * pairs[0] + 0.3 * pairs[1])


def _of_meaning(given: Sequence[str], known: Sequence[str]) -> npt.NDArray[np.float64]:
    """Squared cosine similarity by embeddings, which come with the package: nothing is downloaded."""
    import wordllama

    model = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    cosine = model.embed(list(given), norm=True) @ model.embed(list(known), norm=True).T
    return np.asarray(np.clip(cosine, 0, 1) ** 2, dtype=np.float64)


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text).strip().lower() or "nothing"
