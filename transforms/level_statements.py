"""A level that changed as an xAPI statement, as the profile describes it (schemas/xapi-profile.jsonld)."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid5

from schemas.xapi import Statement
from transforms.commits import VOCABULARY
from transforms.identity import agent_of
from transforms.languages import language_of
from transforms.level_words import chance, note
from transforms.statements import NAMESPACE

LEVELLED = f"{VOCABULARY}/verbs/levelled"
PROFILE = f"{VOCABULARY}/profiles/levels/v1"
_OBJECTIVE = "http://adlnet.gov/expapi/activities/objective"


def level_statement(change: Mapping[str, Any], levels: int, sink: str, page: str = "") -> Statement:
    """The statement of a change. The same change has the same id and content, whenever it is told to a sink.

    Its object is the competency, its score the level of `levels`; it happened when the newest evidence did.
    """
    level = change["reported_level"]
    marks = (
        sink, change["person"], change["competency"], change["told_level"], level, change["evidence_count"],
        change["last_evidence_at"],
    )  # fmt: skip
    told = {"evidence-count": change["evidence_count"], "probability": round(chance(change), 3)}
    if change["told_level"] is not None:
        told["told-level"] = change["told_level"]
    extensions = {f"{VOCABULARY}/extensions/{name}": value for name, value in told.items()}
    statement: Statement = {
        "id": str(uuid5(NAMESPACE, "\n".join(map(str, marks)))),
        "actor": agent_of(account_of(change["accounts"])),
        "verb": {"id": LEVELLED, "display": {"en": "reached the level"}},
        "object": {
            "objectType": "Activity",
            "id": f"{VOCABULARY}/competencies/{change['competency']}",
            "definition": {"type": _OBJECTIVE, "name": {"en": change["competency_name"]}, **({"moreInfo": page} if page else {})},
        },
        "result": {
            "score": {"scaled": round(level / levels, 4), "raw": level, "min": 0, "max": levels},
            "response": change["reported_level_name"],
            "extensions": extensions,
        },
        "context": {
            "platform": "proficio",
            "contextActivities": {"category": [{"objectType": "Activity", "id": PROFILE}]},
            "extensions": {f"{VOCABULARY}/extensions/why": note({**change, "reasons": ()}, language_of([]))},
        },
        "timestamp": change["last_evidence_at"].isoformat(),
    }  # fmt: skip
    return statement


def account_of(accounts: list[str]) -> str:
    """The account that a person is named by: a mail address where there is one."""
    return next((one for one in accounts if one.startswith("mailto:")), accounts[0])
