"""A simulated cohort whose true abilities are known: what they did, as xAPI statements, and what they can do."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np

from schemas.framework import Framework
from schemas.xapi import Statement
from transforms.estimator import Parameters

_ACTIVITIES = 12  # for each competency and level
_NAMES = ("Ada", "Alan", "Barbara", "Claude", "Dorothy", "Edsger", "Frances", "Grace", "Hedy", "Ida", "John", "Katherine",
          "Lotfi", "Mary", "Niklaus", "Radia", "Sophie", "Tim", "Ursula", "Yukihiro")  # fmt: skip


@dataclass(frozen=True)
class Cohort:
    """True abilities (logits), shape (people, competencies), of people in the order of `people` (mailto IRIs)."""

    people: tuple[str, ...]
    names: tuple[str, ...]
    competencies: tuple[str, ...]
    abilities: np.ndarray

    def true_levels(self, cuts: tuple[float, ...]) -> np.ndarray:
        """The level that each true ability reaches; 0 is below the lowest."""
        return np.asarray((self.abilities[:, :, None] >= np.array(cuts)).sum(axis=2))


def cohort(framework: Framework, people: int, seed: int, parameters: Parameters) -> Cohort:
    """People with a general ability and competencies around it, as the estimator supposes."""
    random = np.random.default_rng(seed)
    competencies = tuple(competency.id for competency in framework.competencies)
    general = random.normal(parameters.general_mean, parameters.general_sd, people)
    abilities = general[:, None] + random.normal(0.0, parameters.specific_sd, (people, len(competencies)))
    return Cohort(
        people=tuple(f"mailto:learner{number:04d}@example.org" for number in range(1, people + 1)),
        names=tuple(f"{_NAMES[number % len(_NAMES)]} {number:04d}" for number in range(1, people + 1)),
        competencies=competencies,
        abilities=abilities,
    )


def statements(
    group: Cohort,
    framework: Framework,
    ends: datetime,
    days: int,
    seed: int,
    parameters: Parameters,
    log_mean: float = 4.6,
) -> Iterator[Statement]:
    """What the cohort did in the days before `ends`, uneven between people and competencies, in no order of time.

    Who has ability θ succeeds at an activity of difficulty d with probability 1 / (1 + e^(d − θ)). Two thirds of the
    activities tell success or failure, the others a score of five parts. Activities differ from their pitch by sd 0.3.
    How many statements each has is lognormal, with the mean of its logarithm, between 5 and 600.
    """
    random = np.random.default_rng(seed + 1)
    levels = [level.id for level in framework.levels]
    pitches = np.array([parameters.difficulty(number) for number in range(1, len(levels) + 1)])
    deviations = random.normal(0.0, 0.3, (len(group.competencies), len(levels), _ACTIVITIES))
    for person, abilities in enumerate(group.abilities):
        interests = random.dirichlet(np.full(len(group.competencies), 0.7))
        for _ in range(int(np.clip(random.lognormal(log_mean, 0.6), 5, 600))):
            competency = int(random.choice(len(group.competencies), p=interests))
            level = int(np.clip(np.searchsorted(pitches, abilities[competency] + random.normal(0, 1.0)), 0, 3))
            activity = int(random.integers(_ACTIVITIES))
            difficulty = pitches[level] + deviations[competency, level, activity]
            chance = 1 / (1 + np.exp(difficulty - abilities[competency]))
            graded = random.random() < 1 / 3
            outcome = random.binomial(5, chance) / 5 if graded else float(random.random() < chance)
            moment = ends - timedelta(seconds=float(random.uniform(0, days * 86_400)))
            yield {
                "id": str(UUID(bytes=random.bytes(16), version=4)),
                "actor": {"objectType": "Agent", "name": group.names[person], "mbox": group.people[person]},
                "verb": {
                    "id": f"http://adlnet.gov/expapi/verbs/{'scored' if graded else 'answered'}",
                    "display": {"en": "scored" if graded else "answered"},
                },
                "object": {
                    "objectType": "Activity",
                    "id": f"https://lms.example.org/{group.competencies[competency]}/{levels[level]}/{activity + 1}",
                    "definition": {
                        "type": "http://adlnet.gov/expapi/activities/"
                        + ("assessment" if graded else "cmi.interaction"),
                        "name": {
                            "en": f"{framework.competencies[competency].name}, {framework.levels[level].name}, "
                            f"{'assessment' if graded else 'question'} {activity + 1}"
                        },
                    },
                },
                "result": {"score": {"scaled": outcome}} if graded else {"success": bool(outcome)},
                "context": {
                    "platform": "Demo LMS",
                    "language": "en",
                    "contextActivities": {
                        "parent": [{"id": f"https://lms.example.org/{group.competencies[competency]}"}]
                    },
                },
                "timestamp": moment.isoformat(timespec="milliseconds"),
                "version": "1.0.3",
            }
