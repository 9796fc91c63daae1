"""Evidence that wavers around a threshold: how often a change is told, with and without the policy.

People whose ability is exactly the cut of a level do one graded activity of that level a day, for 90 days:
python -m tests.end_to_end.wavering --people 200
"""

import argparse
import random
import tempfile
from collections.abc import Iterable, Iterator
from datetime import timedelta
from math import exp
from pathlib import Path
from typing import Any

from connectors import sinks
from connectors.sinks import Change, Sink
from flows.feedback import feedback
from flows.settings import Settings
from flows.sink_settings import SinksSettings, WebhookSettings
from tests.levels import START, level, publish_levels
from transforms.estimator import Evidence, Parameters, estimate, fold

POLICIES: dict[str, dict[str, Any]] = {
    "without": {"certainty": 0.5},
    "default": {},
    "certainty 0.7": {"certainty": 0.7},
    "certainty 0.7, held 3 days": {"certainty": 0.7, "hold_days": 3},
    "certainty 0.8, held 7 days, no decreases": {"certainty": 0.8, "hold_days": 7, "decreases": False},
}
_LEVEL = 2


def changes_told(folder: Path, people: int, days: int, seed: int = 1) -> dict[str, float]:
    """Changes told of a person in so many days, after the first, by policy."""

    def deliver(of: Any, changes: Iterable[Change]) -> Iterator[tuple[Change, str | None]]:
        for change in changes:
            told[of.name] += change["told_level"] is not None
            yield change, None

    names = {f"p{number}": name for number, name in enumerate(POLICIES)}
    (folder / "secret").write_text("secret")
    hooks = tuple(
        WebhookSettings(name=key, url="http://x", secret_file=folder / "secret", policy={"consent": "assumed", **POLICIES[name]})
        for key, name in names.items()
    )  # fmt: skip
    told = dict.fromkeys(names, 0)
    settings = Settings(home=folder / "home", sinks=SinksSettings(webhook=hooks))
    kept = sinks.SINKS["webhook"]
    sinks.SINKS["webhook"] = Sink(deliver, at_once=10_000)
    try:
        for day, rows in enumerate(_levels(people, days, seed)):
            publish_levels(settings, rows)
            feedback(settings, now=START + timedelta(days=day))
    finally:
        sinks.SINKS["webhook"] = kept
    return {names[key]: count / people for key, count in told.items()}


def _levels(people: int, days: int, seed: int) -> Iterator[list[dict[str, Any]]]:
    """The levels of each day."""
    draw, parameters = random.Random(seed), Parameters()
    difficulty, cut = parameters.difficulty(_LEVEL), parameters.cuts[_LEVEL - 1]
    success = 1 / (1 + exp(-parameters.slope * (cut - difficulty)))
    pieces: list[list[Evidence]] = [[] for _ in range(people)]
    for day in range(days):
        rows = []
        for person, own in enumerate(pieces):
            outcome = float(draw.random() < success)
            moment = START + timedelta(days=day)
            own.append(Evidence("data-literacy", f"a{day}", difficulty, outcome, 1.0, moment, f"{person}-{day}"))
            (found,) = estimate(fold(own, parameters), ["data-literacy"], parameters)
            if found.evidence_weight >= parameters.minimum_weight:
                chances = {f"p_at_least_{place}": share for place, share in enumerate(found.p_at_least, start=1)}
                rows.append(level(f"mailto:p{person}@example.org", found.level, pieces=len(own), **chances))
        yield rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--days", type=int, default=90)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = changes_told(Path(folder), chosen.people, chosen.days)
    print(f"| policy | changes told of a person in {chosen.days} days |\n|---|---|")
    for name, count in found.items():
        print(f"| {name} | {count:.2f} |")


if __name__ == "__main__":
    main()
