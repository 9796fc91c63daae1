"""A row of a table becomes a statement, as a mapping says."""

import re
from datetime import datetime
from math import isfinite
from typing import Any
from zoneinfo import ZoneInfo

from schemas.mapping import Mapping, Template
from schemas.xapi import Statement
from transforms.statements import RefusedStatement

_COLUMN = re.compile(r"\{([^{}]+)\}")
Row = dict[str, str]


def columns(mapping: Mapping) -> set[str]:
    """The columns that a mapping reads."""
    parts = [mapping.actor, mapping.activity, mapping.result]
    templates = [mapping.verb, mapping.timestamp, mapping.course or ""]
    templates += [value for part in parts for value in part.model_dump().values() if value]
    return {name for template in templates for name in _COLUMN.findall(template)} | set(mapping.values)


def statement(row: Row, mapping: Mapping) -> Statement | None:
    """The statement of a row; None for one that the mapping leaves out. Raises RefusedStatement where a cell does not fit.

    It has no id: landing gives it one from its content, so that a file read twice counts once.
    """
    cells = _replaced(row, mapping)
    if cells is None:
        return None
    made: Statement = {
        "actor": _actor(cells, mapping),
        "verb": {"id": _needed(mapping.verb, cells, "verb")},
        "object": _activity(cells, mapping),
        "timestamp": _instant(_needed(mapping.timestamp, cells, "timestamp"), mapping),
    }
    result = _result(cells, mapping)
    if result:
        made["result"] = result
    course = _filled(mapping.course, cells)
    if course:
        made["context"] = {"contextActivities": {"grouping": [{"id": course}]}}
    return made


def _replaced(row: Row, mapping: Mapping) -> Row | None:
    cells = {name: cell.strip() for name, cell in row.items()}
    for column, replacements in mapping.values.items():
        cell = cells.get(column, "")
        if cell not in replacements:
            raise RefusedStatement(
                "mapping", f"/values/{column}", f"the column {column!r} holds {cell[:100]!r}, which is not listed"
            )
        replacement = replacements[cell]
        if replacement is None:
            return None
        cells[column] = replacement
    return cells


def _actor(cells: Row, mapping: Mapping) -> dict[str, Any]:
    given = mapping.actor
    name, mail, account = (_filled(one, cells) for one in (given.name, given.mail, given.account))
    actor: dict[str, Any] = {"objectType": "Agent", **({"name": name} if name else {})}
    if mail:
        return {**actor, "mbox": mail if mail.lower().startswith("mailto:") else f"mailto:{mail}"}
    if account:
        return {**actor, "account": {"homePage": _needed(given.home_page, cells, "actor/home_page"), "name": account}}
    raise RefusedStatement("mapping", "/actor", "the row names nobody: mail and account are empty")


def _activity(cells: Row, mapping: Mapping) -> dict[str, Any]:
    given = mapping.activity
    definition: dict[str, Any] = {
        key: {mapping.language: text}
        for key, template in (("name", given.name), ("description", given.description))
        if (text := _filled(template, cells))
    }
    kind = _filled(given.type, cells)
    if kind:
        definition["type"] = kind
    return {"id": _needed(given.id, cells, "activity/id"), **({"definition": definition} if definition else {})}


def _result(cells: Row, mapping: Mapping) -> dict[str, Any]:
    given = mapping.result
    score = {
        name: _number(text, name, mapping)
        for name in ("scaled", "raw", "min", "max")
        if (text := _filled(getattr(given, name), cells))
    }
    truths = {
        name: _truth(text, name, mapping)
        for name in ("success", "completion")
        if (text := _filled(getattr(given, name), cells))
    }
    # A greatest score without one that was reached says nothing.
    return {**({"score": score} if {"scaled", "raw"} & set(score) else {}), **truths}


def _filled(template: Template | None, cells: Row) -> str | None:
    """The template with its columns' cells; None where there is none, or one of its cells is empty."""
    if template is None:
        return None
    names = _COLUMN.findall(template)
    if not all(cells.get(name) for name in names):
        return None
    return _COLUMN.sub(lambda match: cells[match[1]], template)


def _needed(template: Template | None, cells: Row, place: str) -> str:
    found = _filled(template, cells)
    if not found:
        raise RefusedStatement("mapping", f"/{place}", f"{place} is empty in this row")
    return found


def _number(text: str, name: str, mapping: Mapping) -> float:
    share, plain = text.endswith("%"), text.removesuffix("%").strip()
    if mapping.decimal == ",":  # a point is then no part of a number
        plain = plain.replace(".", "x").replace(",", ".")
    try:
        number = float(plain)
        if not isfinite(number):
            raise ValueError
    except ValueError:
        reason = f"{text[:100]!r} is no number with the decimal sign {mapping.decimal!r}"
        raise RefusedStatement("mapping", f"/result/{name}", reason) from None
    return number / 100 if share else number


def _truth(text: str, name: str, mapping: Mapping) -> bool:
    told = text.casefold()
    if told in {one.casefold() for one in mapping.true}:
        return True
    if told in {one.casefold() for one in mapping.false}:
        return False
    raise RefusedStatement("mapping", f"/result/{name}", f"{text[:100]!r} is neither in `true` nor in `false`")


def _instant(text: str, mapping: Mapping) -> str:
    try:
        moment = datetime.strptime(text, mapping.time_format) if mapping.time_format else datetime.fromisoformat(text)
    except ValueError:
        wanted = mapping.time_format or "ISO 8601"
        raise RefusedStatement("mapping", "/timestamp", f"{text[:100]!r} is no time as {wanted}") from None
    if moment.tzinfo is None:
        if mapping.time_zone is None:
            raise RefusedStatement(
                "mapping", "/timestamp", f"{text[:100]!r} has no zone; say which it is in: time_zone"
            )
        moment = moment.replace(tzinfo=ZoneInfo(mapping.time_zone))
    return moment.isoformat()
