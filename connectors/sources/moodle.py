"""Moodle without a plugin: what learners did in its courses, by its web services (REST, JSON)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from connectors.http import Pace, api
from connectors.moodle import MoodleRefusal, WebServices
from connectors.sources.several import in_turn
from schemas.errors import SettingsError
from schemas.xapi import Statement
from transforms import moodle as told

_ANY = "any"  # course that a cursor has no entry for
_AT_ONCE = 1_000  # learners asked for at once
_LISTING, _RATINGS = "core_competency_list_course_competencies", "report_competency_data_for_report"


@dataclass(frozen=True)
class Moodle:
    """One Moodle: its name here, its address, a token of its web service, the ids of the courses to read (none: all)."""

    name: str
    url: str
    token: str
    courses: tuple[int, ...] = ()
    patience_seconds: float = 600


def events(
    settings: tuple[Moodle, ...], cursor: dict[str, Any] | None
) -> Iterator[tuple[Statement | None, dict[str, Any]]]:
    """Answers to quiz questions, quiz attempts, grades of assignments, completions and rated competencies since the last read.

    The cursor is {name: {course id: seconds since 1970, by Moodle's clock}}. A course's moves after its last statement:
    a read that broke off starts that course again and sends the same statements.
    """
    cursors: dict[str, dict[str, int]] = dict(cursor or {})

    def of_one(one: Moodle) -> Iterator[tuple[Statement | None, dict[str, Any]]]:
        with api(one.url, pace=Pace(patience_seconds=one.patience_seconds)) as remote:
            moodle = WebServices(remote, one.token)
            site, now = moodle.call_at("core_webservice_get_site_info")
            rated = {_LISTING, _RATINGS} <= {function["name"] for function in site.get("functions", ())}
            for course in _courses(moodle, one):
                own = cursors.get(one.name, {})
                since = own.get(str(course["id"]), own.get(_ANY, 0))
                place = told.Course(site["siteurl"], course)
                learners = {each["id"]: each for each in _learners(moodle, place.id)}
                for statement in _of_course(moodle, place, learners, since):
                    yield statement, dict(cursors)
                for statement in _ratings(moodle, place, learners, since, site["userid"]) if rated else ():
                    yield statement, dict(cursors)
                cursors[one.name] = {**own, str(course["id"]): now}
                yield None, dict(cursors)

    return in_turn(settings, of_one)


def cursor_at(settings: tuple[Moodle, ...], moment: datetime) -> dict[str, Any]:
    """The cursor of a read that had come up to a moment."""
    return {one.name: {_ANY: int(moment.timestamp())} for one in settings}


def _courses(moodle: WebServices, settings: Moodle) -> list[dict[str, Any]]:
    courses = moodle.call("core_course_get_courses")
    chosen = [
        one
        for one in courses
        if one.get("format") != "site" and (not settings.courses or one["id"] in settings.courses)
    ]
    missing = set(settings.courses) - {one["id"] for one in chosen}
    if missing:
        raise SettingsError(
            f"Moodle {settings.name} shows no course {', '.join(map(str, sorted(missing)))}.",
            "Check courses, and what the token may see.",
        )
    return sorted(chosen, key=lambda one: int(one["id"]))


class _Changed(NamedTuple):
    """Quiz attempts that changed since, and whether anything in the course did."""

    attempts: list[int]
    anything: bool


def _of_course(
    moodle: WebServices, course: told.Course, learners: dict[int, dict[str, Any]], since: int
) -> Iterator[Statement]:
    changed = _changes(moodle, course.id, since)
    contents = moodle.call("core_course_get_contents", courseid=course.id)
    modules = {module["id"]: module for section in contents for module in section["modules"]}
    quizzes = {module["instance"]: module for module in modules.values() if module["modname"] == "quiz"}
    for attempt in changed.attempts:
        try:
            review = moodle.call("mod_quiz_get_attempt_review", attemptid=attempt)
        except MoodleRefusal:
            continue  # not finished yet, or taken away since: it comes again when it changes
        learner, quiz = learners.get(review["attempt"]["userid"]), quizzes.get(review["attempt"]["quiz"])
        if learner and quiz:
            yield from told.attempt(course, quiz, learner, review)
    yield from _grades(moodle, course, learners, since)
    for learner in learners.values():
        if changed.anything or not since or learner.get("lastcourseaccess", 0) >= since:
            statuses = moodle.call(
                "core_completion_get_activities_completion_status",
                courseid=course.id,
                userid=learner["id"],
            )
            for status in statuses["statuses"]:
                if status["cmid"] in modules and status["timecompleted"] >= max(since, 1):
                    yield from told.completion(course, modules[status["cmid"]], learner, status)


def _changes(moodle: WebServices, course: int, since: int) -> _Changed:
    answer = moodle.call("core_course_get_updates_since", courseid=course, since=max(since, 1))
    attempts = {
        attempt
        for instance in answer["instances"]
        for update in instance["updates"]
        if update["name"] in ("attempts", "userattempts")
        for attempt in update.get("itemids", ())
    }
    return _Changed(sorted(attempts), bool(answer["instances"]))


def _learners(moodle: WebServices, course: int) -> Iterator[dict[str, Any]]:
    start = 0
    while True:
        paging = [{"name": "limitfrom", "value": start}, {"name": "limitnumber", "value": _AT_ONCE}]
        users = moodle.call("core_enrol_get_enrolled_users", courseid=course, options=paging)
        yield from users
        if len(users) < _AT_ONCE:
            return
        start += _AT_ONCE


def _grades(
    moodle: WebServices, course: told.Course, learners: dict[int, dict[str, Any]], since: int
) -> Iterator[Statement]:
    # Without includenotenrolledcourses a token whose user is not enrolled gets a warning in place of assignments.
    answer = moodle.call("mod_assign_get_assignments", courseids=[course.id], includenotenrolledcourses=1)
    assignments = {one["id"]: one for each in answer["courses"] for one in each["assignments"]}
    if not assignments:
        return
    answer = moodle.call("mod_assign_get_grades", assignmentids=sorted(assignments), since=since)
    for graded in answer["assignments"]:
        for grade in graded["grades"]:
            if grade["userid"] in learners:
                yield from told.grade(course, assignments[graded["assignmentid"]], learners[grade["userid"]], grade)


def _ratings(
    moodle: WebServices, course: told.Course, learners: dict[int, dict[str, Any]], since: int, own: int
) -> Iterator[Statement]:
    """What teachers rated since, in a course that has competencies. Moodle tells of no change: each learner is asked for.

    What the token's own user rated (`own`) is left out: it is what proficio says, and no evidence of it.
    """
    try:
        competencies = moodle.call(_LISTING, id=course.id)
    except MoodleRefusal:
        return  # competencies are switched off there, or the token's user may not see them
    for learner in learners.values() if competencies else ():
        try:
            report = moodle.call(_RATINGS, courseid=course.id, userid=learner["id"], moduleid=0)
        except MoodleRefusal:
            continue  # a teacher, say, who is enrolled and not rated
        for given in report["usercompetencies"]:
            rated = given["usercompetencycourse"]
            if int(rated.get("timemodified") or 0) >= max(since, 1) and rated.get("usermodified") != own:
                yield from told.rating(course, learner, given)
