"""Calibration: the parameters, and the difficulties of competencies and activities, that predict answers best."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from transforms.answers import Answers, Floats, Integers
from transforms.calibration import Calibration, Shrinkage
from transforms.estimator import Parameters
from transforms.forward import Deviations, Predictions, predict
from transforms.metrics import log_loss

Tell = Callable[[str], None]


# How each number is searched: by what it is stepped, how wide at first, and between which bounds.
_SEARCHED = {
    "general_sd": ("factor", 1.25, 0.2, 3.0),
    "specific_sd": ("factor", 1.25, 0.15, 2.0),
    "slope": ("factor", 1.15, 0.3, 2.5),
    "fast_retention": ("odds", 1.6, 0.5, 0.9999),
    "other_retention": ("odds", 2.0, 0.5, 0.9999),
    "slow_retention": ("odds", 2.0, 0.8, 0.9999),
    "practice": ("sum", 0.05, -0.3, 0.6),
    "after_failure": ("sum", 0.3, -2.0, 2.0),
    "after_success": ("sum", 0.3, -2.0, 2.0),
    "guess": ("sum", 0.02, 0.0, 0.4),
    "slip": ("sum", 0.02, 0.0, 0.3),
    "half_life_days": ("factor", 2.0, 7.0, 36_500.0),
    "competency": ("factor", 2.0, 0.02, 50.0),
    "activity": ("factor", 1.5, 0.05, 50.0),
    "activity_slope": ("factor", 2.0, 0.5, 500.0),
    "competency_practice": ("factor", 4.0, 5.0, 1e6),
}
_OF_SHRINKAGE = {"competency": "competency", "activity": "activity", "activity_slope": "slope",
                 "competency_practice": "practice"}  # fmt: skip
_SWEEPS = 4
_SEARCH_COST = 700_000  # answers times competencies met, of the people that are searched on
_HELD_OUT = 0.3


def calibrate(answers: Answers, start: Parameters, seed: int = 0, tell: Tell = lambda text: None) -> Calibration:
    """Fit parameters and deviations to answers: minutes for a million.

    Parameters are searched one at a time by the log loss of held-out people, on as many people as minutes allow;
    deviations are then fitted on everyone (`fit`).
    """
    everyone = np.random.default_rng(seed).permutation(answers.people)
    chosen = everyone[: max(2, int(np.searchsorted(np.cumsum(_cost(answers)[everyone]), _SEARCH_COST)))]
    held_out = max(1, int(_HELD_OUT * len(chosen)))
    fitted, checked = answers.of(np.sort(chosen[held_out:])), answers.of(np.sort(chosen[:held_out]))
    parameters, shrinkage = _search(fitted, checked, start, tell)
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
    return Calibration(
        parameters=parameters,
        difficulty=deviations.difficulty,
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
        difficulty=calibration.difficulty,
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


def _search(fitted: Answers, checked: Answers, start: Parameters, tell: Tell) -> tuple[Parameters, Shrinkage]:
    """A pattern search: each number is stepped up and down by turns, and its step halved when neither helps."""
    values = {**asdict(start), **{name: getattr(Shrinkage(), field) for name, field in _OF_SHRINKAGE.items()}}
    names = [name for name in _SEARCHED if _matters(name, fitted)]
    widths = dict.fromkeys(names, 1.0)
    best, deviations = _judge(fitted, checked, values, None, rounds=5)
    tell(f"log loss of held-out people before the search: {best:.5f}")
    for sweep in range(_SWEEPS):
        for name in names:
            for direction in (1, -1):
                moved = False
                for value in _walk(name, values[name], direction * widths[name]):
                    loss, found = _judge(fitted, checked, {**values, name: value}, deviations, rounds=2)
                    if loss >= best - 1e-6:
                        break
                    best, deviations, values, moved = loss, found, {**values, name: value}, True
                if moved:
                    break
            else:
                widths[name] /= 2
        tell(f"after sweep {sweep + 1} of {_SWEEPS}: {best:.5f}")
    return _parameters(values, start), _shrinkage(values)


def _judge(
    fitted: Answers, checked: Answers, values: dict[str, float], start: Deviations | None, rounds: int
) -> tuple[float, Deviations]:
    parameters = _parameters(values, Parameters())
    deviations = fit(fitted, parameters, _shrinkage(values), rounds, start)
    return log_loss(checked.answer_outcome, predict(checked, parameters, deviations).chance), deviations


def _walk(name: str, value: float, width: float) -> Iterator[float]:
    """Two steps in one direction, within the bounds."""
    kind, size, least, greatest = _SEARCHED[name]
    for _ in range(2):
        if kind == "sum":
            stepped = value + width * size
        elif kind == "factor":
            stepped = value * size**width
        else:
            odds = value / (1 - value) * size**width
            stepped = odds / (1 + odds)
        stepped = min(max(stepped, least), greatest)
        if stepped == value:
            return
        value = stepped
        yield value


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
