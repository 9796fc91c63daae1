"""The marts on a small organisation whose every number can be said in advance."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from connectors import warehouse
from flows.daily import daily
from flows.land import land
from flows.opening import definitions, event_log, identities
from flows.publish import MARTS
from flows.settings import IdentitySettings, Settings
from schemas.criteria import parse_criteria
from schemas.records import STATEMENTS, Record
from tests.pipeline import Pipeline
from transforms.calibration import Calibration
from transforms.estimator import Evidence, Parameters, estimate, fold

NOW = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
CRITERIA = """
- id: reviewed
  name: Reviewed work
  description: Two reviewed pieces of work, or a mark of 90 %.
  competency: programming-skills
  level: advanced
  needs:
    any:
      - evidence: {kind: [reviewed, judged], count: 2}
      - all:
          - evidence: {kind: [graded], outcome: 0.9, level: intermediate}
          - evidence: {activity: "*/programming-skills/master/*", outcome: 0.5}
"""


def answered(
    number: int, person: str, competency: str, level: str, right: bool, days_ago: float, activity: int
) -> dict[str, Any]:
    return {
        "id": f"00000000-0000-4000-8000-{number:012x}",
        "actor": {"mbox": f"mailto:{person}@example.org"},
        "verb": {"id": "http://adlnet.gov/expapi/verbs/answered"},
        "object": {"id": f"https://lms.example.org/{competency}/{level}/{activity}",
                   "definition": {"name": {"en": f"{competency} {level} {activity}"}}},
        "result": {"success": right},
        "timestamp": (NOW - timedelta(days=days_ago)).isoformat(),
    }  # fmt: skip


def notebook(number: int, person: str, days_ago: float) -> dict[str, Any]:
    return answered(number, person, "x", "x", True, days_ago, 1) | {
        "object": {
            "id": "https://www.kaggle.com/code/ada/eda",
            "definition": {"type": "https://w3id.org/proficio/activity-types/notebook"},
        }
    }


def merged(number: int, person: str, days_ago: float) -> dict[str, Any]:
    return answered(number, person, "x", "x", True, days_ago, 1) | {
        "object": {"id": f"https://github.com/team/app/pull/{number}",
                   "definition": {"type": "https://w3id.org/proficio/activity-types/pull-request"}},
        "context": {"extensions": {"https://w3id.org/proficio/extensions/features": ["state:merged", "language:Python"]}},
    }  # fmt: skip


STATEMENT_SETS = [
    [answered(n, "ada", "programming-skills", "advanced", True, 70 - 2 * n, n) for n in range(12)]
    + [answered(100 + n, "alan", "programming-skills", "advanced", n % 4 == 0, 70 - 2 * n, n) for n in range(12)]
    + [answered(200 + n, "ada", "data-literacy", "intermediate", True, 40 - 2 * n, n) for n in range(6)]
    + [{**answered(300, "ada", "x", "x", True, 1, 1), "verb": {"id": "https://example.org/verbs/pondered"}}],
    [merged(400, "ada", 3), notebook(500, "ada", 4)],
]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    home = tmp_path_factory.mktemp("marts")
    framework = definitions(Settings()).framework
    made = Pipeline.at(home, Calibration(), criteria=tuple(parse_criteria(CRITERIA, "", framework)))
    attributes = home / "people.csv"
    attributes.write_text("account,team,site\nada@example.org,Red,North\nmailto:alan@example.org,Blue,\n")
    made = Pipeline(
        made.settings.model_copy(update={"identity": IdentitySettings(attributes=attributes)}),
        made.competencies,
        made.project,
    )
    for statements in STATEMENT_SETS:
        made.take(statements)
    with event_log(made.settings) as log:
        log.append(STATEMENTS, [Record("k", orjson.dumps({"actor": {}}), {"source": "t"})])
        land(made.settings, log)
        assert daily(made.settings, made.project, log).dead_letters == 1
        assert daily(made.settings, made.project, log).dead_letters == 0
    return made


def rows(pipeline: Pipeline, query: str) -> list[dict[str, Any]]:
    people = {identities(pipeline.settings).person_key(f"mailto:{name}@example.org"): name for name in ("ada", "alan")}
    found = warehouse.rows(pipeline.settings.warehouse, query)
    return [{**row, "person": people[row["person"]]} if "person" in row else row for row in found]


def test_every_mart_can_be_published_and_its_tests_pass(pipeline: Pipeline) -> None:
    for mart in MARTS:
        rows(pipeline, f"select count(*) from {mart}")
    failed = [one for one in pipeline.project.invoke("test", "--exclude", "test_type:unit") if one["status"] != "pass"]
    assert failed == []


def test_criteria_hold_a_level_back_until_they_are_met(pipeline: Pipeline) -> None:
    query = "select * from mart_levels where competency = 'programming-skills' order by person"
    before = {row["person"]: row for row in rows(pipeline, query)}
    assert before["ada"]["level"] == 3
    assert (before["ada"]["reported_level"], before["ada"]["reported_level_name"]) == (2, "Intermediate")
    assert (before["ada"]["criteria_open"], before["ada"]["criteria_met"]) == ("reviewed", "")
    gap = rows(
        pipeline,
        "select * from mart_role_gaps where role = 'generative-ai-engineer' and competency = 'programming-skills'",
    )
    assert {row["person"]: row["status"] for row in gap} == {"ada": "criteria open", "alan": "short"}
    pipeline.take([merged(401, "ada", 2)])
    after = {row["person"]: row for row in rows(pipeline, query)}
    assert after["ada"]["reported_level"] == after["ada"]["level"] == 3
    assert after["ada"]["criteria_met"] == "reviewed"
    history = rows(pipeline, "select load_id, level, reported_level from int_level_history inner join int_people using (person_key) "
                             "where mail_address = 'mailto:ada@example.org' and competency = 'programming-skills' order by load_id")  # fmt: skip
    assert [row["reported_level"] for row in history] == [2, 2, 3]


def test_history_says_what_was_known_then_and_what_is_known_now(pipeline: Pipeline) -> None:
    history = rows(pipeline, "select * from mart_level_history where competency = 'data-literacy' order by person, day")
    ada = [row for row in history if row["person"] == "ada"]
    days = [(NOW - timedelta(days=40 - 2 * n)).date() for n in range(6)]
    assert [row["day"] for row in ada] == [*days, (NOW - timedelta(days=4)).date(), NOW.date()]
    assert all(row["level_then"] is None for row in ada[:-1])  # nothing had landed yet
    assert ada[-1]["level_then"] is not None
    parameters = Parameters()
    pieces = [
        Evidence(
            name,
            str((name, n)),
            parameters.difficulty(level),
            1.0,
            1.0,
            NOW - timedelta(days=first - 2 * n),
            f"{number + n:012x}",
        )
        for name, level, first, count, number in (("p", 3, 70, 12, 0), ("d", 2, 40, 6, 200))
        for n in range(count)
    ]
    for row in ada[:6]:
        so_far = [piece for piece in pieces if piece.occurred_at.date() <= row["day"]]
        (wanted,) = estimate(fold(so_far, parameters), ["d"], parameters)
        assert row["ability_mean_now"] == pytest.approx(wanted.ability_mean, abs=1e-9)
        assert row["level_now"] == wanted.level
        assert row["evidence_count"] == wanted.evidence_count


def test_cohorts_are_counted_month_by_month(pipeline: Pipeline) -> None:
    progress = rows(
        pipeline, "select * from mart_cohort_progress where competency = 'programming-skills' order by cohort, month"
    )
    assert {row["cohort"] for row in progress} == {"everyone", "Red", "Blue"}
    last = {row["cohort"]: row for row in progress}
    assert [last[name]["people"] for name in ("everyone", "Red", "Blue")] == [2, 1, 1]
    assert last["Red"]["people_at_least_3"] == 1
    assert last["Blue"]["people_at_least_3"] == 0
    assert sum(row["new_evidence"] for row in progress if row["cohort"] == "Blue") == 12
    months = {(NOW - timedelta(days=70 - day)).date().replace(day=1) for day in range(71)}
    assert {row["month"] for row in progress if row["cohort"] == "everyone"} == months


def test_small_groups_are_not_told_of(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    project = pipeline.project
    monkeypatch.setitem(project._environment, "PROFICIO_LEAST_GROUP", "2")
    project.invoke("run", "--select", "mart_cohort_progress")
    progress = rows(pipeline, "select * from mart_cohort_progress where competency = 'programming-skills'")
    assert {row["cohort"] for row in progress} == {"everyone"}
    assert {row["people"] for row in progress} == {2}
    assert None in {row["active_people"] for row in progress}  # months in which one person alone did something
    assert all(row["new_evidence"] is None or row["active_people"] != 1 for row in progress)
    monkeypatch.setitem(project._environment, "PROFICIO_LEAST_GROUP", "1")
    project.invoke("run", "--select", "mart_cohort_progress")


def test_next_steps_are_in_reach_and_not_done_yet(pipeline: Pipeline) -> None:
    steps = rows(pipeline, "select * from mart_next_steps order by person, role, step")
    assert steps
    passed = {
        (row["person"], row["activity_id"])
        for row in rows(pipeline, "select * from mart_evidence where outcome >= 0.5")
    }
    for row in steps:
        assert 0.55 <= row["chance_of_success"] <= 0.85
        assert row["p_met"] < 0.9
        assert (row["person"], row["activity_id"]) not in passed
        assert row["competency_name"] in row["reason"]
        assert f"{row['chance_of_success']:.0%}".removesuffix("%") in row["reason"]
    for person, role in {(row["person"], row["role"]) for row in steps}:
        of = [row for row in steps if (row["person"], row["role"]) == (person, role)]
        assert [row["step"] for row in of] == list(range(1, len(of) + 1))
        assert [row["worth"] for row in of] == sorted((row["worth"] for row in of), reverse=True)


def test_work_shows_in_portfolio_and_continuous_learning(pipeline: Pipeline) -> None:
    learning = {(row["person"], row["topic"]): row for row in rows(pipeline, "select * from mart_continuous_learning")}
    assert len(learning) == 6
    source = learning["ada", "open-source"]
    assert (source["statements"], source["activities"], source["competencies"]) == (2, 2, 2)
    assert 1.4 < source["days_since"] < 3
    assert learning["alan", "open-source"]["statements"] == 0
    assert learning["alan", "research"]["last_at"] is None
    (tool,) = rows(pipeline, "select * from mart_portfolio")
    assert (tool["person"], tool["item_kind"], tool["item"], tool["statements"]) == ("ada", "tool", "jupyter", 1)
    assert (tool["evidence_weight"], tool["mean_outcome"], tool["judged_by_others"]) == (0.3, 1.0, False)


def test_coverage_and_quality_say_what_is_missing(pipeline: Pipeline) -> None:
    coverage = {
        (row["competency"], row["level"]): row for row in rows(pipeline, "select * from mart_framework_coverage")
    }
    assert len(coverage) == 56
    assert coverage["programming-skills", 3]["activities"] == 12
    assert coverage["programming-skills", 3]["evidence_count"] == 24
    assert not coverage["ethics-bias", 4]["is_covered"]
    (quality,) = rows(pipeline, "select * from mart_data_quality")
    landed = sum(map(len, STATEMENT_SETS)) + 1
    assert (quality["source"], quality["statements"], quality["rejected"], quality["unaligned"]) == ("t", landed, 1, 1)
    assert quality["rejected_share"] == pytest.approx(1 / (landed + 1))
    assert quality["longest_lag_hours"] > 69 * 24


def test_dimensions_hold_what_marts_point_to(pipeline: Pipeline) -> None:
    attributes = rows(pipeline, "select * from dim_person_attribute")
    assert {(row["person"], row["attribute"], row["value"]) for row in attributes} == {
        ("ada", "site", "North"), ("ada", "team", "Red"), ("alan", "team", "Blue"),
    }  # fmt: skip
    missing = rows(
        pipeline,
        "select count(*) as missing from mart_evidence where activity_id not in (select activity_id from dim_activity) "
        "or competency not in (select competency from dim_competency) or cast(occurred_at as date) not in (select day from dim_date)",
    )
    assert missing == [{"missing": 0}]
