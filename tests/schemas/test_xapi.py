"""The strict xAPI data model: what is valid passes, what breaks a clause is refused with that clause."""

import copy
from typing import Any

import pytest

from schemas import xapi
from tests.schemas.invalid_statements import ACTIVITY, AGENT, ATTACHMENT, GONE, INVALID, SUB, UUID

VALID: dict[str, Any] = {"actor": AGENT, "verb": {"id": "https://example.org/v"}, "object": ACTIVITY}


@pytest.mark.parametrize(("clause", "key", "value"), [row[1:] for row in INVALID], ids=[row[0] for row in INVALID])
def test_a_statement_that_breaks_a_clause_is_refused_with_that_clause(clause: str, key: str, value: Any) -> None:
    statement = copy.deepcopy(VALID)
    if value is GONE:
        del statement[key]
    else:
        statement[key] = value
    assert not xapi.is_valid(statement)
    clauses = [violation.clause for violation in xapi.violations(statement)]
    assert any(found == clause or found.startswith(f"{clause}.") for found in clauses), clauses


def test_the_table_is_long_enough() -> None:
    assert len(INVALID) >= 80
    assert len({row[0] for row in INVALID}) == len(INVALID)


@pytest.mark.parametrize(
    "addition",
    [
        {"id": UUID.upper()},
        {"actor": {"objectType": "Group", "name": "team", "member": [AGENT]}},
        {"actor": {"objectType": "Group", **AGENT}},
        {"actor": {"account": {"homePage": "http://lms.example.org", "name": "7"}, "name": "Ada"}},
        {"actor": {"mbox_sha1sum": "0" * 40}},
        {
            "verb": {
                "id": "https://example.org/v",
                "display": {"en-US": "did", "de": "tat", "zh-Hant-TW": "做", "x-ours": "."},
            }
        },
        {"object": SUB},
        {"object": {"objectType": "Agent", **AGENT}},
        {"object": {"objectType": "StatementRef", "id": UUID}},
        {"object": {**ACTIVITY, "definition": {"extensions": {"https://example.org/e": None}}}},
        {"object": {"id": "block-v1:edX+DemoX+type@sequential"}},
        {"object": {**ACTIVITY, "definition": {"interactionType": "choice", "choices": [{"id": "a"}, {"id": "b"}]}}},
        {
            "result": {
                "score": {"scaled": -1, "raw": 0, "min": 0, "max": 0},
                "success": False,
                "duration": "PT1H30M5.25S",
            }
        },
        {"result": {"duration": "P3Y6M4DT12H30M5S"}},
        {"result": {"duration": "P4W"}},
        {"context": {"contextActivities": {"parent": ACTIVITY, "other": []}, "platform": "LMS", "language": "en-GB"}},
        {"context": {"team": {"objectType": "Group", "member": [AGENT]}, "registration": UUID}},
        {"timestamp": "2026-01-01T00:00:00.123456789+05:30"},
        {"timestamp": "2026-01-01T00:00:00-03:00"},
        {"timestamp": "2026-01-01T00:00:00-00:30"},
        {
            "authority": {
                "objectType": "Group",
                "member": [AGENT, {"account": {"homePage": "https://e.org", "name": "o"}}],
            }
        },
        {"version": "1.0.9"},
        {"attachments": [ATTACHMENT]},
    ],
)
def test_what_the_specification_allows_is_valid(addition: dict[str, Any]) -> None:
    statement = {**VALID, **addition}
    assert xapi.violations(statement) == []
    assert xapi.is_valid(statement)


def test_version_2_knows_context_agents_and_asks_for_rfc_3339() -> None:
    agents = [{"objectType": "contextAgent", "agent": AGENT, "relevantTypes": ["https://example.org/role"]}]
    statement = {**VALID, "version": "2.0.0", "context": {"contextAgents": agents}}
    assert xapi.version_of(statement) == "2.0"
    assert xapi.is_valid(statement, "2.0")
    assert not xapi.is_valid({**statement, "context": {"contextAgents": [{"agent": AGENT}]}}, "2.0")
    assert not xapi.is_valid({**statement, "timestamp": "2026-01-01T00:00:00+0100"}, "2.0")
    assert xapi.is_valid({**VALID, "timestamp": "2026-01-01T00:00:00+0100"}, "1.0.3")


def test_platform_needs_an_activity() -> None:
    statement = {**VALID, "object": {"objectType": "Agent", **AGENT}, "context": {"platform": "LMS"}}
    assert [violation.clause for violation in xapi.violations(statement)] == ["xAPI-Data 2.4.6"]
