"""What was calibrated: the estimator's parameters, and what competencies and activities add to them. A versioned file."""

from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from schemas.errors import SettingsError
from transforms.estimator import Parameters


@dataclass(frozen=True)
class Shrinkage:
    """How firmly deviations are held at zero: precisions (1 / variance) of their normal priors."""

    competency: float = 0.5
    activity: float = 3.0
    slope: float = 20.0
    practice: float = 200.0


@dataclass(frozen=True)
class Calibration:
    """Parameters, and deviations in logits; `activities` holds difficulty and relative slope of each activity.

    `fitted_on` says how much evidence it was fitted on and how well it predicted; empty where nothing was fitted.
    """

    parameters: Parameters = field(default_factory=Parameters)
    competency_difficulty: dict[str, float] = field(default_factory=dict)
    competency_practice: dict[str, float] = field(default_factory=dict)
    activities: dict[str, tuple[float, float]] = field(default_factory=dict)
    shrinkage: Shrinkage = field(default_factory=Shrinkage)
    fitted_on: dict[str, Any] = field(default_factory=dict)

    def difficulty_of(self, competency: str) -> float:
        """What a competency adds to the difficulty of its activities."""
        return self.competency_difficulty.get(competency, 0.0)

    def practice_of(self, competency: str) -> float:
        """How much practice raises a competency."""
        return self.parameters.practice + self.competency_practice.get(competency, 0.0)


def to_json(calibration: Calibration) -> bytes:
    """A calibration as JSON, every number kept exactly."""
    return orjson.dumps(asdict(calibration), option=orjson.OPT_INDENT_2)


def from_json(text: bytes, where: str) -> Calibration:
    """The calibration that `to_json` wrote. SettingsError where it is not one."""
    try:
        given = orjson.loads(text)
        numbers = given.pop("parameters")
        parameters = Parameters(**{**numbers, "cuts": tuple(numbers["cuts"])})
        activities = {name: (float(pair[0]), float(pair[1])) for name, pair in given.pop("activities").items()}
        return Calibration(parameters, activities=activities, shrinkage=Shrinkage(**given.pop("shrinkage")), **given)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise SettingsError(f"{where} is no calibration: {error}", "Make one with proficio calibrate.") from None
