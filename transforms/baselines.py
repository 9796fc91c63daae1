"""Models that the estimator is measured against, fitted and tested on the same answers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from transforms.answers import Answers, Floats

Matrix = Any  # a sparse matrix, a row an answer
_SHRUNK_BY = 10  # answers


def item_mean(fitted: Answers, tested: Answers) -> Floats:
    """The mean outcome of each activity, shrunk by ten answers towards that of its competency."""
    overall = float(fitted.outcome.mean())
    of_competency = _means(fitted.competency, fitted.outcome, len(fitted.competencies), overall)
    towards = _ratio(fitted.activity, of_competency[fitted.competency], len(fitted.activities) + 1, overall)
    of_activity = _means(fitted.activity, fitted.outcome, len(fitted.activities) + 1, towards)
    known = np.bincount(fitted.activity[fitted.activity >= 0], minlength=len(fitted.activities) + 1) > 0
    rows = np.where(known[tested.activity], of_activity[tested.activity], of_competency[tested.competency])
    return _answer_means(tested, np.where(tested.activity < 0, of_competency[tested.competency], rows))


def elo(fitted: Answers, tested: Answers) -> Floats:
    """Elo ratings of people, of people in competencies and of activities (Pelánek 2016), K = 0.6 / (1 + n/20).

    The chance is σ(θ_person + mean θ_person,competency − d); a step falls with the answers that a rating has seen.
    Activities, or competencies where activities are unknown, keep their ratings from the fitted answers.
    """
    by_activity = len(fitted.activities) > 0
    difficulty = np.zeros(len(fitted.activities) + 1 if by_activity else len(fitted.competencies))
    seen = np.zeros(len(difficulty))
    chances = np.empty(0)
    for answers, is_fitted in ((fitted, True), (tested, False)):
        chances = _elo_pass(
            answers, answers.activity if by_activity else answers.competency, difficulty, seen, is_fitted
        )
    return chances


def _elo_pass(answers: Answers, thing: np.ndarray, difficulty: Floats, seen: Floats, learns: bool) -> Floats:
    chances = np.empty(len(answers.day))
    outcomes, starts = answers.answer_outcome.tolist(), answers.row_starts.tolist()
    competency, things = answers.competency.tolist(), thing.tolist()
    for person in range(answers.people):
        ability, special, count = 0.0, dict[int, float](), dict[int, int]()
        for number, answer in enumerate(range(answers.person_starts[person], answers.person_starts[person + 1])):
            rows = range(starts[answer], starts[answer + 1])
            mean = sum(special.get(competency[row], 0.0) - difficulty[things[row]] for row in rows) / len(rows)
            chance = 1 / (1 + np.exp(-ability - mean))
            chances[answer] = chance
            error = outcomes[answer] - chance
            ability += 0.6 * error / (1 + number / 20)
            for row in rows:
                own = competency[row]
                special[own] = special.get(own, 0.0) + 0.6 * error / (1 + count.get(own, 0) / 20)
                count[own] = count.get(own, 0) + 1
                if learns:
                    difficulty[things[row]] -= 0.6 * error / (1 + seen[things[row]] / 20)
                    seen[things[row]] += 1
    return chances


def pfa(fitted: Answers, tested: Answers) -> Floats:
    """Performance factors analysis (Pavlik, Cen and Koedinger 2009): a logistic regression on competency and its counts."""
    return _regression(
        fitted, tested, lambda answers: [_competencies(answers), *_competency_counts(answers, log=False)]
    )


def best_lr(fitted: Answers, tested: Answers) -> Floats:
    """Best-LR (Gervet et al. 2020): activity, competency, and log counts of successes and failures, theirs and all."""

    def features(answers: Answers) -> list[Matrix]:
        successes, failures = _before(answers, by_competency=False)
        first = answers.row_starts[:-1]
        totals = sparse.csr_matrix(np.log1p(np.column_stack([successes[first], failures[first]])))
        return [
            _one_hot(answers, answers.activity, len(answers.activities)), _competencies(answers), totals,
            *_competency_counts(answers, log=True),
        ]  # fmt: skip

    return _regression(fitted, tested, features)


def _regression(fitted: Answers, tested: Answers, features: Callable[[Answers], list[Matrix]]) -> Floats:
    given, outcome = sparse.hstack(features(fitted), format="csr"), fitted.answer_outcome
    labels = np.repeat([1, 0], len(outcome))
    weights = np.concatenate([outcome, 1 - outcome])
    kept = weights > 0
    model = LogisticRegression(max_iter=1000).fit(
        sparse.vstack([given, given], format="csr")[kept], labels[kept], weights[kept]
    )
    return np.asarray(model.predict_proba(sparse.hstack(features(tested), format="csr"))[:, 1])


def _competencies(answers: Answers) -> Matrix:
    return _one_hot(answers, answers.competency, len(answers.competencies))


def _competency_counts(answers: Answers, log: bool) -> list[Matrix]:
    scale = np.log1p if log else lambda count: count
    return [
        _one_hot(answers, answers.competency, len(answers.competencies), scale(count))
        for count in _before(answers, by_competency=True)
    ]


def _before(answers: Answers, by_competency: bool) -> tuple[Floats, Floats]:
    """For each row the successes and failures of the person before it, on its competency or on all."""
    person = np.repeat(np.arange(answers.people), np.diff(answers.person_starts))[answers.answer_of_row]
    share = 1.0 if by_competency else 1.0 / np.diff(answers.row_starts)[answers.answer_of_row]
    frame = pd.DataFrame({"person": person, "yes": answers.outcome * share, "no": (1 - answers.outcome) * share})
    keys = ["person"]
    if by_competency:
        frame["competency"] = answers.competency
        keys.append("competency")
    sums = frame.groupby(keys)[["yes", "no"]].cumsum() - frame[["yes", "no"]]
    return sums["yes"].to_numpy(), sums["no"].to_numpy()


def _one_hot(answers: Answers, column: np.ndarray, width: int, values: Floats | None = None) -> Matrix:
    known = column >= 0
    entries = np.ones(len(column)) if values is None else values
    return sparse.csr_matrix(
        (entries[known], (answers.answer_of_row[known], column[known])), shape=(len(answers.day), width)
    )


def _means(index: np.ndarray, values: Floats, size: int, towards: Floats | float) -> Floats:
    """Means of `values` by index, shrunk towards a number each."""
    known = index >= 0
    count = np.bincount(index[known], minlength=size)
    return np.asarray((np.bincount(index[known], values[known], size) + _SHRUNK_BY * towards) / (count + _SHRUNK_BY))


def _ratio(index: np.ndarray, values: Floats, size: int, otherwise: float) -> Floats:
    known = index >= 0
    count = np.bincount(index[known], minlength=size)
    total = np.bincount(index[known], values[known], size)
    return np.asarray(np.divide(total, count, out=np.full(size, otherwise), where=count > 0))


def _answer_means(answers: Answers, rows: Floats) -> Floats:
    return np.asarray(np.add.reduceat(rows, answers.row_starts[:-1]) / np.diff(answers.row_starts))
