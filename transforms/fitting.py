"""Calibration: the parameters, and the difficulties of competencies and activities, that predict answers best."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from math import exp, log
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize

from transforms.answers import Answers, Floats, Integers
from transforms.calibration import Calibration, Shrinkage
from transforms.estimator import Parameters
from transforms.forward import Deviations, Predictions, predict
from transforms.metrics import log_loss

Tell = Callable[[str], None]
Fold = tuple[Answers, Answers]  # of those that deviations are fitted on, and those that they are checked on


class _Searched(NamedTuple):
    """How a number is searched: on which scale, how far at first, between which bounds, and the sd of its normal prior.

    The prior stands around the value that the search starts from, so that few answers change little.
    """

    scale: str
    step: float
    least: float
    greatest: float
    prior_sd: float

    def at(self, begun: float, steps: float) -> float:
        """The value so many steps from where the search began."""
        place, back = _SCALES[self.scale]
        return back(place(begun) + steps * self.step)

    def bounds(self, begun: float) -> tuple[float, float]:
        """The bounds in steps from where the search began."""
        return self._steps(begun, self.least), self._steps(begun, self.greatest)

    def surprise(self, begun: float, value: float) -> float:
        """Minus the logarithm of the prior, but for a constant."""
        return (self._steps(begun, value) * self.step / self.prior_sd) ** 2 / 2

    def _steps(self, begun: float, value: float) -> float:
        place, _ = _SCALES[self.scale]
        return (place(value) - place(begun)) / self.step


_SEARCHED = {
    "general_sd": _Searched("log", 0.22, 0.2, 3.0, 0.4),
    "specific_sd": _Searched("log", 0.22, 0.15, 2.0, 0.4),
    "slope": _Searched("log", 0.14, 0.3, 2.5, 0.2),
    "fast_retention": _Searched("logit", 0.47, 0.5, 0.9999, 4.0),
    "other_retention": _Searched("logit", 0.69, 0.5, 0.9999, 4.0),
    "slow_retention": _Searched("logit", 0.69, 0.8, 0.9999, 4.0),
    "practice": _Searched("plain", 0.05, -0.3, 0.6, 0.1),
    "practice_curve": _Searched("plain", 0.2, -1.0, 1.0, 0.5),
    "after_failure": _Searched("plain", 0.3, -2.0, 2.0, 0.3),
    "after_success": _Searched("plain", 0.3, -2.0, 2.0, 0.3),
    "guess": _Searched("plain", 0.02, 0.0, 0.4, 0.03),
    "slip": _Searched("plain", 0.02, 0.0, 0.3, 0.03),
    "half_life_days": _Searched("log", 0.69, 7.0, 36_500.0, 1.5),
    "competency": _Searched("log", 0.69, 0.02, 50.0, 1.5),
    "activity": _Searched("log", 0.41, 0.05, 50.0, 1.0),
    "activity_slope": _Searched("log", 0.69, 0.5, 500.0, 1.5),
    "competency_practice": _Searched("log", 1.39, 5.0, 1e6, 2.0),
}
_SCALES: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "plain": (lambda value: value, lambda place: place),
    "log": (log, exp),
    "logit": (lambda value: log(value / (1 - value)), lambda place: 1 / (1 + exp(-place))),
}
_OF_SHRINKAGE = {"competency": "competency", "activity": "activity", "activity_slope": "slope",
                 "competency_practice": "practice"}  # fmt: skip
_SEARCHES, _TRIALS = 3, 150
_SEARCH_COST = 700_000  # answers times competencies met, of the people that are searched on
_FOLDS = 2


def calibrate(answers: Answers, start: Parameters, seed: int = 0, tell: Tell = lambda text: None) -> Calibration:
    """Fit parameters and deviations to answers: minutes for a million.

    Parameters are searched one at a time by the log loss of held-out people and a prior around `start` (maximum a
    posteriori), on as many people as minutes allow; deviations are then fitted on everyone (`fit`).
    """
    everyone = np.random.default_rng(seed).permutation(answers.people)
    chosen = everyone[: max(_FOLDS, int(np.searchsorted(np.cumsum(_cost(answers)[everyone]), _SEARCH_COST)))]
    parts = [np.sort(part) for part in np.array_split(chosen, _FOLDS)]
    folds = [
        (answers.of(np.sort(np.concatenate([one for one in parts if one is not part]))), answers.of(part))
        for part in parts
    ]
    parameters, shrinkage = _search(folds, start, tell)
    return refit(answers, parameters, shrinkage)


def refit(answers: Answers, parameters: Parameters, shrinkage: Shrinkage) -> Calibration:
    """A calibration with the deviations that suit the answers best, the parameters as given."""
    return _calibration(answers, parameters, shrinkage, fit(answers, parameters, shrinkage, rounds=6))


def predicted(answers: Answers, calibration: Calibration) -> Floats:
    """The chance of success of each answer, one step ahead, by a calibration."""
    return predict(answers, calibration.parameters, _deviations(answers, calibration)).chance


def fit(
    answers: Answers, parameters: Parameters, shrinkage: Shrinkage, rounds: int, start: Deviations | None = None
) -> Deviations:
    """Deviations by rounds of Gauss-Newton steps on the log loss one step ahead, each pulled towards zero by its prior."""
    deviations = start or Deviations.none(answers)
    for _ in range(rounds):
        deviations = _step(answers, predict(answers, parameters, deviations), deviations, shrinkage)
    return deviations


def _calibration(answers: Answers, parameters: Parameters, shrinkage: Shrinkage, deviations: Deviations) -> Calibration:
    """That all activities are harder than they were pitched is the same as that people know less. The pitch defines the
    levels, so it stands, and the mean of the people moves.
    """
    return Calibration(
        parameters=replace(parameters, general_mean=parameters.general_mean - deviations.difficulty),
        competency_difficulty=dict(zip(answers.competencies, deviations.competency_difficulty.tolist(), strict=True)),
        competency_practice=dict(zip(answers.competencies, deviations.competency_practice.tolist(), strict=True)),
        activities={
            name: (difficulty, slope)
            for name, difficulty, slope in zip(
                answers.activities, deviations.activity_difficulty.tolist(),
                np.exp(deviations.activity_log_slope).tolist(), strict=True,
            )
        },
        shrinkage=shrinkage,
        fitted_on={"people": answers.people, "answers": len(answers.day)},
    )  # fmt: skip


def _deviations(answers: Answers, calibration: Calibration) -> Deviations:
    activities = [calibration.activities.get(name, (0.0, 1.0)) for name in answers.activities]
    return Deviations(
        difficulty=0.0,
        competency_difficulty=np.array([calibration.competency_difficulty.get(c, 0.0) for c in answers.competencies]),
        competency_practice=np.array([calibration.competency_practice.get(c, 0.0) for c in answers.competencies]),
        activity_difficulty=np.array([difficulty for difficulty, _ in activities]),
        activity_log_slope=np.log(np.array([slope for _, slope in activities])),
    )


def _step(answers: Answers, predictions: Predictions, before: Deviations, shrinkage: Shrinkage) -> Deviations:
    """One step for all deviations together, solved by turns: weighted ridge regression of the residuals."""
    chance = np.clip(predictions.chance, 1e-4, 1 - 1e-4)
    row = answers.answer_of_row
    weight = (answers.weight / (chance * (1 - chance))[row]).astype(np.float64)
    residual = (answers.answer_outcome - chance)[row]
    activity = np.where(answers.activity < 0, len(answers.activities), answers.activity)
    one = np.zeros(len(row), dtype=np.int64)
    activities = len(answers.activities) + 1  # the last stands for the unknown, and stays at zero
    blocks = [
        _Block(one, predictions.by_difficulty, np.array([before.difficulty]), 0.0),
        _Block(answers.competency, predictions.by_difficulty, before.competency_difficulty, shrinkage.competency),
        _Block(activity, predictions.by_difficulty, np.append(before.activity_difficulty, 0.0), shrinkage.activity),
        _Block(activity, predictions.by_log_slope, np.append(before.activity_log_slope, 0.0), shrinkage.slope),
        _Block(answers.competency, predictions.by_practice, before.competency_practice, shrinkage.practice),
    ]
    steps = [np.zeros(len(block.value)) for block in blocks]
    for _ in range(8):
        for number, block in enumerate(blocks):
            left = residual + block.slope * steps[number][block.index]
            steps[number] = block.solve(weight, left)
            if block.index is activity:
                steps[number][activities - 1] = 0.0
            residual = left - block.slope * steps[number][block.index]
    moved = [block.value + step for block, step in zip(blocks, steps, strict=True)]
    return Deviations(
        difficulty=float(moved[0][0]),
        competency_difficulty=moved[1],
        competency_practice=np.clip(moved[4], -1.0, 1.0),
        activity_difficulty=moved[2][:-1],
        activity_log_slope=np.clip(moved[3][:-1], -1.5, 1.5),
    )


@dataclass(frozen=True)
class _Block:
    """One kind of deviation: which it is for each row, how the chance moves with it, its value, its prior's precision."""

    index: Integers
    slope: Floats
    value: Floats
    precision: float

    def solve(self, weight: Floats, residual: Floats) -> Floats:
        size = len(self.value)
        towards = np.bincount(self.index, weight * self.slope * residual, size) - self.precision * self.value
        curvature = np.bincount(self.index, weight * self.slope**2, size) + self.precision
        return np.asarray(np.divide(towards, curvature, out=np.zeros(size), where=curvature > 0))


def _search(folds: list[Fold], start: Parameters, tell: Tell) -> tuple[Parameters, Shrinkage]:
    """The values that lose least, by COBYQA (Ragonneau 2022), which models the loss as a quadratic and needs no gradient.

    It starts again from the best it found, for as long as that helps: far from where it began, the model was a poor one.
    """
    begun = {**asdict(start), **{name: getattr(Shrinkage(), field) for name, field in _OF_SHRINKAGE.items()}}
    searched = {name: one for name, one in _SEARCHED.items() if _matters(name, folds[0][0])}
    bounds = [one.bounds(begun[name]) for name, one in searched.items()]
    answered = sum(len(checked.answer_outcome) for _, checked in folds)
    best = _judge(folds, begun, begun, (None,) * len(folds), rounds=5)
    at = np.zeros(len(searched))
    tell(f"log loss of held-out people before the search: {best.loss:.5f}")

    def loss(point: Floats) -> float:
        nonlocal best, at
        moved = {name: one.at(begun[name], float(by)) for (name, one), by in zip(searched.items(), point, strict=True)}
        tried = _judge(folds, {**begun, **moved}, begun, best.deviations, rounds=2)
        if tried.loss < best.loss:
            best, at = tried, point.copy()
        return tried.loss * answered

    for number in range(_SEARCHES):
        before = best.loss
        options = {"maxfev": _TRIALS, "initial_tr_radius": 1.0, "final_tr_radius": 0.05}
        minimize(loss, at, method="COBYQA", bounds=bounds, options=options)
        tell(f"after search {number + 1} of at most {_SEARCHES}: {best.loss:.5f}")
        if (before - best.loss) * answered < 1:
            break
    return _parameters(best.values, start), _shrinkage(best.values)


class _Judged(NamedTuple):
    """Values, what they lose (log loss of held-out people and minus the logarithm of the prior, for each answer), and the
    deviations that were fitted with them for each fold.
    """

    loss: float
    values: dict[str, float]
    deviations: tuple[Deviations | None, ...]


def _judge(
    folds: list[Fold],
    values: dict[str, float],
    begun: dict[str, float],
    starts: tuple[Deviations | None, ...],
    rounds: int,
) -> _Judged:
    parameters, shrinkage = _parameters(values, Parameters()), _shrinkage(values)
    fitted = tuple(fit(fold[0], parameters, shrinkage, rounds, one) for fold, one in zip(folds, starts, strict=True))
    chance = [predict(fold[1], parameters, one).chance for fold, one in zip(folds, fitted, strict=True)]
    outcome = np.concatenate([checked.answer_outcome for _, checked in folds])
    surprise = sum(one.surprise(begun[name], values[name]) for name, one in _SEARCHED.items())
    return _Judged(log_loss(outcome, np.concatenate(chance)) + surprise / len(outcome), values, fitted)


def _matters(name: str, answers: Answers) -> bool:
    if name in ("after_failure", "after_success"):
        return bool((answers.retry == (1 if name == "after_failure" else 2)).mean() > 0.001)
    if name == "half_life_days":
        return bool(np.ptp(answers.day) > 0)
    if name in ("activity", "activity_slope"):
        return len(answers.activities) > 0
    if name == "other_retention":
        return len(answers.competencies) > 1
    return True


def _parameters(values: dict[str, float], start: Parameters) -> Parameters:
    found: dict[str, Any] = {name: values[name] for name in _SEARCHED if name not in _OF_SHRINKAGE}
    return replace(start, **found)


def _shrinkage(values: dict[str, float]) -> Shrinkage:
    return Shrinkage(**{field: values[name] for name, field in _OF_SHRINKAGE.items()})


def _cost(answers: Answers) -> Floats:
    """For each person the answers times the competencies that they meet: what predicting them takes."""
    person = np.repeat(np.arange(answers.people), np.diff(answers.person_starts))[answers.answer_of_row]
    pairs = np.unique(person * len(answers.competencies) + answers.competency) // len(answers.competencies)
    met = np.bincount(pairs, minlength=answers.people)
    return np.asarray(met * np.diff(answers.person_starts), dtype=np.float64)
