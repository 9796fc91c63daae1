"""A person is taken out of every place of a statement where xAPI lets an agent stand, and nobody else is."""

import hashlib
import re
from typing import Any

import pyarrow as pa
import pytest

from transforms.erasure import NOBODY, redacted, without, words_of
from transforms.erasure_rows import matching, suspicious

ADA, GRACE = {"mbox": "mailto:ada@example.org"}, {"mbox": "mailto:grace@example.org"}
LMS = {"account": {"homePage": "https://lms.example.org", "name": "17"}}
OTHER = {"account": {"homePage": "https://other.example.org", "name": "17"}}
ACCOUNTS = ["mailto:ada@example.org", "https://lms.example.org|17"]
VERB, THING = {"id": "https://example.org/did"}, {"id": "https://example.org/it"}


def said(actor: dict[str, Any] = GRACE, thing: dict[str, Any] = THING, **more: Any) -> dict[str, Any]:
    return {"actor": actor, "verb": VERB, "object": thing, **more}


def erased(statement: dict[str, Any]) -> dict[str, Any] | None:
    return without(statement, set(ACCOUNTS).__contains__, words_of(ACCOUNTS))


@pytest.mark.parametrize(
    "actor", [ADA, {"mbox": "mailto:ADA@example.org"}, LMS, {"objectType": "Group", "member": [ADA, LMS]}]
)
def test_what_is_theirs_goes(actor: dict[str, Any]) -> None:
    assert erased(said(actor)) is None


@pytest.mark.parametrize(
    "statement", [said(), said(OTHER), said(context={"instructor": OTHER}), said(result={"response": "17"})]
)
def test_what_is_anothers_stays_as_it_is(statement: dict[str, Any]) -> None:
    assert erased(statement) is statement


@pytest.mark.parametrize(
    "statement",
    [
        said({"objectType": "Group", "member": [ADA, GRACE]}),
        said(thing={"objectType": "Agent", **ADA}),
        said(thing={"objectType": "Group", **OTHER, "member": [LMS]}),
        said(thing={"objectType": "SubStatement", **said(LMS)}),
        said(context={"instructor": ADA}),
        said(context={"team": {"objectType": "Group", "member": [LMS]}}),
        said(context={"contextAgents": [{"objectType": "contextAgent", "agent": ADA}]}),
        said(context={"extensions": {"https://example.org/x": [{"by": LMS}]}}),
        said(authority=LMS),
    ],
)
def test_where_others_name_them_nobody_stands(statement: dict[str, Any]) -> None:
    left = erased(statement)
    assert left is not None
    assert NOBODY["account"] in [node.get("account") for node in nodes(left)]
    assert not {"mailto:ada@example.org", "https://lms.example.org"} & set(re.findall(r"[\w:/.@]+", str(left)))


def test_texts_and_signatures_that_name_them_go() -> None:
    signature = {"usageType": "http://adlnet.gov/expapi/attachments/signature", "sha2": "x"}
    work = {"usageType": "https://example.org/work", "sha2": "y"}
    left = erased(said(result={"response": "ask Ada@example.org"}, attachments=[signature, work]))
    assert left == said(result={"response": "ask erased"}, attachments=[work])
    untouched = said(attachments=[signature])
    assert erased(untouched) is untouched


def test_everyone_else_can_be_left_out_too() -> None:
    alone = redacted(said({"objectType": "Group", "member": [ADA, GRACE]}), lambda account: account not in ACCOUNTS)
    assert alone["actor"]["member"] == [ADA, NOBODY]


def test_rows_are_found_by_what_names_a_person() -> None:
    sha1 = hashlib.sha1(b"mailto:ada@example.org").hexdigest()
    texts = [
        '{"mbox":"mailto:ADA@example.org"}',
        f'{{"mbox_sha1sum":"{sha1}"}}',
        '{"name":"17"}',
        '{"name":"170"}',
        '{"x":"17"}',
    ]
    found = matching(pa.table({"statement": texts}), suspicious(ACCOUNTS, words_of(ACCOUNTS)))
    assert found.to_pylist() == [True, True, True, False, False]


def nodes(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, dict):
        return [node, *(one for value in node.values() for one in nodes(value))]
    return [one for item in node for one in nodes(item)] if isinstance(node, list) else []
