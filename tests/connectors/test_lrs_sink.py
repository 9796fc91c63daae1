"""The LRS sink: each change is a statement there, once, by the profile; and never evidence, not even where a rule would have it."""

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
import pytest

from flows.feedback import feedback
from flows.opening import definitions
from flows.settings import Settings
from flows.sink_settings import LrsSinkSettings, SinksSettings
from flows.sinks import listed, teller
from schemas.alignment import parse_rules
from schemas.xapi import is_valid
from tests.graded import CALIBRATION, answered
from tests.levels import level, publish_levels
from tests.pipeline import Pipeline
from tests.receiver import Server
from transforms.level_statements import level_statement


@pytest.fixture
def lrs(tmp_path: Path) -> Iterator[Server]:
    one = Server(tmp_path / "lrs")
    yield one
    one.stop()


def telling(lrs: Server, folder: Path) -> Settings:
    (folder / "password").write_text(lrs.secrets["lms"])
    sink = LrsSinkSettings(
        name="records", url=f"{lrs.address}/xapi", username="lms", password_file=folder / "password",
        policy={"consent": "assumed"}, patience_seconds=0,
    )  # fmt: skip
    return Settings(home=folder / "home", sinks=SinksSettings(lrs=(sink,)))


def test_each_change_is_a_statement_once(lrs: Server, tmp_path: Path) -> None:
    settings = telling(lrs, tmp_path)
    publish_levels(settings, [level("mailto:ada@example.org", 2), level("https://lms.example.org|bob", 3)])
    assert feedback(settings)[1].told == 2
    [sink] = listed(settings)
    change = {
        **level("mailto:ada@example.org", 2),
        "person": "p",
        "told_level": None,
        "accounts": ["mailto:ada@example.org"],
        "reasons": [],
    }
    assert [reason for _, reason in teller(settings, sink).deliver([change, change])] == [
        None,
        None,
    ]  # told twice, it is one
    with lrs.client("auditor") as client:
        told = client.get("statements", params={"verb": "https://w3id.org/proficio/verbs/levelled"}).json()[
            "statements"
        ]
    assert len(told) == 3
    assert sorted(one["result"]["response"] for one in told) == ["Advanced", "Intermediate", "Intermediate"]
    assert {orjson.dumps(one["actor"]) for one in told} == {
        b'{"objectType":"Agent","mbox":"mailto:ada@example.org"}',
        b'{"objectType":"Agent","account":{"homePage":"https://lms.example.org","name":"bob"}}',
    }


def test_the_profile_describes_what_is_told() -> None:
    profile = json.loads(files("schemas").joinpath("xapi-profile.jsonld").read_text("utf-8"))
    known = {one["id"] for one in profile["concepts"]}
    change = {
        **level("mailto:ada@example.org", 2),
        "person": "p",
        "told_level": 1,
        "accounts": ["mailto:ada@example.org"],
        "reasons": [],
    }
    statement: dict[str, Any] = level_statement(change, 4, "records", "https://p.example.org")
    assert is_valid(statement, "1.0.3")
    assert is_valid(statement, "2.0")
    used = {statement["verb"]["id"], *statement["result"]["extensions"], *statement["context"]["extensions"]}
    assert used <= known
    assert statement["context"]["contextActivities"]["category"][0]["id"] == profile["versions"][0]["id"]
    [template] = [one for one in profile["templates"] if one["verb"] == statement["verb"]["id"]]
    assert template["objectActivityType"] == statement["object"]["definition"]["type"]
    assert {one["inScheme"] for one in profile["concepts"]} == {profile["versions"][0]["id"]}


def test_a_level_that_was_told_is_no_evidence_whatever_a_rule_says(tmp_path: Path) -> None:
    text = "- {name: all, match: {activity_id: 'https://*'}, competency: data-literacy, level: beginner, kind: graded, weight: 1}"
    shipped = definitions(Settings(home=tmp_path))
    rules = tuple(parse_rules(text, "rules", shipped.framework))
    pipeline = Pipeline.at(tmp_path / "home", CALIBRATION, rules=rules)
    change = {
        **level("mailto:p1@example.org", 4),
        "person": "p",
        "told_level": 1,
        "accounts": ["mailto:p1@example.org"],
        "reasons": [],
    }
    told = level_statement(change, 4, "records")
    pipeline.take([answered(1, 1, "data-literacy", 2, 1, 1), {**told, "id": "00000000-0000-4000-8000-00000000ffff"}])
    counts = {
        row["evidence_count"] for row in pipeline.levels_by_key().values() if row["competency"] == "data-literacy"
    }
    assert counts == {1}
