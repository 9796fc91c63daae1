"""From the bytes of a record to a valid statement with an id, or to the reason why not."""

import json
from typing import Any
from uuid import uuid5

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import StoredRecord
from transforms.rows import to_table
from transforms.statements import (
    NAMESPACE,
    RefusedStatement,
    actor_id,
    content_hash,
    judge,
    parse,
)

STATEMENT: dict[str, Any] = {
    "actor": {"mbox": "mailto:Ada@Example.org", "name": "Ada"},
    "verb": {"id": "http://adlnet.gov/expapi/verbs/answered"},
    "object": {
        "id": "https://example.org/quiz/1",
        "definition": {
            "type": "http://adlnet.gov/expapi/activities/cmi.interaction",
            "name": {"de": "Frage", "en-GB": "Q"},
        },
    },
    "result": {"score": {"scaled": 0.5}, "success": True},
    "context": {"contextActivities": {"parent": {"id": "https://example.org/course"}}},
    "timestamp": "2026-01-02T03:04:05+01:00",
}


def record(value: bytes, **headers: str) -> StoredRecord:
    return StoredRecord("xapi.statements", 2, 7, 1_767_225_600_000, "k", value, {"source": "test", **headers})


def refused(value: bytes) -> str:
    with pytest.raises(RefusedStatement) as refusal:
        judge(record(value), ())
    return refusal.value.rejection.reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "empty"),
        (b"   ", "empty"),
        (b"[]", "one JSON object"),
        (b"7", "one JSON object"),
        (b'{"a":', "JSON"),
        (b'{"a": NaN}', "JSON"),
        (b'{"a": Infinity}', "JSON"),
        (b'{"a": "\xff"}', "JSON"),
        (b'{"a": "\\ud800"}', "JSON"),
        (b'{"a": 1, "a": 2}', "'a' stands twice"),
        (b'{"b": {"x": "\\u0022", "x": 1}}', "'x' stands twice"),
        (b'{"a": ' * 2000 + b"1" + b"}" * 2000, "JSON"),
        (b'{"a": ' * 300 + b"1" + b"}" * 300, "254 levels"),
    ],
)
def test_what_is_no_json_object_is_refused_in_words(value: bytes, reason: str) -> None:
    assert reason in refused(value)


def test_a_byte_order_mark_is_passed_over() -> None:
    assert parse(b"\xef\xbb\xbf" + orjson.dumps(STATEMENT))[0] == STATEMENT


@given(
    st.dictionaries(
        st.text(), st.recursive(st.text() | st.integers(-(2**53), 2**53), lambda kids: st.dictionaries(st.text(), kids))
    )
)
def test_a_key_that_stands_once_is_never_taken_for_its_double(statement: dict[str, Any]) -> None:
    for text in (json.dumps(statement), json.dumps(statement, ensure_ascii=False, indent=2)):
        try:
            value = text.encode()
        except UnicodeEncodeError:
            continue
        assert parse(value)[0] == statement


def test_a_resend_without_id_is_the_same_statement_whatever_the_order_of_keys() -> None:
    reordered = dict(reversed(STATEMENT.items()))
    first, second = (
        judge(record(orjson.dumps(STATEMENT)), ()),
        judge(record(json.dumps(reordered, indent=1).encode()), ()),
    )
    canonical = orjson.dumps(STATEMENT, option=orjson.OPT_SORT_KEYS).decode()
    assert first[5] == second[5] == str(uuid5(NAMESPACE, f"test\n{canonical}"))
    assert judge(record(orjson.dumps(STATEMENT), source="other"), ())[5] != first[5]


def test_a_row_holds_what_the_statement_says() -> None:
    row = to_table([judge(record(orjson.dumps(STATEMENT)), ())]).to_pylist()[0]
    assert (row["topic"], row["log_offset"]) == ("xapi.statements", 7)
    assert row["actor_id"] == "mailto:ada@example.org"
    assert row["activity_name"] == "Frage"  # no plain English: the first given
    assert row["parent_ids"] == ["https://example.org/course"]
    assert row["occurred_at"].isoformat() == "2026-01-02T02:04:05+00:00"
    assert row["score_scaled"] == 0.5
    assert row["success"] is True
    assert row["voids"] is False
    assert json.loads(row["statement"])["id"] == row["statement_id"]


def test_a_statement_without_timestamp_occurred_when_it_was_received() -> None:
    statement = {key: value for key, value in STATEMENT.items() if key != "timestamp"}
    row = to_table([judge(record(orjson.dumps(statement)), ())]).to_pylist()[0]
    assert row["occurred_at"] == row["received_at"]


def test_timestamps_in_any_spelling_are_one_instant() -> None:
    spellings = [
        "2026-01-01T01:00:00+01:00",
        "2026-01-01T00:00:00.000000000Z",
        "2025-12-31t23:00:00,0-0100",
        "2026-01-01T05:30:00+0530",
    ]
    rows = [judge(record(orjson.dumps({**STATEMENT, "timestamp": text})), ()) for text in spellings]
    assert len(set(to_table(rows)["occurred_at"].to_pylist())) == 1


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"stored": "2026-01-01T00:00:00Z"}, True),
        ({"version": "1.0.0"}, True),
        ({"timestamp": "2026-01-02T02:04:05Z"}, True),
        ({"verb": {"id": STATEMENT["verb"]["id"], "display": {"en": "answered"}}}, True),
        ({"object": {"id": STATEMENT["object"]["id"]}}, True),
        ({"result": {"success": False}}, False),
        ({"timestamp": "2026-01-02T02:04:06Z"}, False),
        ({"actor": {"mbox": "mailto:alan@example.org"}}, False),
    ],
)
def test_two_copies_of_a_statement_agree_as_the_specification_compares_them(change: dict[str, Any], same: bool) -> None:
    assert (content_hash({**STATEMENT, **change}) == content_hash(STATEMENT)) is same


def test_an_actor_is_known_by_its_identifier() -> None:
    assert actor_id({"account": {"homePage": "https://e.org", "name": "7"}}) == "https://e.org|7"
    assert actor_id({"mbox_sha1sum": "A" * 40}) == "sha1:" + "a" * 40
    assert actor_id({"openid": "https://ada.example.org"}) == "https://ada.example.org"
    members = [{"mbox": "mailto:b@e.org"}, {"mbox": "mailto:a@e.org"}]
    assert actor_id({"objectType": "Group", "member": members}) == "group:mailto:a@e.org mailto:b@e.org"
