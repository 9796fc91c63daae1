"""What Moodle's web services tell, as statements. Accounts are those of Moodle's xAPI plugin: site and user name.

Statements have no id: landing gives them one from their content, so what is read twice is one, and a new grade another.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from uuid import uuid5

from schemas.xapi import Statement
from transforms.commits import VOCABULARY
from transforms.statements import NAMESPACE

_ADL = "http://adlnet.gov/expapi"
_INTERACTIONS = {
    "truefalse": "true-false", "multichoice": "choice", "calculatedmulti": "choice", "numerical": "numeric",
    "calculated": "numeric", "shortanswer": "fill-in", "essay": "long-fill-in", "match": "matching", "ordering": "sequencing",
}  # fmt: skip
_TYPES = {
    "quiz": f"{_ADL}/activities/assessment", "assign": f"{_ADL}/activities/assessment", "lesson": f"{_ADL}/activities/lesson",
    "scorm": f"{_ADL}/activities/course", "forum": "http://id.tincanapi.com/activitytype/discussion",
    "page": "http://activitystrea.ms/schema/1.0/page", "url": f"{_ADL}/activities/link",
}  # fmt: skip
_PASSED, _FAILED = 2, 3  # completion states besides 1, complete


class Course:
    """A course of a site, as what activities stand in."""

    def __init__(self, site: str, course: dict[str, Any]) -> None:
        self.site, self.id = site.rstrip("/"), int(course["id"])
        self.activity = {
            "id": f"{self.site}/course/view.php?id={self.id}",
            "definition": {"type": f"{_ADL}/activities/course", "name": {"en": course["fullname"]}},
        }

    def module(self, kind: str, module_id: int, name: str) -> dict[str, Any]:
        """An activity of the course, by the id of its course module."""
        return {
            "objectType": "Activity",
            "id": f"{self.site}/mod/{kind}/view.php?id={module_id}",
            "definition": {"type": _TYPES.get(kind, f"{_ADL}/activities/module"), "name": {"en": name}},
        }


def attempt(
    course: Course, quiz: dict[str, Any], learner: dict[str, Any], review: dict[str, Any]
) -> Iterator[Statement]:
    """The questions that were marked in a finished attempt at a quiz, and the attempt."""
    of = review["attempt"]
    if of["state"] != "finished" or of.get("preview"):
        return
    whole = course.module("quiz", quiz["id"], quiz["name"])
    registration = str(uuid5(NAMESPACE, f"{course.site}/mod/quiz/attempt/{of['id']}"))
    for question in review["questions"]:
        mark, most = _number(question.get("mark")), _number(question.get("maxmark"))
        if mark is None or not most:
            continue  # a description, or an essay that nobody has marked yet
        definition = {
            "type": f"{_ADL}/activities/cmi.interaction", "interactionType": _INTERACTIONS.get(question["type"], "other"),
            "name": {"en": f"{quiz['name']}, question {question.get('questionnumber') or question['slot']}"},
        }  # fmt: skip
        yield _statement(
            course, learner, f"{_ADL}/verbs/answered", "answered",
            {"objectType": "Activity", "id": f"{whole['id']}#question-{question['slot']}", "definition": definition},
            question.get("lastactiontime") or of["timefinish"],
            {"score": _score(mark, most), **({"success": mark >= most} if mark in (0, most) else {})}, registration, whole,
        )  # fmt: skip
    result: dict[str, Any] = {"completion": True}
    marks = [one for one in (_number(question.get("maxmark")) for question in review["questions"]) if one]
    if of.get("sumgrades") is not None and marks:
        result["score"] = _score(float(of["sumgrades"]), sum(marks))
    yield _statement(
        course, learner, f"{_ADL}/verbs/completed", "completed", whole, of["timefinish"], result, registration
    )


def grade(
    course: Course, assignment: dict[str, Any], learner: dict[str, Any], given: dict[str, Any]
) -> Iterator[Statement]:
    """A grade of an assignment; none where it is not given yet, or is one of a scale's words."""
    value, most = _number(given["grade"]), _number(assignment["grade"])
    if value is None or value < 0 or most is None or most <= 0:
        return
    yield _statement(
        course, learner, f"{_ADL}/verbs/scored", "scored", course.module("assign", assignment["cmid"], assignment["name"]),
        given["timemodified"], {"score": _score(value, most)},
    )  # fmt: skip


def completion(
    course: Course, module: dict[str, Any], learner: dict[str, Any], status: dict[str, Any]
) -> Iterator[Statement]:
    """An activity completed, with success where Moodle says passed or failed."""
    if not status["state"] or not status.get("istrackeduser", True):  # teachers are not tracked
        return
    result: dict[str, Any] = {"completion": True}
    if status["state"] in (_PASSED, _FAILED):
        result["success"] = status["state"] == _PASSED
    activity = course.module(module["modname"], module["id"], module["name"])
    yield _statement(course, learner, f"{_ADL}/verbs/completed", "completed", activity, status["timecompleted"], result)


def rating(course: Course, learner: dict[str, Any], given: dict[str, Any]) -> Iterator[Statement]:
    """What a learner was rated as in a competency of the course, by the names of its scale; none where nobody has rated."""
    rated, competency = given["usercompetencycourse"], given["competency"]["competency"]
    if rated.get("grade") is None:
        return
    name, level = competency.get("idnumber") or competency["shortname"], rated["gradename"]
    activity = {
        "objectType": "Activity",
        "id": f"{course.site}/competencies/{_word(name)}/levels/{_word(level)}",
        "definition": {
            "type": f"{VOCABULARY}/activity-types/competency", "name": {"en": f"{competency['shortname']}: {level}"},
        },
    }  # fmt: skip
    result = {"success": True, "response": level}
    yield _statement(course, learner, f"{VOCABULARY}/verbs/rated", "rated", activity, rated["timemodified"], result)


def _word(name: str) -> str:
    """A name as it stands in an IRI: "Not yet competent" is not-yet-competent."""
    return quote(re.sub(r"[\W_]+", "-", name.casefold()).strip("-"))


def _statement(
    course: Course, learner: dict[str, Any], verb: str, display: str, thing: dict[str, Any], seconds: int, result: dict[str, Any],
    registration: str | None = None, parent: dict[str, Any] | None = None,
) -> Statement:  # fmt: skip
    return {
        "actor": {
            "objectType": "Agent", "name": learner["fullname"], "account": {"homePage": course.site, "name": learner["username"]},
        },
        "verb": {"id": verb, "display": {"en": display}},
        "object": thing,
        "result": result,
        "context": {
            "platform": "Moodle",
            **({"registration": registration} if registration else {}),
            "contextActivities": {**({"parent": [parent]} if parent else {}), "grouping": [course.activity]},
        },
        "timestamp": datetime.fromtimestamp(seconds, UTC).isoformat(),
    }  # fmt: skip


def _score(raw: float, most: float) -> dict[str, float]:
    """A score; marks beyond the most (bonus) or below none (penalties) are told as these."""
    raw = min(max(raw, 0.0), most)
    return {"scaled": round(raw / most, 6), "raw": raw, "min": 0, "max": most}


def _number(value: Any) -> float | None:
    """A number, which Moodle writes as one or as text, with the decimal sign of the token's language; None for none."""
    try:
        return float(value.replace(",", ".") if isinstance(value, str) else value)
    except (TypeError, ValueError):
        return None
