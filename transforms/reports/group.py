"""The reports on a team, for a plan of training, and on a role, for a decision about who takes it."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any

from schemas.framework import Framework
from transforms.coverage import Expected, by_competency, coverage, expected
from transforms.learner_page import evidence_name, link, place
from transforms.reports.rendering import Made, name_of, render

_ACTIVITIES = 3  # for each competency
_LEAST_SHORT = 0.5  # people expected to be short from which a competency is worth a plan
Rows = Sequence[Mapping[str, Any]]


def team_report(
    framework: Framework, team: str, levels: Rows, gaps: Rows, steps: Rows, names: Mapping[str, str], made: Made
) -> str:
    """The page: the team beside each role in `gaps`, what to train first and by what, and everybody's levels."""
    roles = {row["role"]: row["role_name"] for row in gaps}
    return render(
        "team.html.j2",
        framework,
        made,
        team=team,
        people=_people(levels, names),
        competencies=[one for one in framework.competencies if not one.retired],
        roles=[
            {
                "name": roles[role],
                "covered": _covered([row for row in gaps if row["role"] == role], names),
                "plan": list(
                    _plan(
                        [row for row in gaps if row["role"] == role],
                        [row for row in steps if row["role"] == role],
                        names,
                    )
                ),
            }
            for role in roles
        ],
        link=link,
    )


def role_report(
    framework: Framework,
    among: str,
    candidates: Mapping[str, Expected],
    levels: Rows,
    gaps: Rows,
    names: Mapping[str, str],
    made: Made,
) -> str:
    """The page: those who come nearest to what a role requires, each with what they meet and how surely.

    `candidates` is everyone who is compared, with how much of the role they are expected to meet, the most first; `gaps` and
    `levels` are of those who are shown; `among` says who was compared.
    """
    shown: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for row in gaps:
        shown[row["person"]][row["competency"]] = row
    required = {row["competency"]: row for row in gaps}
    abilities = {(row["person"], row["competency"]): row for row in levels}
    return render(
        "role.html.j2",
        framework,
        made,
        role=gaps[0]["role_name"],
        among=among,
        candidates=[
            {"person": person, "name": name_of(person, names), "met": met, "rows": shown[person]}
            for person, met in candidates.items()
            if person in shown
        ],
        compared=len(candidates),
        alike=_alike(list(candidates.values())),
        required=sorted(required.values(), key=lambda row: -row["required_level"]),
        level_of=lambda person, competency: abilities[person, competency],
        place=place,
    )


def _people(levels: Rows, names: Mapping[str, str]) -> list[dict[str, Any]]:
    by_person: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for row in levels:
        by_person[row["person"]][row["competency"]] = row
    people = [{"name": name_of(person, names), "levels": rows} for person, rows in by_person.items()]
    return sorted(people, key=lambda one: str(one["name"]))


def _covered(gaps: Rows, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """How the team covers a role, with people by what they are called."""
    return [{**one, "met_by": [name_of(person, names) for person in one["met_by"]]} for one in coverage(gaps)]


def _plan(gaps: Rows, steps: Rows, names: Mapping[str, str]) -> Iterable[dict[str, Any]]:
    """Competencies that most people lack first, each with the activities that would help most of them."""
    found = []
    for rows in by_competency(gaps):
        short = expected(1 - row["p_met"] for row in rows)
        if short.mean < _LEAST_SHORT:
            continue
        by_activity: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for step in steps:
            if step["competency"] == rows[0]["competency"]:
                by_activity[step["activity_id"]].append(step)
        ordered = sorted(by_activity.values(), key=lambda of: -sum(step["worth"] for step in of))
        found.append(
            {
                **rows[0],
                "short": short,
                "activities": [
                    {
                        "id": of[0]["activity_id"],
                        "name": evidence_name(of[0]),
                        "people": [name_of(step["person"], names) for step in of],
                        "chance": sum(step["chance_of_success"] for step in of) / len(of),
                    }
                    for of in ordered[:_ACTIVITIES]
                ],
            }
        )
    return sorted(found, key=lambda one: -one["short"].mean)


def _alike(ordered: Sequence[Expected]) -> int:
    """How many of the first cannot be told apart: each differs from the first by less than 1.64 deviations (9 in 10)."""
    first = ordered[0]
    near = takewhile(lambda one: first.mean - one.mean <= 1.64 * math.hypot(first.sd, one.sd), ordered)
    return sum(1 for _ in near)
