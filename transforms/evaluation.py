"""How well levels predict what comes next: the estimator beside baselines, on people that none of them was fitted on."""

from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment

from transforms.answers import Answers, Floats
from transforms.baselines import best_lr, elo, item_mean, pfa
from transforms.calibration import Calibration
from transforms.fitting import calibrate, predicted
from transforms.metrics import auc, calibration_error, log_loss, reliability

_FEWEST = 30  # people; with fewer, thirds say nothing


def split(answers: Answers) -> tuple[Answers, Answers]:
    """The first two thirds of the people to fit on, and the rest to test on."""
    cut = answers.people * 2 // 3
    return answers.of(np.arange(cut)), answers.of(np.arange(cut, answers.people))


def enough(answers: Answers) -> bool:
    """Whether there are people enough, and both successes and failures, to fit anything."""
    return answers.people >= _FEWEST and 0.0 < float(answers.outcome.mean()) < 1.0


def chances(
    fitted: Answers,
    tested: Answers,
    start: Calibration,
    in_use: Calibration | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> dict[str, Floats]:
    """For each model the chance of success of each tested answer; `in_use` is tested as it is."""
    result = {"proficio": predicted(tested, calibrate(fitted, start.parameters, tell=tell))}
    if in_use is not None:
        result["proficio_in_use"] = predicted(tested, in_use)
    for name, model in (("best_lr", best_lr), ("pfa", pfa), ("elo", elo), ("item_mean", item_mean)):
        tell(name)
        result[name] = model(fitted, tested)
    return result


def scores(outcome: Floats, chance: Floats) -> dict[str, float]:
    """Area under the ROC curve, log loss (nats) and expected calibration error in ten bins."""
    return {
        "auc": auc(outcome, chance),
        "log_loss": log_loss(outcome, chance),
        "ece": calibration_error(outcome, chance),
    }


def by_group(groups: Sequence[str], outcome: Floats, chance: Floats) -> list[dict[str, Any]]:
    """Scores for each group of answers, with mean chance and mean outcome: differential functioning shows as their gap."""
    names = np.asarray(groups)
    found = []
    for name in sorted(set(names.tolist())):
        chosen = names == name
        found.append(
            {
                "group": name,
                "answers": int(chosen.sum()),
                "predicted": float(chance[chosen].mean()),
                "happened": float(outcome[chosen].mean()),
                **scores(outcome[chosen], chance[chosen]),
            }
        )
    return found


def diagram(outcome: Floats, chances_of: Mapping[str, Floats]) -> str:
    """A reliability diagram as SVG: what was predicted against what happened, in ten bins, a panel for each model."""
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        files("transforms").joinpath("reliability.svg.j2").read_text("utf-8")
    )
    panels = [
        {"name": name, **scores(outcome, chance), "bins": reliability(outcome, chance)}
        for name, chance in chances_of.items()
    ]
    return template.render(panels=panels, answers=len(outcome))
