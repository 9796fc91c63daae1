"""Reading a Moodle by its web services, as a Moodle 5.1 answered them."""

import json
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl

import pytest

from connectors.sources.moodle import Moodle, events
from schemas.errors import InputError, SettingsError
from schemas.xapi import Statement, is_valid
from tests.conftest import SHARED
from tests.home import Home
from tests.http_server import REFUSALS, Answer, HttpServer


class Recorded(HttpServer):
    """Gives the recorded answer of each call. Answers may be changed; calls are kept."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        recording = json.loads((SHARED / "fixtures" / "moodle-webservice-pull.json").read_text("utf-8"))
        self._recorded = recording["calls"]
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.changed: dict[str, Any] = {}
        self.refuse: list[Answer] = []

    def _answer(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        form = dict(parse_qsl(body.decode()))
        function = form.pop("wsfunction")
        assert form.pop("moodlewsrestformat") == "json"
        if self.refuse:
            return self.refuse.pop(0)
        self.calls.append((function, dict(form)))
        return 200, {}, json.dumps(self._of(function, form)).encode()

    def _of(self, function: str, form: dict[str, str]) -> Any:
        if form.pop("wstoken") != "good-token":
            return next(one["response"] for one in self._recorded if one["note"] == "a wrong token")
        if function in self.changed:
            return self.changed[function]
        # "since" is the only argument that moves; paging of a course of four is no matter.
        sent = {key: value for key, value in form.items() if key != "since" and not key.startswith("options")}
        for one in self._recorded:
            recorded = {}
            for key, value in one["arguments"].items():
                if isinstance(value, list):
                    recorded |= {f"{key}[{number}]": str(each) for number, each in enumerate(value)}
                elif key != "since":
                    recorded[key] = str(value)
            if one["function"] == function and sent == recorded and one["note"] != "a wrong token":
                return one["response"]
        return {
            "exception": "x",
            "errorcode": "invalidrecordunknown",
            "message": f"nothing recorded for {function} {form}",
        }


@pytest.fixture
def moodle() -> Iterator[Recorded]:
    if not (SHARED / "fixtures" / "moodle-webservice-pull.json").exists():
        pytest.skip("the recorded answers of a Moodle are not here")
    one = Recorded()
    # Only the course whose contents were recorded; one learner's completion was not.
    courses = [
        {"id": 1, "format": "site", "fullname": "Test"},
        {"id": 3, "format": "topics", "fullname": "Generative models in practice"},
    ]
    one.changed = {"core_course_get_courses": courses}
    yield one
    one.close()


def read(
    moodle: Recorded, cursor: dict[str, Any] | None = None, token: str = "good-token", **changes: Any
) -> tuple[list[Statement], Any]:
    """The statements, and the cursor after the last."""
    found = list(events((Moodle("campus", moodle.url, token, **changes),), cursor))
    return [statement for statement, _ in found if statement], found[-1][1]


@pytest.fixture
def complete(moodle: Recorded) -> Recorded:
    """With the completion of each learner."""
    states = {"statuses": [{"cmid": 5, "state": 1, "timecompleted": 1795485313}, {"cmid": 4, "state": 3, "timecompleted": 1795485314},
                           {"cmid": 6, "state": 0, "timecompleted": 0}, {"cmid": 6, "state": 1, "timecompleted": 1795485313, "istrackeduser": False}]}  # fmt: skip
    moodle.changed["core_completion_get_activities_completion_status"] = states
    return moodle


def test_what_learners_did_becomes_valid_statements(complete: Recorded) -> None:
    found, _ = read(complete)
    assert all(is_valid(one) for one in found)
    by_verb: dict[str, list[Statement]] = {}
    for one in found:
        by_verb.setdefault(one["verb"]["display"]["en"], []).append(one)
    answered = by_verb["answered"]
    assert len(answered) == 4 * 3  # four attempts at three questions
    ada = [one for one in answered if one["actor"]["account"]["name"] == "ada"]
    assert [one["result"]["success"] for one in ada] == [True] * 3
    assert ada[0]["object"]["id"].endswith("/mod/quiz/view.php?id=4#question-1")
    assert ada[0]["object"]["definition"]["interactionType"] == "true-false"
    assert ada[0]["context"]["contextActivities"]["grouping"][0]["id"].endswith("/course/view.php?id=3")
    (grade,) = by_verb["scored"]
    assert grade["result"]["score"] == {"scaled": 0.825, "raw": 82.5, "min": 0, "max": 100}
    attempts = [one for one in by_verb["completed"] if "registration" in one["context"]]
    scaled = {(one["actor"]["account"]["name"], one["result"]["score"]["scaled"]) for one in attempts}
    assert scaled == {("ada", 1.0), ("grace", 0.6), ("alan", 0.0), ("alan", round(1 / 3, 6))}
    completions = [one for one in by_verb["completed"] if "registration" not in one["context"]]
    assert len(completions) == 2 * 4  # of everyone enrolled
    assert {one["result"].get("success") for one in completions} == {None, False}


def test_the_next_read_brings_only_what_changed(complete: Recorded) -> None:
    _, cursor = read(complete)
    assert set(cursor["campus"]) == {"3"}
    complete.calls.clear()
    complete.changed["core_course_get_updates_since"] = {"instances": []}
    complete.changed["mod_assign_get_grades"] = {"assignments": []}
    found, moved = read(complete, cursor)
    assert found == []
    assert moved["campus"]["3"] >= cursor["campus"]["3"]
    assert len(complete.calls) <= 8
    assert next(form for name, form in complete.calls if name == "core_course_get_updates_since")["since"] == str(
        cursor["campus"]["3"]
    )
    complete.changed["core_course_get_updates_since"] = {
        "instances": [{"id": 4, "updates": [{"name": "userattempts", "itemids": [2, 9999]}]}]
    }
    found, _ = read(complete, cursor)
    assert {one["actor"]["account"]["name"] for one in found} == {"grace"}
    assert len(found) == 4


def test_what_the_token_may_not_is_told(moodle: Recorded) -> None:
    with pytest.raises(SettingsError, match="invalidtoken") as raised:
        read(moodle, token="bad-token")
    assert "bad-token" not in str(raised.value)
    with pytest.raises(SettingsError, match="no course 7"):
        read(moodle, courses=(7,))
    moodle.changed["mod_quiz_get_attempt_review"] = {"exception": "x", "errorcode": "accessexception", "message": "no"}
    with pytest.raises(SettingsError, match="accessexception"):
        read(moodle)


def test_a_read_that_breaks_off_anywhere_loses_nothing(complete: Recorded) -> None:
    source = (Moodle("campus", complete.url, "good-token"),)
    whole = [one for one, _ in events(source, None) if one]
    for stop in (1, 5, len(whole)):
        taken = list(islice(events(source, None), stop))
        rest = list(events(source, json.loads(json.dumps(taken[-1][1]))))
        assert all(one in [each for each, _ in [*taken, *rest]] for one in whole)


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        *REFUSALS,
        ((200, {}, b"[]"), InputError, "was not expected"),
        ((200, {}, b'{"siteurl":7}'), InputError, "was not expected"),
    ],
)  # fmt: skip
def test_what_will_not_pass_is_told_and_no_secret_with_it(
    moodle: Recorded, answer: Answer, error: type[Exception], message: str
) -> None:
    moodle.refuse = [answer]
    with pytest.raises(error, match=message) as raised:
        read(moodle)
    assert "good-token" not in str(raised.value)


def test_a_rate_limit_is_waited_for(complete: Recorded) -> None:
    complete.refuse = [(429, {"Retry-After": "1"}, b"")]
    started = time.monotonic()
    assert read(complete)[0]
    assert time.monotonic() - started > 1


def rated(level: str | None, at: int, by: int = 9, **competency: str) -> dict[str, Any]:
    """A competency of a learner, in the shape of report_competency_data_for_report."""
    return {
        "usercompetencycourse": {
            "grade": None if level is None else 2, "gradename": level or "-", "proficiency": None, "proficiencyname": "-",
            "timemodified": at, "usermodified": by,
        },
        "competency": {"competency": {"shortname": "Data literacy", "idnumber": "", **competency}},
    }  # fmt: skip


def test_competencies_that_teachers_rated_arrive_where_the_token_may_read_them(complete: Recorded) -> None:
    site = {"siteurl": "https://moodle.example.org", "userid": 2, "functions": []}
    complete.changed["core_webservice_get_site_info"] = site
    assert {one["verb"]["display"]["en"] for one in read(complete)[0]} == {"answered", "scored", "completed"}
    names = ["core_competency_list_course_competencies", "report_competency_data_for_report"]
    site["functions"] = [{"name": name} for name in names]
    complete.changed[names[0]] = [{"competency": {"id": 1}}]
    ratings = [rated("Advanced", 1795485313, idnumber="machine-learning"), rated("Not yet competent", 1795485000),
               rated(None, 0, idnumber="ethics-bias"), rated("Master", 1795485000, by=2, idnumber="scalability")]  # fmt: skip
    complete.changed[names[1]] = {"usercompetencies": ratings}
    found, cursor = read(complete)
    assert all(is_valid(one) for one in found)
    told = [one for one in found if one["verb"]["id"] == "https://w3id.org/proficio/verbs/rated"]
    assert len(told) == 2 * 4
    assert {one["object"]["id"].removeprefix("https://moodle.example.org/competencies/") for one in told} == {
        "machine-learning/levels/advanced", "data-literacy/levels/not-yet-competent",
    }  # fmt: skip
    complete.changed["core_course_get_updates_since"] = {"instances": []}
    complete.changed["mod_assign_get_grades"] = {"assignments": []}
    assert read(complete, cursor)[0] == []
    complete.changed[names[1]] = {"exception": "coding_exception", "errorcode": "codingerror", "message": "invaliduser"}
    assert {one["verb"]["display"]["en"] for one in read(complete)[0]} == {"completed"}  # all are teachers, none rated
    complete.changed[names[0]] = []
    complete.calls.clear()
    read(complete)
    assert names[1] not in {name for name, _ in complete.calls}


def test_it_is_read_by_the_command(complete: Recorded, home: Home) -> None:
    (home.folder / "token").write_text("good-token\n")
    toml = home.folder / "proficio.toml"
    toml.write_text(
        toml.read_text("utf-8")
        + f'\n[[sources.moodle]]\nname = "campus"\nurl = "{complete.url}"\ntoken_file = "token"\n'
    )
    appended = json.loads(home("pull", "moodle", "--json"))["appended"]
    home("land")
    assert len(home.rows()) == appended > 20
