"""By hand: people whose abilities are known and change, and how well the estimator tells them.

    python -m tests.end_to_end.simulation [--people 8000] [--diagram FILE.svg]

14 competencies around a general ability, sparse and uneven evidence over a year, on activities of every level. Abilities rise with practice, fade back
while a competency rests, and wander. Parameters are calibrated on half of the people; the others are told by the reference
estimator at their newest piece of evidence, and compared with the truth of that moment.
"""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from transforms.answers import from_columns
from transforms.calibration import Calibration
from transforms.estimator import Evidence, Parameters, estimate, fold
from transforms.evaluation import diagram
from transforms.fitting import calibrate

COMPETENCIES = tuple(f"competency-{number:02d}" for number in range(14))
START = datetime(2026, 1, 1, tzinfo=UTC)
GENERAL_SD, SPECIFIC_SD, WANDER, LEARNING, FORGETTING_DAYS = 1.0, 0.6, 0.25, 0.03, 300.0
BANDS = ((0, 0), (1, 2), (3, 5), (6, 10), (11, 20), (21, 1000))


def person(number: int, random: np.random.Generator, parameters: Parameters) -> tuple[pd.DataFrame, np.ndarray]:
    """The answers of one person in order of time, and their abilities at the last."""
    start = random.normal(0, GENERAL_SD) + random.normal(0, SPECIFIC_SD, len(COMPETENCIES))
    gained = np.zeros(len(COMPETENCIES))
    interests = random.dirichlet(np.full(len(COMPETENCIES), 0.5))
    days = np.sort(random.uniform(0, 365, int(np.clip(random.lognormal(3.6, 0.7), 3, 250))))
    rows, before = [], 0.0
    for day in days:
        gained *= 2.0 ** (-(day - before) / FORGETTING_DAYS)
        gained += random.normal(0, WANDER * np.sqrt((day - before) / 365), len(COMPETENCIES))
        before = day
        one = int(random.choice(len(COMPETENCIES), p=interests))
        ability = start[one] + gained[one]
        level = 1 + int(random.integers(4))  # what is on offer, not what the person would choose
        activity = int(random.integers(10))
        difficulty = parameters.difficulty(level) + 0.4 * np.sin(7.0 * (one * 40 + level * 10 + activity))
        right = float(random.random() < 1 / (1 + np.exp(difficulty - ability)))
        rows.append((f"p{number:05d}", f"p{number:05d}-{len(rows):04d}", day, COMPETENCIES[one], f"{one}/{level}/{activity}",
                     parameters.cuts[level - 1], level, right))  # fmt: skip
        gained[one] += LEARNING
    columns = ["person", "order", "day", "competency", "activity", "pitch", "level", "outcome"]
    return pd.DataFrame(rows, columns=columns), start + gained


def told(rows: pd.DataFrame, found: Calibration) -> list[tuple[int, float, float, tuple[float, ...], int]]:
    """For each competency: pieces, interval, P(level ≥ k), level."""
    pieces = []
    for row in rows.itertuples():
        deviation, slope = found.activities.get(row.activity, (0.0, 1.0))
        difficulty = found.parameters.difficulty(row.level) + found.difficulty_of(row.competency) + deviation
        moment = START + timedelta(days=row.day)
        pieces.append(Evidence(row.competency, row.activity, difficulty, row.outcome, 1.0, moment, row.order, slope,
                               practice=found.practice_of(row.competency)))  # fmt: skip
    return [
        (one.evidence_count, one.ability_low, one.ability_high, one.p_at_least, one.level)
        for one in estimate(fold(pieces, found.parameters), COMPETENCIES, found.parameters)
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    given = argparse.ArgumentParser()
    given.add_argument("--people", type=int, default=8000)
    given.add_argument("--diagram", type=Path)
    chosen = given.parse_args(arguments)
    random = np.random.default_rng(11)
    default = Parameters()
    people = [person(number, random, default) for number in range(chosen.people)]
    half = chosen.people // 2
    table = pd.concat([rows for rows, _ in people[:half]])
    answers = from_columns(
        table["person"], table["order"], table["day"].to_numpy(), table["competency"], table["activity"],
        table["pitch"].to_numpy(), table["outcome"].to_numpy(), np.ones(len(table)), competencies=COMPETENCIES,
    )  # fmt: skip
    found = calibrate(answers, default, tell=print)
    print(found.parameters)
    compared = [
        (count, low <= truth <= high, abs(level - sum(truth >= cut for cut in default.cuts)) <= 1, p, truth)
        for rows, truths in people[half:]
        for (count, low, high, p, level), truth in zip(told(rows, found), truths, strict=True)
    ]
    print(
        "\n| pieces on the competency | estimates | truth in the 90 % interval | level within one |\n|---|---|---|---|"
    )
    for first, last in (*BANDS, (0, 1000)):
        band = [one for one in compared if first <= one[0] <= last]
        name = (
            "all"
            if (first, last) == (0, 1000)
            else str(first)
            if first == last
            else f"{first} to {last}"
            if last < 1000
            else f"{first} or more"
        )
        print(
            f"| {name} | {len(band):,} | {np.mean([one[1] for one in band]):.1%} | {np.mean([one[2] for one in band]):.1%} |"
        )
    chance = np.array([p for one in compared for p in one[3]])
    outcome = np.array([float(one[4] >= cut) for one in compared for cut in default.cuts])
    print("\n| P(level ≥ k) | told | true |\n|---|---|---|")
    tenth = np.minimum((chance * 10).astype(int), 9)
    for number in range(10):
        of = tenth == number
        print(f"| {number / 10:.1f} to {(number + 1) / 10:.1f} | {chance[of].mean():.3f} | {outcome[of].mean():.3f} |")
    if chosen.diagram:
        chosen.diagram.write_text(diagram(outcome, {"P(level ≥ k)": chance}), "utf-8")


if __name__ == "__main__":
    main()
