"""Alignment in SQL: equal to rules tried one by one; what brings no evidence is listed; the shipped rules on real statements."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from connectors import warehouse
from flows.opening import definitions
from flows.settings import Settings
from schemas.alignment import Match, Rule, parse_rules
from schemas.errors import SettingsError
from tests.pipeline import Pipeline
from transforms.calibration import Calibration

EXTENSION = "https://example.org/extensions/kind=of"
FEATURES = "https://w3id.org/proficio/extensions/features"
VERBS = ("http://example.org/verbs/passed", "http://example.org/verbs/100%_done", "http://example.org/verbs/seen")
IDS = tuple(
    f"https://lms.example.org/{course}/{kind}/{n}"
    for course in ("ab", "xy!z")
    for kind in ("quiz", "page")
    for n in (1, 21)
)
NAMES = ("Python 1", "python", "100% of SQL_x", None)


@st.composite
def statements(draw: st.DrawFn) -> dict[str, Any]:
    definition: dict[str, Any] = {}
    if name := draw(st.sampled_from(NAMES)):
        definition["name"] = {"en": name}
    if kind := draw(st.sampled_from([None, "http://example.org/types/quiz", "http://example.org/types/page"])):
        definition["type"] = kind
    activities = draw(st.lists(st.sampled_from(IDS), max_size=2))
    extensions: dict[str, Any] = {}
    if features := draw(st.lists(st.sampled_from(["language:Python", "kind:docs"]), max_size=2)):
        extensions[FEATURES] = features
    if draw(st.booleans()):
        extensions[EXTENSION] = draw(st.sampled_from(["a", "b", 3, True]))
    return {
        "actor": {"mbox": "mailto:ada@example.org"},
        "verb": {"id": draw(st.sampled_from(VERBS))},
        "object": {"id": draw(st.sampled_from(IDS)), "definition": definition},
        "result": draw(st.sampled_from([{}, {"success": True}, {"score": {"scaled": 1}}, {"completion": True}])),
        "context": {"contextActivities": {"grouping": [{"id": one} for one in activities]}, "extensions": extensions},
        "timestamp": "2026-01-01T00:00:00Z",
    }  # fmt: skip


PATTERNS = st.sampled_from(["*/quiz/*", "*1", "https://lms.example.org/xy!z/*", "*/2*1", IDS[0], "*b/p*", "*"])
MATCHES = st.fixed_dictionaries(
    {},
    optional={
        "verb": st.sampled_from(["*/passed", VERBS[1], "*100%_*", ["*/seen", VERBS[0]]]),
        "activity_id": PATTERNS,
        "activity_type": st.sampled_from(["*/quiz", "http://example.org/types/page"]),
        "activity_name": st.sampled_from(["PYTHON*", "*sql*", "*%*", "python"]),
        "course": PATTERNS,
        "language": st.just("Python"),
        "feature": st.sampled_from(["kind:*", "language:Python"]),
        "has": st.sampled_from(["score", ["success", "completion"]]),
        "source": st.sampled_from(["t", "other"]),
        "extensions": st.sampled_from([{EXTENSION: "a"}, {EXTENSION: ["3", "true"]}, {EXTENSION: "*"}]),
    },
).filter(bool)


def fits(pattern: str | list[str], values: list[str], flags: int = 0) -> bool:
    patterns = [pattern] if isinstance(pattern, str) else pattern
    return any(
        re.fullmatch(".*".join(map(re.escape, one.split("*"))), value, re.DOTALL | flags)
        for one in patterns
        for value in values
    )


def matches(given: dict[str, Any], one: dict[str, Any]) -> bool:
    """Whether a statement meets all conditions, tried one by one."""
    definition, context = one["object"]["definition"], one["context"]
    features = context["extensions"].get(FEATURES, [])
    value = context["extensions"].get(EXTENSION)
    carried = {
        "verb": [one["verb"]["id"]], "activity_id": [one["object"]["id"]], "source": ["t"],
        "activity_type": [definition["type"]] if "type" in definition else [],
        "course": [activity["id"] for activity in context["contextActivities"]["grouping"]],
        "language": [feature[9:] for feature in features if feature.startswith("language:")],
        "feature": features, "has": list(one["result"]),
    }  # fmt: skip
    for name, pattern in given.items():
        if name == "extensions":
            text = [] if value is None else [str(value).lower() if isinstance(value, bool) else str(value)]
            if not fits(pattern[EXTENSION], text):
                return False
        elif name == "activity_name":
            if not fits(pattern, [definition["name"]["en"]] if "name" in definition else [], re.IGNORECASE):
                return False
        elif not fits(pattern, carried[name]):
            return False
    return True


@hypothesis_settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(MATCHES, st.sampled_from(["data-literacy", "collaboration", None])), min_size=1, max_size=12),
    st.lists(statements(), min_size=1, max_size=25),
)
def test_rules_in_sql_are_rules_tried_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[dict[str, Any], str | None]], sent: list[dict[str, Any]]
) -> None:
    rules = [
        Rule(name=f"rule-{n}", match=Match(**match), competency=competency, level=competency and "beginner", weight=0.5 if competency else 0)
        for n, (match, competency) in enumerate(drawn)
    ]  # fmt: skip
    pipeline = Pipeline.at(tmp_path_factory.mktemp("alignment"), Calibration(), rules=tuple(rules))
    numbered = [{**one, "id": f"00000000-0000-4000-8000-{n:012x}"} for n, one in enumerate(sent)]
    half = len(numbered) // 2
    pipeline.take(numbered[:half])
    pipeline.take(numbered[half:])
    found = {
        (row["statement_id"], row["rule_name"])
        for row in warehouse.rows(
            pipeline.settings.warehouse,
            "select cast(statement_id as varchar) as statement_id, rule_name from stg_statements "
            "inner join int_alignments using (alignment_key) where competency is not null",
        )
    }
    expected = set()
    for one in numbered:
        taken = set()
        for rule, (match, competency) in zip(rules, drawn, strict=True):
            if not matches(match, one):
                continue
            if competency is None:
                break
            if competency not in taken:
                expected.add((one["id"], rule.name))
            taken.add(competency)
    assert found == expected


def test_every_real_statement_with_a_result_is_evidence_or_listed(
    tmp_path: Path, real_statements: list[dict[str, Any]]
) -> None:
    pipeline = Pipeline.at(tmp_path / "home", Calibration())
    pipeline.take(real_statements)
    told = warehouse.rows(
        pipeline.settings.warehouse,
        """
        select count(*) as carrying, count(*) filter (where statement_id in (select statement_id from int_evidence)) as evidence,
            (select sum(statements) from mart_unaligned where carries in ('score', 'success')) as listed
        from stg_statements
        where not voids and (list_contains(traits, 'has:score') or list_contains(traits, 'has:success'))
        """,
    )[0]
    assert told["carrying"] > 20
    assert told["evidence"] + told["listed"] == told["carrying"]
    every = warehouse.rows(
        pipeline.settings.warehouse,
        "select (select count(*) from stg_statements where activity_id is not null and not voids) as statements, "
        "(select sum(statements) from mart_unaligned) + (select count(distinct statement_id) from int_evidence) as told",
    )[0]
    assert every["statements"] == every["told"]


RULE = "- {name: one, match: {verb: '*/passed'}, competency: data-literacy, level: beginner, weight: 1}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (RULE.replace("data-literacy", "cooking"), "rule one: competency 'cooking' is not in the framework"),
        (RULE.replace("beginner", "guru"), "rule one: level 'guru' is not in the framework"),
        (RULE.replace("weight: 1", "weight: 11"), "rule 1 (one):\n    weight: Input should be less than or equal to 10"),
        (RULE.replace("weight: 1", "weight: -1"), "rule 1 (one):\n    weight: Input should be greater than or equal to 0"),
        (RULE.replace("weight: 1", "weight: 1, tools: [hammer]"), "rule one: tool 'hammer' is not in the framework"),
        (RULE.replace("match: {verb: '*/passed'}", "match: {}"), "a rule must match on something"),
        (RULE.replace("verb:", "verbs:"), "match.verbs: Extra inputs are not permitted"),
        (RULE.replace("competency: data-literacy, ", ""), "a competency and a level, or neither"),
        (RULE + RULE, "rule one: the name stands twice"),
        (RULE + RULE.replace("one", "two").replace("beginner", "master"), "rule two: can never apply: one stands before it"),
        (RULE + RULE.replace("one", "two").replace("'}", "', has: score}"), "rule two: can never apply: one stands before it"),
        ("- {name: [", "expected"),
        ("just words", "expected a list of rules; found str"),
    ],
)  # fmt: skip
def test_wrong_rules_are_refused_with_their_place(text: str, message: str) -> None:
    chosen = definitions(Settings()).framework
    with pytest.raises(SettingsError) as caught:
        parse_rules(text, "alignment.yaml", chosen)
    assert message in str(caught.value)


def test_rules_that_only_look_alike_are_kept() -> None:
    chosen = definitions(Settings()).framework
    other = RULE.replace("one", "two")
    assert len(parse_rules(RULE + other.replace("data-literacy", "collaboration"), "f", chosen)) == 2
    assert len(parse_rules(RULE.replace("'}", "', has: score}") + other, "f", chosen)) == 2
