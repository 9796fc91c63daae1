"""Levels by dbt: equal to the reference estimator, whatever the order, batches, duplicates, late and voided statements."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from connectors import warehouse
from connectors.dbt import DbtProject
from flows.dead_letters import dead_letters
from flows.estimate import estimate
from flows.land import land
from flows.opening import definitions, event_log, identities, lake_of
from flows.settings import Settings
from schemas.records import STATEMENTS, Record
from tests.graded import CALIBRATION, COMPETENCIES, PARAMETERS, answered, pieces_of, voiding
from tests.home import landed_ids
from tests.pipeline import Pipeline
from transforms.estimator import estimate as reference
from transforms.estimator import fold
from transforms.seeds import seeds


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return Pipeline.at(tmp_path_factory.mktemp("estimate"), CALIBRATION)


def expected(pipeline: Pipeline, statements: list[dict[str, Any]]) -> dict[tuple[str, str], Any]:
    return {
        (person, one.competency): one
        for person, pieces in pieces_of(statements).items()
        for one in reference(fold(pieces, PARAMETERS), pipeline.competencies, PARAMETERS)
    }


def assert_equal(found: dict[tuple[str, str], dict[str, Any]], wanted: dict[tuple[str, str], Any]) -> None:
    assert found.keys() == wanted.keys()
    for key, one in wanted.items():
        row = found[key]
        assert row["level"] == one.level
        assert row["evidence_count"] == one.evidence_count
        assert row["last_evidence_at"] == one.last_evidence_at
        for name in ("ability_mean", "ability_sd", "ability_low", "ability_high", "evidence_weight"):
            assert row[name] == pytest.approx(getattr(one, name), abs=1e-9), (key, name)
        assert [row[f"p_at_least_{k}"] for k in range(1, 5)] == pytest.approx(list(one.p_at_least), abs=1e-9)


@st.composite
def batches(draw: st.DrawFn) -> list[list[dict[str, Any]]]:
    """Statements in an order that has nothing to do with when they occurred, some twice, some voided, before or after."""
    count = draw(st.integers(1, 40))
    random_bits = random.Random(draw(st.integers(0, 2**32)))
    made = [
        answered(n, random_bits.randrange(3), random_bits.choice(COMPETENCIES), random_bits.randint(1, 4),
                 random_bits.choice([0, 1, round(random_bits.random(), 2)]), random_bits.randrange(60) * random_bits.choice([1, 7]), random_bits.randint(1, 3))
        for n in range(count)
    ]  # fmt: skip
    made += [voiding(n, one["id"]) for n, one in enumerate(random_bits.sample(made, draw(st.integers(0, count // 3))))]
    made += random_bits.sample(made, draw(st.integers(0, len(made) // 2)))
    random_bits.shuffle(made)
    cuts = sorted(draw(st.lists(st.integers(0, len(made)), max_size=3)))
    return [made[start:end] for start, end in zip([0, *cuts], [*cuts, len(made)], strict=True)]


@hypothesis_settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(batches(), st.booleans())
def test_levels_are_a_function_of_the_set_of_statements(
    pipeline: Pipeline, parts: list[list[dict[str, Any]]], compacted: bool
) -> None:
    pipeline.reset()
    for number, part in enumerate(parts):
        pipeline.take(part)
        if compacted and number % 2:
            lake_of(pipeline.settings).compact()
    statements = [one for part in parts for one in part]
    landed = landed_ids(pipeline.settings)
    assert sorted(landed) == sorted(one["id"] for one in statements)
    incremental = pipeline.levels()
    assert_equal(incremental, expected(pipeline, statements))
    pipeline.take([], full_refresh=True)
    rebuilt = pipeline.levels()
    assert rebuilt.keys() == incremental.keys()
    for key, row in rebuilt.items():
        for name, value in row.items():
            if isinstance(value, float):
                assert value == pytest.approx(incremental[key][name], abs=1e-9)
            else:
                assert value == incremental[key][name]


@st.composite
def twins(draw: st.DrawFn) -> tuple[list[tuple[str, int, float]], int]:
    """What two people did alike, as competency, pitched level and outcome, and which of these goes better for one."""
    piece = st.tuples(st.sampled_from(COMPETENCIES), st.integers(1, 4), st.sampled_from([0.0, 0.5, 1.0]))
    history = draw(st.lists(piece, min_size=1, max_size=12))
    return history, draw(st.one_of(st.just(len(history) - 1), st.integers(0, len(history) - 1)))


@hypothesis_settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(twins(), min_size=10, max_size=20))
def test_a_better_outcome_never_lowers_a_level_and_moves_its_own_competency_most(
    pipeline: Pipeline, pairs: list[tuple[list[tuple[str, int, float]], int]]
) -> None:
    """Where the activity that goes better is the newest: of older ones a part is forgotten in their own competency."""
    pipeline.reset()
    made: list[dict[str, Any]] = []
    for person, (history, better) in enumerate(pairs):
        for twin in (0, 1):
            for n, (competency, level, outcome) in enumerate(history):
                reached = float(twin) if n == better else outcome
                made.append(answered(len(made), 2 * person + twin, competency, level, reached, 30 * n, activity=50 + n))
    pipeline.take(made)
    found = pipeline.levels()
    for person, (history, better) in enumerate(pairs):
        changes = {}
        for competency in pipeline.competencies:
            worse, better_off = (found[f"mailto:p{2 * person + twin}@example.org", competency] for twin in (0, 1))
            for k in range(1, 5):
                assert better_off[f"p_at_least_{k}"] >= worse[f"p_at_least_{k}"] - 1e-9
            changes[competency] = better_off["ability_mean"] - worse["ability_mean"]
        if better == len(history) - 1:
            assert changes.pop(history[better][0]) > max(changes.values()) > 0


def test_only_people_with_new_evidence_are_touched(pipeline: Pipeline) -> None:
    pipeline.reset()
    pipeline.take([answered(n, n % 3, "data-literacy", 2, 1, n) for n in range(9)])
    pipeline.take([answered(10, 1, "data-literacy", 2, 1, 100)])
    loads = warehouse.rows(
        pipeline.settings.warehouse,
        "select people.mail_address, max(load_id) as load from int_competency_states join int_people as people using (person_key) group by 1",
    )
    assert {row["mail_address"]: row["load"] for row in loads} == {
        "mailto:p0@example.org": 1, "mailto:p1@example.org": 2, "mailto:p2@example.org": 1,
    }  # fmt: skip


def test_a_run_that_broke_off_is_taken_up_by_the_next(pipeline: Pipeline) -> None:
    pipeline.reset()
    first = [answered(n, n % 2, "data-literacy", 1 + n % 4, n % 2, n) for n in range(20)]
    second = [answered(100 + n, n % 3, "ethics-bias", 1 + n % 4, n % 2, 100 + n) for n in range(20)]
    pipeline.take(first)
    with event_log(pipeline.settings) as log:
        log.append(STATEMENTS, [Record("k", orjson.dumps(one), {"source": "t"}) for one in second])
        land(pipeline.settings, log)
    warehouse.begin_load(
        pipeline.settings.warehouse, lake_of(pipeline.settings), pipeline.project.digest, identities(pipeline.settings)
    )
    pipeline.project.invoke("run", "--select", "+int_competency_states")  # and no further: the run breaks off here
    third = [answered(200, 1, "ethics-bias", 2, 1, 50)]
    pipeline.take(third)
    assert_equal(pipeline.levels(), expected(pipeline, first + second + third))


def test_old_states_are_compacted_without_a_trace(pipeline: Pipeline) -> None:
    pipeline.reset()
    statements = []
    for number in range(4):
        statements.append(answered(number, 0, "data-literacy", 2, number % 2, number))
        pipeline.take(statements[-1:])
    count = "select count(*) as rows from int_competency_states"
    assert warehouse.rows(pipeline.settings.warehouse, count)[0]["rows"] == 4
    pipeline.project.invoke("run-operation", "compact_states")
    assert warehouse.rows(pipeline.settings.warehouse, count)[0]["rows"] == 1
    statements.append(answered(9, 0, "data-literacy", 2, 1, 9))
    pipeline.take(statements[-1:])
    assert_equal(pipeline.levels(), expected(pipeline, statements))


def test_a_rebuild_keeps_the_history_of_levels(pipeline: Pipeline) -> None:
    pipeline.reset()
    pipeline.take([answered(1, 0, "data-literacy", 2, 1, 1)])
    pipeline.take([answered(2, 0, "data-literacy", 2, 1, 2)])
    history = "select load_id, level, ability_mean from int_level_history order by load_id"
    before = warehouse.rows(pipeline.settings.warehouse, history)
    assert [row["load_id"] for row in before] == [1, 2]
    pipeline.take([], full_refresh=True)
    after = warehouse.rows(pipeline.settings.warehouse, history)
    assert after[:2] == before
    assert [row["load_id"] for row in after] == [1, 2, 3]


def test_one_id_with_two_contents_keeps_the_first_and_rejects_the_second(pipeline: Pipeline) -> None:
    pipeline.reset()
    first = answered(1, 0, "data-literacy", 2, 1.0, 1)
    other = answered(1, 0, "data-literacy", 2, 0.0, 1)
    same = {**first, "stored": "2026-01-01T00:00:00Z"}
    pipeline.take([first, same, other])
    pipeline.take([other, first])
    assert_equal(pipeline.levels(), expected(pipeline, [first]))
    with event_log(pipeline.settings) as log:
        letters = list(dead_letters(log))
    assert [letter.clause for letter in letters] == ["xAPI-Data 2.3.1"] * 2
    assert all(orjson.loads(letter.value)["result"]["score"]["scaled"] == 0 for letter in letters)


def test_all_data_tests_and_unit_tests_of_the_project_pass(pipeline: Pipeline) -> None:
    pipeline.reset()
    pipeline.take([answered(n, n % 3, COMPETENCIES[n % 3], 1 + n % 4, n % 2, n) for n in range(60)])
    results = pipeline.project.invoke("test")
    assert len(results) > 80
    assert {one["status"] for one in results} == {"pass"}
    assert sum("test_fold" in one["name"] or "test_estimate" in one["name"] for one in results) >= 4


def test_a_changed_rule_estimates_everything_anew(tmp_path: Path) -> None:
    pipeline = Pipeline.at(tmp_path, CALIBRATION)
    pipeline.take([answered(1, 0, "data-literacy", 2, 1.0, 1)])
    chosen = definitions(pipeline.settings)
    other = tuple(rule.model_copy(update={"weight": 2.0}) for rule in chosen.rules)
    project = DbtProject(
        tmp_path / "dbt", seeds(replace(chosen, rules=other), CALIBRATION), pipeline.settings.warehouse,
        pipeline.settings.compiled_folder, "2GB",
    )  # fmt: skip
    done = estimate(pipeline.settings, project=project)
    assert done.full_refresh
    assert warehouse.rows(pipeline.settings.warehouse, "select weight from mart_evidence") == [{"weight": 2.0}]


def test_the_project_is_parsed_once_for_data_folders_that_share_it_and_anew_where_that_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROFICIO_COMPILED", str(tmp_path / "compiled"))
    rules, made_at = definitions(Settings()).rules, []
    for weight, parses in ((1.0, True), (2.0, False), (3.0, True)):
        if weight == 3:
            (kept,) = (tmp_path / "compiled").glob("dbt-*")
            kept.write_bytes(kept.read_bytes()[:1000])
        own = tuple(rule.model_copy(update={"weight": weight}) for rule in rules)
        pipeline = Pipeline.at(tmp_path / str(weight), CALIBRATION, rules=own)
        assert (pipeline.project.folder / "target" / "partial_parse.msgpack").exists() is parses
        pipeline.take([answered(1, 0, "data-literacy", 2, 1.0, 1)])
        assert warehouse.rows(pipeline.settings.warehouse, "select weight from mart_evidence") == [{"weight": weight}]
        manifest = json.loads((pipeline.project.folder / "target" / "manifest.json").read_text())
        made_at.append(manifest["metadata"]["generated_at"])
    assert len(set(made_at)) == 3
    assert {path.suffix for path in (tmp_path / "compiled").iterdir()} == {".msgpack"}
    assert kept.stat().st_size > 100_000
