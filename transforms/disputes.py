"""A learner says that a piece of evidence is wrong, as a statement for those who assess."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from schemas.xapi import Statement
from transforms.commits import VOCABULARY
from transforms.identity import agent_of

DISPUTED = f"{VOCABULARY}/verbs/disputed"


def disputed(account: str, statement_id: str, why: str, now: datetime | None = None) -> Statement:
    """The statement: its object is a reference to the one that is disputed (xAPI-Data 2.4.4.3); it is no evidence itself."""
    verb: dict[str, Any] = {"id": DISPUTED, "display": {"en": "disputed"}}
    return {
        "id": str(uuid4()), "actor": agent_of(account), "verb": verb,
        "object": {"objectType": "StatementRef", "id": statement_id}, "result": {"response": why},
        "timestamp": (now or datetime.now(UTC)).isoformat(timespec="milliseconds"),
    }  # fmt: skip
