"""What a statement can be found by, and the forms in which a statements resource gives it (xAPI-Communication 2.1.3)."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from schemas.xapi import Statement
from transforms.statements import actor_id

_GROUPED = ("parent", "grouping", "category", "other")
_IDENTIFIERS = ("mbox", "mbox_sha1sum", "openid", "account")


def terms(statement: Statement) -> set[str]:
    """Words that an index keeps: verb, registration, agents and activities, and those that `related_…` finds besides.

    Group members count as their group's agents. What a sub-statement and the context name is related.
    """
    context = statement.get("context", {})
    found = {f"verb:{statement['verb']['id']}"}
    if "registration" in context:
        found.add(f"registration:{context['registration'].lower()}")
    for one in (statement["actor"], statement["object"]):
        found |= {f"agent:{agent}" for agent in _agents(one)}
    if _is_activity(statement["object"]):
        found.add(f"activity:{statement['object']['id']}")
    related = [statement]
    if statement["object"].get("objectType") == "SubStatement":
        related.append(statement["object"])
    for whole in related:
        found |= {f"related_agent:{agent}" for one in _people_in(whole) for agent in _agents(one)}
        found |= {f"related_activity:{activity}" for activity in _activities_in(whole)}
    return found


def agent_terms(agent: dict[str, Any], related: bool) -> str:
    """The term that finds an agent or identified group."""
    return f"{'related_agent' if related else 'agent'}:{actor_id(agent)}"


def completed(
    statement: Statement, statement_id: str, stored: datetime, authority: dict[str, Any], version: str
) -> Statement:
    """A statement with what the receiver sets (xAPI-Data 2.4, 4.2): id, stored, authority, timestamp, version.

    A context activity that stands alone becomes a list of one, as is to be returned (2.4.6.2).
    """
    told = stored.isoformat(timespec="microseconds").replace("+00:00", "Z")
    made = {**statement, "id": statement_id, "stored": told, "authority": authority}
    made.setdefault("timestamp", told)
    made.setdefault("version", "2.0.0" if version == "2.0" else "1.0.0")
    made = _with_lists(made)
    if made["object"].get("objectType") == "SubStatement":
        made["object"] = _with_lists(made["object"])
    return made


def in_form(statement: Statement, form: str, languages: Sequence[str] = ()) -> Statement:
    """A statement as `exact`, as `ids` (only what identifies), or `canonical` (one language of each display and name)."""
    if form == "ids":
        return {
            key: _ids_only(value) if key not in ("result", "attachments") else value for key, value in statement.items()
        }
    if form == "canonical":
        return {key: _one_language(value, languages) if key != "result" else value for key, value in statement.items()}
    return statement


def _is_activity(one: dict[str, Any]) -> bool:
    return bool(one.get("objectType", "Activity") == "Activity")


def _agents(one: dict[str, Any]) -> Iterator[str]:
    """The identifiers of an agent, or of a group and its members; none for what is neither."""
    if any(key in one for key in _IDENTIFIERS):
        yield actor_id(one)
    for member in one.get("member", ()):
        yield actor_id(member)


def _people_in(whole: Statement) -> Iterator[dict[str, Any]]:
    context = whole.get("context", {})
    yield from (whole["actor"], whole["object"])
    yield from (one for one in (whole.get("authority"), context.get("instructor"), context.get("team")) if one)
    yield from (one["agent"] for one in context.get("contextAgents", ()))
    yield from (one["group"] for one in context.get("contextGroups", ()))


def _activities_in(whole: Statement) -> Iterator[str]:
    if _is_activity(whole["object"]):
        yield whole["object"]["id"]
    for activities in whole.get("context", {}).get("contextActivities", {}).values():
        yield from (one["id"] for one in (activities if isinstance(activities, list) else [activities]))


def _with_lists(whole: Statement) -> Statement:
    grouped = whole.get("context", {}).get("contextActivities")
    if not grouped:
        return whole
    lists = {kind: value if isinstance(value, list) else [value] for kind, value in grouped.items()}
    return {**whole, "context": {**whole["context"], "contextActivities": lists}}


def _ids_only(node: Any) -> Any:
    """Agents by their identifier, anonymous groups by their members', activities, verbs and references by their id."""
    if isinstance(node, list):
        return [_ids_only(one) for one in node]
    if not isinstance(node, dict):
        return node
    kept = dict(node)
    identifier = next((key for key in _IDENTIFIERS if key in node), None)
    if identifier and "id" not in node:
        return {key: node[key] for key in ("objectType", identifier) if key in node}
    if node.get("objectType") == "Group":
        return {"objectType": "Group", "member": _ids_only(node["member"])}
    for key in ("definition", "display"):
        kept.pop(key, None)
    return {key: value if key == "extensions" else _ids_only(value) for key, value in kept.items()}


_LANGUAGE_MAPS = ("display", "name", "description")


def _one_language(node: Any, languages: Sequence[str]) -> Any:
    if isinstance(node, list):
        return [_one_language(one, languages) for one in node]
    if not isinstance(node, dict):
        return node
    return {
        key: value if key == "extensions"
        else _best(value, languages) if key in _LANGUAGE_MAPS and isinstance(value, dict)
        else _one_language(value, languages)
        for key, value in node.items()
    }  # fmt: skip


def _best(texts: dict[str, str], languages: Sequence[str]) -> dict[str, str]:
    """The entry of a language map that suits best: RFC 4647 3.4 (lookup), else the first."""
    for wanted in languages:
        parts = wanted.lower().split("-")
        for length in range(len(parts), 0, -1):
            shorter = "-".join(parts[:length])
            for tag, text in texts.items():
                if tag.lower() == shorter or tag.lower().startswith(shorter + "-"):
                    return {tag: text}
    return dict(list(texts.items())[:1])
