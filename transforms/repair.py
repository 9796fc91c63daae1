"""Mending known deviations of real sources by named repairs (data: `schemas/repairs.yaml`)."""

from collections.abc import Iterable
from typing import Any

from schemas.repairs import Repair
from schemas.xapi import Statement


def repair(statement: Statement, repairs: Iterable[Repair]) -> list[str]:
    """Mend a statement in place; the names of the repairs that changed something, in order."""
    context = statement.get("context")
    extensions = context.get("extensions") if isinstance(context, dict) else None
    if not isinstance(extensions, dict):
        return []
    return [
        item.name
        for item in repairs
        if item.extension in extensions and any([_mend(statement, pointer, item) for pointer in item.at])
    ]


def _mend(node: Any, pointer: tuple[str, ...], item: Repair) -> bool:
    step, rest = pointer[0], pointer[1:]
    if isinstance(node, dict):
        keys: Iterable[Any] = list(node) if step == "*" else [step] if step in node else []
    elif isinstance(node, list):
        keys = range(len(node)) if step == "*" else []
    else:
        return False
    if rest:
        return any([_mend(node[key], rest, item) for key in keys])
    changed = False
    for key in keys:
        if isinstance(node[key], str) and (match := item.matches.fullmatch(node[key])):
            node[key] = match.expand(item.becomes)
            changed = True
    return changed
