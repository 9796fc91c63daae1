"""The Moodle sink: the right rating, once, whatever fails; never over a human's; messages to those who are to have them."""

import csv
import json
import random
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import stamina

from connectors.consents import say
from flows.feedback import feedback, forget, refused
from flows.frameworks import set_up_moodle
from flows.opening import definitions
from flows.settings import PagesSettings, Settings
from flows.sink_settings import MoodleSinkSettings, SinksSettings
from schemas.errors import SettingsError, UnavailableError
from schemas.policy import Policy
from tests.conftest import SHARED
from tests.home import Home
from tests.levels import START, level, publish_levels
from tests.moodle import OWN, TOKEN, Moodle


@pytest.fixture
def moodle() -> Iterator[Moodle]:
    one = Moodle(["data-literacy", "model-training"])
    yield one
    one.close()


def rating(moodle: Moodle, folder: Path, **changes: Any) -> Settings:
    (folder / "token").write_text(TOKEN)
    sink = {"url": moodle.url, "policy": {"consent": "assumed"}, "patience_seconds": 30, **changes}
    one = MoodleSinkSettings(name="campus", token_file=folder / "token", **sink)
    return Settings(home=folder / "home", sinks=SinksSettings(moodle=(one,)))


def test_a_level_becomes_a_rating_with_a_note_once(moodle: Moodle, tmp_path: Path) -> None:
    settings = rating(moodle, tmp_path).model_copy(update={"pages": PagesSettings(url="https://p.example.org")})
    moodle.enrol("ada")
    moodle.enrol("bob", lang="de")
    publish_levels(settings, [level(f"{moodle.url}|ada", 2), level("mailto:bob@example.org", 3, 0.7)])
    assert feedback(settings)[1].told == 2
    assert (moodle.rated("ada", "data-literacy"), moodle.rated("bob", "data-literacy")) == ("Intermediate", "Advanced")
    notes = {one["userid"]: one["note"] for one in moodle.evidence}
    assert notes[10] == (
        "Intermediate in Data literacy, very likely (90\u00a0%). It rests on 12 pieces of evidence, the newest of January 13, 2026. "
        "Why: https://p.example.org/levels/data-literacy"
    )
    assert "wahrscheinlich (70\u00a0%)" in notes[11]
    before = moodle.calls.total()
    assert feedback(settings)[1].told == 0
    assert moodle.calls.total() == before
    publish_levels(settings, [level(f"{moodle.url}|ada", 4), level("mailto:bob@example.org", 3, 0.7)])
    assert feedback(settings)[1].told == 1
    assert [one["grade"] for one in moodle.evidence if one["userid"] == 10] == [2, 4]
    assert moodle.messages == []  # no one asked for them


def test_nothing_is_told_of_who_did_not_agree(moodle: Moodle, tmp_path: Path) -> None:
    settings = rating(moodle, tmp_path, policy={})
    for name in ("ada", "bob", "eve"):
        moodle.enrol(name)
    publish_levels(settings, [level(f"mailto:{name}@example.org", 2) for name in ("ada", "bob", "eve")])
    assert feedback(settings)[1].waiting == {"no consent": 3}
    say(settings.home / "consents.db", "mailto:ada@example.org", "campus", True, "test")
    say(settings.home / "consents.db", "mailto:bob@example.org", "*", True, "test")
    say(settings.home / "consents.db", "mailto:eve@example.org", "another", True, "test")
    assert feedback(settings)[1].told == 2
    assert moodle.rated("eve", "data-literacy") is None
    say(settings.home / "consents.db", "mailto:ada@example.org", "campus", False, "test")
    publish_levels(settings, [level(f"mailto:{name}@example.org", 3) for name in ("ada", "bob", "eve")])
    assert feedback(settings)[1].told == 1
    assert (moodle.rated("ada", "data-literacy"), moodle.rated("bob", "data-literacy")) == ("Intermediate", "Advanced")


def test_what_someone_rated_by_hand_stands_unless_allowed(moodle: Moodle, tmp_path: Path) -> None:
    settings = rating(moodle, tmp_path)
    ada, bob = moodle.enrol("ada"), moodle.enrol("bob")
    moodle.rate(ada, 1, 1, by=7)
    publish_levels(settings, [level("mailto:ada@example.org", 2), level("mailto:bob@example.org", 2)])
    assert feedback(settings)[1].refused == 1
    assert "by hand (grade 1)" in refused(settings)[0]["reason"]
    moodle.rate(bob, 1, 2, by=7)  # the same as ours, but a person stands behind it now
    publish_levels(settings, [level("mailto:ada@example.org", 2), level("mailto:bob@example.org", 3)])
    assert feedback(settings)[1].refused == 1
    assert (moodle.rated("ada", "data-literacy"), moodle.rated("bob", "data-literacy")) == ("Beginner", "Intermediate")
    allowed = rating(moodle, tmp_path, overwrite_ratings=True)
    forget(allowed, START)
    assert feedback(allowed)[1].told == 2
    assert (moodle.rated("ada", "data-literacy"), moodle.rated("bob", "data-literacy")) == ("Intermediate", "Advanced")


def test_it_rates_in_courses_and_tells_learners_who_rose(moodle: Moodle, tmp_path: Path) -> None:
    moodle.enrol("ada", lang="fr")
    account = f"{moodle.url.replace('127.0.0.1', 'LOCALHOST')}/|ada"  # a home page is written this way or that
    settings = rating(
        moodle, tmp_path, courses=(3,), messages="rises", url=moodle.url.replace("127.0.0.1", "localhost")
    )
    publish_levels(settings, [level(account, 2)])
    assert feedback(settings)[1].told == 1
    assert (moodle.rated("ada", "data-literacy", 3), moodle.rated("ada", "data-literacy")) == ("Intermediate", None)
    [first] = moodle.written_to("ada")
    assert "Vous avez atteint" in first
    publish_levels(settings, [level(account, 1)])
    assert feedback(settings)[1].told == 1
    assert moodle.rated("ada", "data-literacy", 3) == "Beginner"
    assert moodle.written_to("ada") == [first]


def test_whom_and_what_moodle_does_not_know_is_said(moodle: Moodle, tmp_path: Path) -> None:
    settings = rating(moodle, tmp_path)
    moodle.enrol("ada")
    moodle.enrol("one", email="both@example.org")
    moodle.enrol("two", email="both@example.org")
    rows = [
        level("mailto:nobody@example.org", 2), level("mailto:both@example.org", 2), level("https://other.example.org|ada", 2),
        level("mailto:ada@example.org", 2, competency="scalability"), level("mailto:ada@example.org", 0),
    ]  # fmt: skip
    publish_levels(settings, rows)
    told = feedback(settings)[1]
    assert (told.told, told.refused) == (1, 4)  # below the lowest level there is nothing to rate
    reasons = sorted(one["reason"][:40] for one in refused(settings))
    assert reasons == ["Moodle has no competency with the ID num", *["Moodle knows none of the person's accoun"] * 3]
    assert moodle.evidence == []
    publish_levels(settings, [level("mailto:ada@example.org", 1)])
    assert feedback(settings)[1].told == 1
    publish_levels(settings, [level("mailto:ada@example.org", 0)])
    assert feedback(settings)[1].refused == 1  # the scale has nothing below
    assert moodle.rated("ada", "data-literacy") == "Beginner"


def test_a_user_name_that_moodle_takes_amiss_spoils_no_other(moodle: Moodle, tmp_path: Path) -> None:
    settings = rating(moodle, tmp_path)
    moodle.enrol("ada")
    publish_levels(settings, [level(f"{moodle.url}|ada", 2), level(f"{moodle.url}|BOB <b>", 2)])
    told = feedback(settings)[1]
    assert (told.told, told.refused) == (1, 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scale": ("Not yet", "Competent")}, "there is none for Beginner"),
        ({"competencies": []}, None),
    ],
)
def test_another_framework_or_scale_is_told_before_anything_is_rated(
    tmp_path: Path, changes: dict[str, Any], words: str | None
) -> None:
    moodle = Moodle(**{"competencies": ["data-literacy"], **changes})
    moodle.enrol("ada")
    settings = rating(moodle, tmp_path, **({"framework": "other"} if words is None else {}))
    publish_levels(settings, [level("mailto:ada@example.org", 2)])
    with pytest.raises(SettingsError, match=words or "it has genai"):
        feedback(settings)
    assert moodle.evidence == []
    moodle.close()


def test_a_wrong_token_is_told_and_no_secret_with_it(moodle: Moodle, tmp_path: Path) -> None:
    settings = rating(moodle, tmp_path)
    moodle.enrol("ada")
    publish_levels(settings, [level("mailto:ada@example.org", 2)])
    (tmp_path / "token").write_text("another token")
    with pytest.raises(SettingsError, match="invalidtoken") as told:
        feedback(settings)
    assert "another token" not in str(told.value)


def test_a_scale_with_more_values_is_read_by_their_names(tmp_path: Path) -> None:
    moodle = Moodle(["data-literacy"], scale=("Below beginner", "beginner", "Intermediate", "Advanced", "Master"))
    moodle.enrol("ada")
    settings = rating(moodle, tmp_path)
    publish_levels(settings, [level("mailto:ada@example.org", 0)])
    feedback(settings)
    assert moodle.rated("ada", "data-literacy") == "Below beginner"
    publish_levels(settings, [level("mailto:ada@example.org", 2)])
    feedback(settings)
    assert moodle.rated("ada", "data-literacy") == "Intermediate"
    moodle.close()


def test_with_the_recorded_functions_alone_it_rates_too(tmp_path: Path) -> None:
    path = SHARED / "fixtures" / "moodle-webservice-calls.json"
    if not path.exists():
        pytest.skip("the recorded calls of a Moodle are not here")
    recorded = json.loads(path.read_text("utf-8"))["calls"]
    moodle = Moodle(["data-literacy"], functions={one["function"] for one in recorded})
    ada, bob = moodle.enrol("ada"), moodle.enrol("bob")
    moodle.rate(bob, 1, 4, by=7)
    settings = rating(moodle, tmp_path, messages="changes")
    publish_levels(settings, [level("mailto:ada@example.org", 2), level("mailto:bob@example.org", 2)])
    told = feedback(settings)[1]
    assert (told.told, told.refused, len(moodle.written_to("ada"))) == (1, 1, 1)
    assert moodle.grades[ada, 1, 0] == 2
    moodle.close()


def test_the_server_of_these_tests_answers_as_a_moodle_does() -> None:
    path = SHARED / "fixtures" / "moodle-webservice-calls.json"
    if not path.exists():
        pytest.skip("the recorded calls of a Moodle are not here")
    moodle = Moodle(["model-training", "data-literacy"])
    for name in ("a", "b", "c", "ada2"):
        moodle.enrol(name)
    moodle.users["ada2"]["id"] = 7
    compared = 0
    for one in json.loads(path.read_text("utf-8"))["calls"]:
        form = {}
        for key, value in one["arguments"].items():
            if key == "messages":
                form |= {f"messages[0][{name}]": str(each) for name, each in value[0].items()}
            elif key == "filters":
                form |= {f"filters[0][{name}]": str(each) for name, each in value[0].items()}
            elif key == "context":
                form["context[contextlevel]"] = value["contextlevel"]
            elif isinstance(value, list):
                form |= {f"{key}[{place}]": str(each) for place, each in enumerate(value)}
            else:
                form[key] = str(value)
        if "exception" in one["response"] and one["response"]["errorcode"] in ("invalidtoken", "invalidparameter"):
            continue
        answer = moodle._call(one["function"], form)
        compared += 1
        if isinstance(answer, dict) and "exception" in answer:
            assert answer == one["response"], one["function"]
            continue
        ours, theirs = (each[0] if isinstance(each, list) and each else each for each in (answer, one["response"]))
        if isinstance(ours, dict):
            assert {key for key in ours if key not in ("userid", "competencyid", "courseid")} <= theirs.keys(), one[
                "function"
            ]
    assert compared >= 12
    moodle.close()


def test_a_rating_that_broke_off_is_set_right_where_the_level_is_back(moodle: Moodle, tmp_path: Path) -> None:
    settings = rating(moodle, tmp_path, messages="changes", patience_seconds=0)
    moodle.enrol("ada")
    publish_levels(settings, [level("mailto:ada@example.org", 2)])
    feedback(settings)
    moodle.fault = lambda function: "after" if "grade" in function else None
    publish_levels(settings, [level("mailto:ada@example.org", 3, pieces=13)])
    with pytest.raises(UnavailableError):
        feedback(settings)
    assert moodle.rated("ada", "data-literacy") == "Advanced"  # the ledger knows nothing of it
    moodle.fault = lambda function: None
    publish_levels(settings, [level("mailto:ada@example.org", 2, pieces=14)])
    feedback(settings)
    assert moodle.rated("ada", "data-literacy") == "Intermediate"
    assert len(moodle.written_to("ada")) == 1


def test_moodle_is_asked_no_faster_than_it_may_be(moodle: Moodle, tmp_path: Path) -> None:
    settings = rating(moodle, tmp_path, per_second=40)
    for number in range(8):
        moodle.enrol(f"p{number}")
    publish_levels(settings, [level(f"mailto:p{number}@example.org", 2) for number in range(8)])
    begun = time.monotonic()
    assert feedback(settings)[1].told == 8
    assert time.monotonic() - begun >= (moodle.calls.total() - 1) / 40


@pytest.fixture
def without_waiting() -> Iterator[None]:
    stamina.set_testing(True, attempts=1000)
    yield
    stamina.set_testing(False)


@pytest.mark.usefixtures("without_waiting")
def test_each_is_rated_and_written_to_once_whatever_fails(moodle: Moodle, tmp_path: Path) -> None:
    settings = rating(moodle, tmp_path, messages="changes", timeout_seconds=0.2, patience_seconds=5)
    draw = random.Random(3)
    people = [f"p{number}" for number in range(60)]
    for name in people:
        moodle.enrol(name)
    moodle.slow_seconds = 0.4
    faults = ["before", "after", "busy", "slow", None, None, None, None, None, None]
    moodle.fault = lambda function: draw.choice(faults)
    levels = {name: draw.randint(1, 4) for name in people}
    for _ in range(2):
        publish_levels(settings, [level(f"mailto:{name}@example.org", levels[name], pieces=_ + 5) for name in people])
        for _ in range(20):
            try:
                feedback(settings)
                break
            except UnavailableError:
                continue
        assert {name: moodle.rated(name, "data-literacy") for name in people} == {
            name: moodle.scales[5][levels[name] - 1] for name in people
        }
        changed = {name: draw.randint(1, 4) for name in people}
        expected = {name: len(moodle.written_to(name)) + (changed[name] != levels[name]) for name in people}
        levels = changed
    publish_levels(settings, [level(f"mailto:{name}@example.org", levels[name], pieces=30) for name in people])
    moodle.fault = lambda function: None
    feedback(settings)
    assert {name: len(moodle.written_to(name)) for name in people} == expected
    by_user = [one["userid"] for one in moodle.evidence]
    assert len(by_user) == len(moodle.messages) == sum(expected.values())
    assert moodle.evidence[0]["actionuserid"] == OWN


@pytest.mark.usefixtures("without_waiting")
def test_the_framework_is_set_up_once_whatever_fails(moodle: Moodle, tmp_path: Path) -> None:
    settings = rating(moodle, tmp_path, framework="generative-ai")
    moodle.scales = {2: ("Not yet competent", "Competent"), 5: moodle.scales[5]}
    ids = [one.id for group in definitions(settings).framework.groups for one in (group, *group.competencies)]
    turn = cycle(["after", None, None, "before", None])
    moodle.fault = lambda function: next(turn)
    done = set_up_moodle(settings, None, None)
    assert (done.made, done.there, done.scale) == (len(ids), 0, 5)
    assert list(moodle.competencies.values()) == ids
    assert set_up_moodle(settings, "campus", None).made == 0
    moodle.fault = lambda function: None
    moodle.enrol("ada")
    publish_levels(settings, [level("mailto:ada@example.org", 2)])
    assert feedback(settings)[1].told == 1


def test_a_scale_that_is_missing_is_told(moodle: Moodle, home: Home) -> None:
    moodle.scales, moodle.frameworks = {2: ("Not yet competent", "Competent")}, []
    (home.folder / "token").write_text(TOKEN)
    assert "the settings have none" in home("moodle", "setup", expect=3)
    with (home.folder / "proficio.toml").open("a") as file:
        file.write(f'\n[[sinks.moodle]]\nname = "campus"\nurl = "{moodle.url}"\ntoken_file = "token"\n')
    told = home("moodle", "setup", expect=4)
    assert "no scale with the values Beginner, Intermediate, Advanced, Master" in told
    home("moodle", "setup", "--csv", "framework.csv")
    rows = list(csv.DictReader((home.folder / "framework.csv").read_text("utf-8").splitlines()))
    assert rows[0]["Scale values"] == "Beginner,Intermediate,Advanced,Master"
    assert json.loads(rows[0]["Scale configuration"])[1] == {"id": 1, "scaledefault": 1, "proficient": 0}
    assert len([row for row in rows if row["Parent ID number"]]) == 14
    assert {row["Parent ID number"] for row in rows} <= {row["ID number"] for row in rows} | {""}


def test_the_default_policy_asks_for_consent() -> None:
    assert Policy().consent == "required"
