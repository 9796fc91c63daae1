"""How well predicted chances of success fit what happened."""

import numpy as np

from transforms.answers import Floats


def log_loss(outcome: Floats, chance: Floats) -> float:
    """Mean cross-entropy in nats; outcomes may lie between 0 and 1. Chances are kept a millionth from 0 and 1."""
    safe = np.clip(chance, 1e-6, 1 - 1e-6)
    return float(-(outcome * np.log(safe) + (1 - outcome) * np.log(1 - safe)).mean())


def auc(outcome: Floats, chance: Floats) -> float:
    """Probability that a success was predicted above a failure, ties by half (Mann and Whitney 1947).

    An outcome y between 0 and 1 counts as y of a success and 1 − y of a failure. NaN where all are alike.
    """
    order = np.argsort(chance, kind="stable")
    sorted_chance, success = chance[order], outcome[order]
    starts = np.flatnonzero(np.append(True, np.diff(sorted_chance) != 0))
    successes, failures = np.add.reduceat(success, starts), np.add.reduceat(1 - success, starts)
    failures_below = np.cumsum(failures) - failures
    total = successes.sum() * failures.sum()
    return float((successes * (failures_below + failures / 2)).sum() / total) if total else float("nan")


def reliability(outcome: Floats, chance: Floats, bins: int = 10) -> list[dict[str, float]]:
    """For each of `bins` equal intervals of predicted chance that holds answers: how many, mean chance, mean outcome."""
    place = np.minimum((chance * bins).astype(np.int64), bins - 1)
    count = np.bincount(place, minlength=bins)
    predicted, happened = np.bincount(place, chance, bins), np.bincount(place, outcome, bins)
    return [
        {"answers": int(count[k]), "predicted": predicted[k] / count[k], "happened": happened[k] / count[k]}
        for k in range(bins)
        if count[k]
    ]


def calibration_error(outcome: Floats, chance: Floats, bins: int = 10) -> float:
    """Expected calibration error (Naeini et al. 2015): mean |predicted − happened| of the bins, weighted by answers."""
    return float(
        sum(one["answers"] * abs(one["predicted"] - one["happened"]) for one in reliability(outcome, chance, bins))
        / max(1, len(outcome))
    )
