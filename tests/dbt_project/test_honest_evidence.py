"""What counts as evidence, and for how much: repetition, re-grades, reverts, guessing, what people say of themselves."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from connectors import warehouse
from tests.graded import CALIBRATION, voiding
from tests.home import GOOD, Home
from tests.pipeline import Pipeline
from transforms.calibration import Calibration
from transforms.commits import Commit, FileChange
from transforms.commits import statement as committed

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
LMS = "https://lms.example.org"
EVIDENCE = "select * from mart_evidence order by occurred_at, statement_id, competency"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return Pipeline.at(tmp_path_factory.mktemp("honest"), Calibration())


@pytest.fixture
def pipeline(shared: Pipeline) -> Pipeline:
    shared.reset()
    return shared


def done(number: int, hours: float, activity: str, result: dict[str, Any], **definition: Any) -> dict[str, Any]:
    return {
        "id": f"00000000-0000-4000-8000-{number:012x}",
        "actor": {"mbox": "mailto:ada@example.org"},
        "verb": {"id": "http://adlnet.gov/expapi/verbs/answered"},
        "object": {"id": f"{LMS}/{activity}", "definition": definition},
        "result": result,
        "timestamp": (START + timedelta(hours=hours)).isoformat(),
    }


def evidence(pipeline: Pipeline) -> list[dict[str, Any]]:
    return warehouse.rows(pipeline.settings.warehouse, EVIDENCE)


def test_repeating_an_activity_on_one_day_counts_less_each_time(pipeline: Pipeline) -> None:
    one = "data-literacy/beginner/1"
    pipeline.take([done(n, hours, one, {"success": True}) for n, hours in enumerate((0, 1, 20))])
    pipeline.take([done(9, 0.5, one, {"success": True}), done(10, 0.6, "data-literacy/beginner/2", {"success": True})])
    # The late one comes between; the other activity and the next day start afresh.
    assert [row["weight"] for row in evidence(pipeline)] == [1, 0.5, 1, 0.25, 1]


def test_repeating_in_several_loads_counts_as_in_one(pipeline: Pipeline) -> None:
    one, other = "data-literacy/beginner/1", "data-literacy/beginner/2"
    for n, activity in enumerate((one, other, one, one)):
        pipeline.take(
            [done(2 * n, n, activity, {"success": True}), done(2 * n + 1, n + 0.5, activity, {"success": True})]
        )
    incremental = {key: row["ability_mean"] for key, row in pipeline.levels().items()}
    pipeline.take([], full_refresh=True)
    assert incremental == pytest.approx({key: row["ability_mean"] for key, row in pipeline.levels().items()}, abs=1e-9)


def test_practice_by_one_rule_repeats_itself_whatever_it_was_on(pipeline: Pipeline) -> None:
    pipeline.take([commit(f"{n:040x}", n) for n in range(3)])
    assert [row["weight"] for row in evidence(pipeline)] == [0.2, 0.1, 0.05]


def test_a_regrade_withdraws_the_grade_before_and_a_voided_one_gives_it_back(pipeline: Pipeline) -> None:
    kind = {"type": "http://adlnet.gov/expapi/activities/attempt"}
    pipeline.take([done(1, 0, "ethics-bias/advanced/1", {"score": {"scaled": 0.2}}, **kind)])
    pipeline.take([done(2, 30, "ethics-bias/advanced/1", {"score": {"scaled": 0.9}}, **kind)])
    assert [row["outcome"] for row in evidence(pipeline)] == [0.9]
    assert [row["evidence_count"] for row in pipeline.levels().values() if row["evidence_count"]] == [1]
    pipeline.take([voiding(1, "00000000-0000-4000-8000-000000000002")])
    assert [row["outcome"] for row in evidence(pipeline)] == [0.2]


def commit(sha: str, hours: float, message: str = "Add x", email: str = "ada@example.org") -> dict[str, Any]:
    return committed(
        Commit(
            "https://git.example.org/team/app", sha, ("0" * 40,), "Ada", email, START + timedelta(hours=hours), message,
            (FileChange("app.py", 3, 0),),
        )
    )  # fmt: skip


def test_a_reverted_commit_counts_against_its_author_until_the_revert_is_reverted(pipeline: Pipeline) -> None:
    bad, revert, again = "a" * 40, "b" * 40, "c" * 40

    def outcomes() -> dict[str, float]:
        return {
            row["activity_id"][-40:]: row["outcome"]
            for row in evidence(pipeline)
            if row["competency"] == "programming-skills"
        }

    pipeline.take([commit(bad, 0)])
    assert outcomes()[bad] == 1
    pipeline.take([commit(revert, 30, f"Revert x\n\nThis reverts commit {bad}.", "alan@example.org")])
    assert outcomes()[bad] == 0
    pipeline.take([commit(again, 60, f"Revert the revert\n\nThis reverts commit {revert}.")])
    assert outcomes()[bad] == 1
    assert outcomes()[revert] == 0
    incremental = pipeline.levels()
    pipeline.take([], full_refresh=True)
    for key, row in pipeline.levels().items():
        assert row["ability_mean"] == pytest.approx(incremental[key]["ability_mean"], abs=1e-9)


def test_a_revert_that_came_before_the_commit_counts_too(pipeline: Pipeline) -> None:
    pipeline.take([commit("b" * 40, 30, f"Revert x\n\nThis reverts commit {'a' * 40}.")])
    pipeline.take([commit("a" * 40, 0)])
    assert [row["outcome"] for row in evidence(pipeline) if row["activity_id"].endswith("a" * 40)] == [0]


def test_questions_that_offer_their_answers_can_be_guessed(pipeline: Pipeline) -> None:
    kinds = ("true-false", "choice", "fill-in")
    pipeline.take(
        [done(n, n, f"data-literacy/beginner/{n}", {"success": True}, interactionType=kind) for n, kind in enumerate(kinds)]
    )  # fmt: skip
    assert [row["guess"] for row in evidence(pipeline)] == [0.5, 0.25, 0]


def test_a_score_is_read_between_its_bounds_whatever_it_was_scaled_to(pipeline: Pipeline) -> None:
    scores = (
        {"raw": 1.0, "min": 0.0, "max": 2.0, "scaled": 0.0},  # as Moodle scales, to [-1, 1]
        {"raw": 3, "max": 4},
        {"scaled": 0.4},
        {"scaled": -0.5},
        {"raw": 0.0, "min": 0.0, "max": 0.0, "scaled": 0.0},  # nothing to score, as Open edX tells it
    )
    pipeline.take(
        [done(n, n, f"data-literacy/beginner/{n}", {"score": score, "success": True}) for n, score in enumerate(scores)]
    )
    assert [row["outcome"] for row in evidence(pipeline)] == [0.5, 0.75, 0.4, 0]
    reasons = warehouse.rows(pipeline.settings.warehouse, "select reason, statements from mart_unaligned")
    assert reasons == [{"reason": "no outcome", "statements": 1}]


def test_what_people_say_of_themselves_weighs_little_and_stands_apart(pipeline: Pipeline) -> None:
    said = [
        done(n, n, f"competencies/collaboration/levels/{level}", {"success": True})
        | {"verb": {"id": "https://w3id.org/proficio/verbs/self-rated"}}
        for n, level in enumerate(("master", "intermediate"))
    ]
    pipeline.take(said)
    row = pipeline.levels()["mailto:ada@example.org", "collaboration"]
    assert row["self_assessed_level"] == 2
    assert row["insufficient_evidence"]
    assert {row["evidence_kind"] for row in evidence(pipeline)} == {"self"}


def test_more_success_never_lowers_a_level(tmp_path: Path) -> None:
    pipeline = Pipeline.at(tmp_path, CALIBRATION)
    statements = [
        done(n, 30 * n, f"data-literacy/intermediate/{n}", {"score": {"scaled": n % 3 / 2}}) for n in range(8)
    ]
    pipeline.take(statements)
    before = pipeline.levels()
    for number in (0, 4, 7):
        better = [*statements]
        better[number] = {**statements[number], "result": {"score": {"scaled": 1.0}}}
        pipeline.reset()
        pipeline.take(better)
        for key, row in pipeline.levels().items():
            for level in range(1, 5):
                assert row[f"p_at_least_{level}"] >= before[key][f"p_at_least_{level}"] - 1e-12
    # The last of them, the newest piece, moves its own competency most: older ones fade there sooner than in general ability.
    moved = {key[1]: row["ability_mean"] - before[key]["ability_mean"] for key, row in pipeline.levels().items()}
    assert all(moved["data-literacy"] > other > 0 for name, other in moved.items() if name != "data-literacy")


def test_of_a_person_whose_evidence_was_all_withdrawn_no_day_is_left(tmp_path: Path) -> None:
    home, named = Home(tmp_path / "home"), "11111111-1111-4111-8111-111111111111"
    withdrawing = {"actor": GOOD["actor"], "verb": {"id": "http://adlnet.gov/expapi/verbs/voided"},
               "object": {"objectType": "StatementRef", "id": named}}  # fmt: skip
    for statement, days in (({**GOOD, "id": named}, 1), (withdrawing, 0)):
        home("ingest", "-", stdin=orjson.dumps(statement))
        home("land")
        home("estimate", "--daily")
        assert warehouse.rows(home.settings.warehouse, "select count(*) as days from int_level_days") == [
            {"days": days}
        ]
