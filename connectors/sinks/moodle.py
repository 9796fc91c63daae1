"""Moodle: changed levels as ratings of competencies, with a note that says why, and a message to the learner if wanted."""

import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape, unescape
from itertools import chain, islice
from typing import Any, Literal, NamedTuple

from connectors.http import Pace, api
from connectors.moodle import MoodleRefusal, WebServices
from connectors.moodle_framework import competencies, frameworks, values_of_scale
from schemas.errors import SettingsError
from transforms.languages import language_of
from transforms.level_words import message, note

Change = dict[str, Any]
AT_ONCE = 100  # people looked up at once
_OVERRIDE = 3  # the action of evidence that is a rating by hand (core_competency\evidence)
_HTML = 1  # FORMAT_HTML
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class MoodleSink:
    """A Moodle whose learners are rated. `courses` are rated in, by their ids; without any, competencies as such are.

    `account` is the field of a user that an account's name at this Moodle is; `framework` an ID number (None: any framework);
    `levels` the names of the levels, that of level 0 first; `page` the address of the learner page, "" for none.
    """

    name: str
    url: str
    token: str
    levels: tuple[str, ...]
    framework: str | None = None
    account: Literal["username", "idnumber", "id", "email"] = "username"
    courses: tuple[int, ...] = ()
    messages: Literal["never", "rises", "changes"] = "never"
    overwrite_ratings: bool = False
    page: str = ""
    pace: Pace = field(default_factory=Pace)


class _Competency(NamedTuple):
    id: int
    scale: int
    values: int  # how many values its scale has, as its configuration says


class _Rating(NamedTuple):
    """How a learner is rated: the grade, whether anyone but the token's user gave it."""

    grade: int | None
    by_another: bool


def deliver(settings: MoodleSink, changes: Iterable[Change]) -> Iterator[tuple[Change, str | None]]:
    """Rate each change. What Moodle has as it should be already, from a time that broke off, is not rated or told again."""
    with api(settings.url, pace=settings.pace) as remote:
        moodle = WebServices(remote, settings.token)
        site: _Site | None = None
        rest = iter(changes)
        while some := list(islice(rest, AT_ONCE)):
            site = site or _Site(moodle, settings)
            users = _users(moodle, settings, some)
            for change in some:
                yield change, site.tell(change, users[change["person"]])


class _Site:
    """What a Moodle has: the token's own user, competencies by their ID numbers, the grade of each level."""

    def __init__(self, moodle: WebServices, settings: MoodleSink) -> None:
        self._moodle, self._settings = moodle, settings
        self._own = _own_id(moodle)
        self._competencies = _competencies(moodle, settings.framework)
        self._grades: dict[int, dict[int, int]] = {}

    def tell(self, change: Change, users: Sequence[dict[str, Any]]) -> str | None:
        """Rate a change for the users that a person is; the reason where Moodle has no place for it."""
        competency = self._competencies.get(change["competency"])
        level, told = change["reported_level"], change["told_level"]
        if competency is None:
            return f"Moodle has no competency with the ID number {change['competency']}: see proficio moodle setup."
        if not users:
            return "Moodle knows none of the person's accounts."
        if level is None:
            return "Moodle cannot take a rating back: its evidence was withdrawn, remove it by hand."
        grade = self._grades_of(competency).get(level)
        if grade is None:
            if not told:
                return None  # below the lowest level, where the scale begins: there is nothing to rate yet
            return f"The scale in Moodle has no value for {self._settings.levels[0]}."
        reasons = [
            self._rate(change, competency, grade, user, course)
            for user in users
            for course in self._settings.courses or (None,)
        ]
        return None if None in reasons else reasons[0]

    def _rate(
        self, change: Change, competency: _Competency, grade: int, user: dict[str, Any], course: int | None
    ) -> str | None:
        moodle, settings = self._moodle, self._settings
        try:
            before = self._rating(competency, user, course)
            if before.grade != grade:
                if self._is_anothers(before, change, competency) and not settings.overwrite_ratings:
                    return f"Someone rated it in Moodle by hand (grade {before.grade}): that stands."
                words = note(change, language_of([user.get("lang", "")]), self._link(change))
                place = {} if course is None else {"courseid": course}
                answer = moodle.call(
                    "core_competency_grade_competency" + ("" if course is None else "_in_course"),
                    done=lambda: self._rating(competency, user, course).grade == grade,
                    **place, userid=user["id"], competencyid=competency.id, grade=grade, note=words,
                )  # fmt: skip
                self._own = self._own or (answer and answer["actionuserid"])
            if not (before.grade == grade and before.by_another):
                self._write(change, user, again=before.grade == grade)
        except MoodleRefusal as refusal:
            return str(refusal)
        return None

    def _is_anothers(self, rating: _Rating, change: Change, competency: _Competency) -> bool:
        if rating.grade is None:
            return False
        if self._own is not None:
            return rating.by_another
        return rating.grade != self._grades_of(competency).get(change["told_level"])

    def _write(self, change: Change, user: dict[str, Any], again: bool) -> None:
        """The message to the learner. `again`: it was rated before, so it may have been written to as well."""
        wanted, told, now = self._settings.messages, change["told_level"], change["reported_level"]
        if wanted == "never" or now == told or (wanted == "rises" and told is not None and now < told):
            return
        text = f"<p>{escape(message(change, language_of([user.get('lang', '')])))}</p>"
        if link := self._link(change):
            text += f'<p><a href="{escape(link)}">{escape(link)}</a></p>'
        if again and self._was_written(user, text):
            return
        one = {"touserid": user["id"], "text": text, "textformat": _HTML}
        answer = self._moodle.call(
            "core_message_send_instant_messages", done=lambda: self._was_written(user, text), messages=[one]
        )
        for sent in answer or ():
            if reason := sent.get("errormessage"):
                _LOG.warning("%s: user %s could not be written to: %s", self._settings.name, user["id"], reason)

    def _was_written(self, user: dict[str, Any], text: str) -> bool:
        """Whether the token's user wrote this to a user lately. Without knowing who that is, it counts as not written."""
        if self._own is None:
            return False
        answer = self._moodle.call(
            "core_message_get_messages", useridto=user["id"], useridfrom=self._own, type="conversations", read=2,
            newestfirst=1, limitfrom=0, limitnum=20,
        )  # fmt: skip
        return any(_visible(one["text"]) == _visible(text) for one in answer["messages"])

    def _rating(self, competency: _Competency, user: dict[str, Any], course: int | None) -> _Rating:
        if course is None:
            found = self._moodle.call(
                "tool_lp_data_for_user_competency_summary", userid=user["id"], competencyid=competency.id
            )
        else:
            answer = self._moodle.call(
                "tool_lp_data_for_user_competency_summary_in_course",
                userid=user["id"], competencyid=competency.id, courseid=course,
            )  # fmt: skip
            found = answer["usercompetencysummary"]
        rated = found.get("usercompetency" if course is None else "usercompetencycourse") or {}
        by_hand = [one for one in found.get("evidence", ()) if one["action"] == _OVERRIDE and one["grade"]]
        newest = max(by_hand, key=lambda one: (one["timecreated"], one["id"]), default=None)
        another = newest is not None and self._own is not None and newest["actionuserid"] != self._own
        return _Rating(rated.get("grade"), another)

    def _grades_of(self, competency: _Competency) -> dict[int, int]:
        """Level → grade, the place of its value on the scale, from 1 on."""
        if competency.scale not in self._grades:
            self._grades[competency.scale] = _grades(self._moodle, competency, self._settings.levels)
        return self._grades[competency.scale]

    def _link(self, change: Change) -> str:
        return f"{self._settings.page}/levels/{change['competency']}" if self._settings.page else ""


def _own_id(moodle: WebServices) -> int | None:
    try:
        return int(moodle.call("core_webservice_get_site_info")["userid"])
    except MoodleRefusal:
        return None  # not among the functions of the token's service


def _competencies(moodle: WebServices, framework: str | None) -> dict[str, _Competency]:
    there = frameworks(moodle)
    chosen = [one for one in there if framework in (None, one["idnumber"])]
    if not chosen:
        known = ", ".join(one["idnumber"] for one in there) or "none"
        raise SettingsError(
            f"Moodle has no competency framework with the ID number {framework or 'of any kind'}; it has {known}.",
            "Make it: proficio moodle setup; or name another in sinks.moodle.framework.",
        )
    found: dict[str, _Competency] = {}
    for one in chosen:
        for competency in competencies(moodle, one["id"]):
            scale = competency if competency["scaleid"] else one
            values = len(re.findall(r'"id":', str(scale["scaleconfiguration"])))
            if competency["idnumber"] in found:
                raise SettingsError(
                    f"Several frameworks in Moodle have a competency {competency['idnumber']}.",
                    "Name the framework's ID number in sinks.moodle.framework.",
                )
            found[competency["idnumber"]] = _Competency(competency["id"], int(scale["scaleid"]), values)
    return found


def _grades(moodle: WebServices, competency: _Competency, levels: tuple[str, ...]) -> dict[int, int]:
    values = values_of_scale(moodle, competency.scale)
    if values is None and competency.values == len(levels) - 1:
        values = list(levels[1:])  # unseen: as many values as levels are the levels
    values = values or []
    places = {value.lower(): place for place, value in enumerate(values, start=1)}
    found = {level: places[name.lower()] for level, name in enumerate(levels) if name.lower() in places}
    if missing := [name for name in levels[1:] if name.lower() not in places]:
        raise SettingsError(
            f"The scale of Moodle's competencies has the values {', '.join(values) or competency.values}; "
            f"there is none for {', '.join(missing)}.",
            "Give it values named as the levels of the framework; proficio moodle setup shows how.",
        )
    return found


def _users(moodle: WebServices, settings: MoodleSink, changes: Sequence[Change]) -> dict[str, list[dict[str, Any]]]:
    """Person → the users they are there: by their accounts at this Moodle, else by their mail addresses."""
    here = re.compile(rf"{re.escape(settings.url.split('://', 1)[1].rstrip('/'))}/?\|(.+)", re.IGNORECASE | re.DOTALL)
    named: dict[str, list[str]] = {}
    mailed: dict[str, list[str]] = {}
    for change in changes:
        accounts = change["accounts"]
        matches = (here.fullmatch(one.partition("://")[2]) for one in accounts if one.startswith("http"))
        named[change["person"]] = [match[1] for match in matches if match]
        mailed[change["person"]] = [one.removeprefix("mailto:") for one in accounts if one.startswith("mailto:")]
    by_name = _looked_up(moodle, settings.account, chain.from_iterable(named.values()))
    left = {person for person, names in named.items() if not any(by_name[name] for name in names)}
    by_mail = _looked_up(moodle, "email", chain.from_iterable(mailed[person] for person in left))
    found: dict[str, list[dict[str, Any]]] = {}
    for person, names in named.items():
        mails = mailed[person] if person in left else []
        ways = [by_mail[mail] for mail in mails] or [by_name[name] for name in names]
        users = {user["id"]: user for way in ways if len(way) == 1 for user in way}  # an address of several is no one's
        found[person] = list(users.values())
    return found


def _looked_up(moodle: WebServices, field: str, values: Iterable[str]) -> defaultdict[str, list[dict[str, Any]]]:
    """Value of a field → users that have it."""
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    wanted = sorted(set(values))
    together = _asked(moodle, field, wanted)
    if together is not None and all(field in user for user in together):
        for user in together:
            for value in wanted:
                if str(user[field]).lower() == value.lower():
                    found[value].append(user)
    else:  # a value that Moodle takes amiss spoils the whole question; a field may be hidden
        for value in wanted:
            found[value] = _asked(moodle, field, [value]) or []
    return found


def _asked(moodle: WebServices, field: str, values: list[str]) -> list[dict[str, Any]] | None:
    try:
        return list(moodle.call("core_user_get_users_by_field", field=field, values=values)) if values else []
    except MoodleRefusal:
        return None


def _visible(text: str) -> str:
    """What a reader sees of HTML."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", text)).split())
