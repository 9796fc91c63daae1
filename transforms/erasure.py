"""Taking a person out of statements: what is theirs goes; where those of others name them, an agent without a name stands."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from schemas.xapi import Statement
from transforms.identity import known_as
from transforms.statements import actor_id

NOBODY = {"objectType": "Agent", "account": {"homePage": "https://w3id.org/proficio", "name": "erased"}}
ERASED = "erased"
_SIGNATURE = "http://adlnet.gov/expapi/attachments/signature"
_NEVER = re.compile(r"[^\s\S]")  # RE2, by which Arrow searches, has no (?!)


def without(statement: Statement, theirs: Callable[[str], bool], words: re.Pattern[str] = _NEVER) -> Statement | None:
    """A statement less a person whose accounts `theirs` knows: None where it is theirs, itself where it does not name them.

    Theirs is what they are the actor of, alone or with nobody else in a group without a name (xAPI-Data 2.4.2). Elsewhere,
    in the object, a group, the context, a sub-statement or an extension, `NOBODY` stands for them. `words` are taken out of
    texts. A signature (2.6) of a statement that changed is taken out too: it holds the statement as it was.
    """
    actor = statement["actor"]
    members = actor.get("member", ())
    if _is(actor, theirs) or (_nameless(actor) and members and all(_is(one, theirs) for one in members)):
        return None
    left: Statement = redacted(statement, theirs, words)
    if left is statement:
        return statement
    kept = [one for one in left.get("attachments", ()) if one["usageType"] != _SIGNATURE]
    rest = {name: value for name, value in left.items() if name != "attachments"}
    return {**rest, "attachments": kept} if kept else rest


def words_of(accounts: Iterable[str], persons: Iterable[str] = ()) -> re.Pattern[str]:
    """What names a person in any text: mail addresses and their SHA-1, OpenIDs, whole accounts, the keys of `persons`.

    The bare name of an account ("17") is none: it may be a word of its own, and is looked for where accounts stand.
    """
    found = set[str]()
    for account in accounts:
        found |= {account.removeprefix("mailto:"), known_as(account).removeprefix("sha1:")}
    for person in persons:
        found |= {person, f"{person[:8]}-{person[8:12]}-{person[12:16]}-{person[16:20]}-{person[20:]}"}
    longest_first = sorted(found - {""}, key=len, reverse=True)
    return re.compile("|".join(re.escape(word) for word in longest_first), re.IGNORECASE) if longest_first else _NEVER


def redacted(node: Any, theirs: Callable[[str], bool], words: re.Pattern[str] = _NEVER) -> Any:
    """What is in a statement, with `NOBODY` for the accounts that are `theirs`; the same object where nothing changed."""
    if type(node) is dict:
        if _is(node, theirs):
            return NOBODY
        changed = {key: redacted(value, theirs, words) for key, value in node.items()}
        return changed if any(changed[key] is not value for key, value in node.items()) else node
    if type(node) is list:
        items = [redacted(item, theirs, words) for item in node]
        return items if any(one is not before for one, before in zip(items, node, strict=True)) else node
    if type(node) is str and words.search(node):
        return words.sub(ERASED, node)
    return node


def _is(node: dict[str, Any], theirs: Callable[[str], bool]) -> bool:
    """Whether a JSON object is an agent or identified group that is theirs."""
    if _nameless(node):
        return False
    try:
        return theirs(actor_id(node))
    except (TypeError, KeyError, AttributeError):  # an extension may hold anything under these names
        return False


def _nameless(node: dict[str, Any]) -> bool:
    return not ("account" in node or "mbox" in node or "mbox_sha1sum" in node or "openid" in node)
