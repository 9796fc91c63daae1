"""A framework as one CSV table, both ways: a row for each thing that it says."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from schemas.errors import InputError
from schemas.framework import Framework, mistakes

HEADER = ("kind", "id", "of", "name", "description", "value")


def to_csv(framework: Framework) -> str:
    """The framework as CSV. `of` names what a row belongs to; `value` is a version, a cut, a tool's kind, or "retired"."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(_rows(framework))
    return text.getvalue()


def _rows(framework: Framework) -> Iterator[tuple[Any, ...]]:
    yield "framework", framework.id, "", framework.title, "", framework.version
    yield from (("purpose", "", "", one, "", "") for one in framework.purpose)
    yield from (("level", one.id, "", one.name, one.description, one.cut) for one in framework.levels)
    for group in framework.groups:
        yield "group", group.id, "", group.name, group.description, ""
        for one in group.competencies:
            yield "competency", one.id, group.id, one.name, one.description, "retired" if one.retired else ""
            yield from (("former id", former, one.id, "", "", "") for former in one.formerly)
            yield from (("indicator", "", one.id, "", text, "") for text in one.indicators)
            yield from (("descriptor", level, one.id, "", text, "") for level, text in one.levels.items())
    for application in framework.applications:
        yield "application", application.id, "", application.name, application.description, ""
        yield from (("example", "", application.id, text, "", "") for text in application.examples)
    yield from (("tool", one.id, "", one.name, one.description, one.kind) for one in framework.tools)
    yield from (("topic", one.id, "", one.name, one.description, "") for one in framework.continuous_learning)


def from_csv(text: str, where: str) -> Framework:
    """The framework that a table says. InputError naming each line that is wrong."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    header = next(reader, [])
    if tuple(header) != HEADER:
        raise InputError(
            f"{where}: expected the columns {', '.join(HEADER)}; found {', '.join(header) or 'nothing'}.",
            "proficio framework export framework.csv shows how it looks.",
        )
    given: dict[str, Any] = {
        "purpose": [],
        "levels": [],
        "groups": [],
        "applications": [],
        "tools": [],
        "continuous_learning": [],
    }
    known: dict[tuple[str, str], dict[str, Any]] = {}
    wrong = []
    for row in reader:
        if len(row) != len(HEADER):
            wrong.append(f"  line {reader.line_num}: expected {len(HEADER)} cells; found {len(row)}")
            continue
        try:
            _take(given, known, *row)
        except (KeyError, ValueError) as error:
            wrong.append(f"  line {reader.line_num}: {error.args[0]}")
    if not wrong:
        try:
            return Framework.model_validate(given)
        except ValidationError as error:
            wrong = [mistakes(error)]
    raise InputError(f"{where} makes no valid framework:\n" + "\n".join(wrong), "Mend the lines that are named.")


def _take(
    given: dict[str, Any],
    known: dict[tuple[str, str], dict[str, Any]],
    kind: str,
    key: str,
    of: str,
    name: str,
    text: str,
    value: str,
) -> None:
    """Add what one row says."""
    item = {"id": key, "name": name, "description": text}
    match kind:
        case "framework":
            given.update(id=key, title=name, version=value)
        case "purpose":
            given["purpose"].append(name)
        case "level":
            given["levels"].append({**item, "cut": _number(value)})
        case "group":
            known["group", key] = {**item, "competencies": []}
            given["groups"].append(known["group", key])
        case "competency":
            known["competency", key] = {
                **item,
                "retired": value == "retired",
                "formerly": [],
                "indicators": [],
                "levels": {},
            }
            _owner(known, "group", of)["competencies"].append(known["competency", key])
        case "former id":
            _owner(known, "competency", of)["formerly"].append(key)
        case "indicator":
            _owner(known, "competency", of)["indicators"].append(text)
        case "descriptor":
            _owner(known, "competency", of)["levels"][key] = text
        case "application":
            known["application", key] = {**item, "examples": []}
            given["applications"].append(known["application", key])
        case "example":
            _owner(known, "application", of)["examples"].append(name)
        case "tool":
            given["tools"].append({**item, "kind": value})
        case "topic":
            given["continuous_learning"].append(item)
        case _:
            raise ValueError(f"there is no kind {kind!r}")


def _owner(known: dict[tuple[str, str], dict[str, Any]], kind: str, key: str) -> dict[str, Any]:
    try:
        return known[kind, key]
    except KeyError:
        raise ValueError(f"there is no {kind} {key!r} above it") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"expected a cut as a number; found {text!r}") from None
