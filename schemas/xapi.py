"""The xAPI statement data model, 1.0.3 and 2.0 (IEEE 9274.1.1), as compiled validators.

The JSON Schema files beside this module are strict: what the specification does not allow is refused. Each part of them
carries the clause it stands for as `$comment`, which is what a violation reports. The few rules that JSON Schema cannot
say (order of numbers, distinct ids, real calendar dates) are in `_beyond_schema`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema_rs

VOIDED = "http://adlnet.gov/expapi/verbs/voided"
Statement = dict[str, Any]


@dataclass(frozen=True)
class Violation:
    """One broken rule: where in the statement, which clause of the specification, what was found."""

    path: str
    clause: str
    message: str


@cache
def _schema(version: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(files("schemas").joinpath(f"xapi-{version}.json").read_text("utf-8"))
    return schema


@cache
def _validator(version: str) -> Any:
    return jsonschema_rs.Draft202012Validator(_schema(version), pattern_options=jsonschema_rs.RegexOptions())


def version_of(statement: Statement, default: str = "1.0.3") -> str:
    """The data model a statement is to be judged by: its own `version`, else `default` ("1.0.3" or "2.0")."""
    own = statement.get("version")
    if own is None or type(own) is not str:
        return default
    return "2.0" if own.startswith("2.") else "1.0.3"


def is_valid(statement: Statement, version: str = "1.0.3") -> bool:
    """Whether a statement keeps every rule of a version's data model. Fast: no reasons are collected."""
    return _validator(version).is_valid(statement) and not _beyond_schema(statement, "")


def violations(statement: Statement, version: str = "1.0.3") -> list[Violation]:
    """Every rule of a version's data model that a statement breaks, deepest place first; empty when it is valid."""
    found = [_violation(error, version) for error in _validator(version).iter_errors(statement)]
    if not found:
        found = _beyond_schema(statement, "")
    return sorted(found, key=lambda violation: -violation.path.count("/"))


def _violation(error: Any, version: str) -> Violation:
    where = list(error.schema_path)
    clause = "xAPI-Data 2.2" if version == "1.0.3" else "IEEE 9274.1.1 4.2"
    rule = ""
    node: Any = _schema(version)
    for step in [None, *where]:
        if step is not None:
            node = node[step] if isinstance(node, list) else node.get(step)
        if isinstance(node, dict) and "$comment" in node:
            clause, rule = node["$comment"].split(": ", 1)
    keyword = str(where[-1]) if where else ""
    message = error.message if len(error.message) <= 300 else f"{error.message[:300]} …"
    if keyword in ("pattern", "oneOf", "not", "const", "enum"):
        found = json.dumps(error.instance, ensure_ascii=False)
        message = f"found {found[:120]}{' …' if len(found) > 120 else ''}"
    return Violation("/" + "/".join(map(str, error.instance_path)), clause, f"{rule}; {message}" if rule else message)


def _beyond_schema(statement: Statement, path: str) -> list[Violation]:
    found: list[Violation] = []
    for key in ("timestamp", "stored"):
        text = statement.get(key)
        if text is not None:
            try:
                parse_timestamp(text)
            except ValueError as error:
                message = f"a timestamp must exist in the calendar; {error}"
                found.append(Violation(f"{path}/{key}", "xAPI-Data 4.5", message))
    if "result" in statement and "score" in statement["result"]:
        found += _score(statement["result"]["score"], f"{path}/result/score")
    thing = statement["object"]
    if "definition" in thing and "interactionType" in thing["definition"]:
        found += _components(thing["definition"], f"{path}/object/definition")
    if thing.get("objectType") == "SubStatement":
        found += _beyond_schema(thing, f"{path}/object")
    return found


def _components(definition: dict[str, Any], path: str) -> Iterator[Violation]:
    for key in ("choices", "scale", "source", "target", "steps"):
        ids = [component["id"] for component in definition.get(key, ())]
        if len(ids) != len(set(ids)):
            message = f"interaction components need distinct ids; found {ids}"
            yield Violation(f"{path}/{key}", "xAPI-Data 2.4.4.1", message)


def _score(score: dict[str, float], path: str) -> Iterator[Violation]:
    low, high, raw = score.get("min"), score.get("max"), score.get("raw")
    if low is not None and high is not None and low > high:
        yield Violation(path, "xAPI-Data 2.4.5.1", f"min must not exceed max; found min {low}, max {high}")
    elif raw is not None and ((low is not None and raw < low) or (high is not None and raw > high)):
        yield Violation(path, "xAPI-Data 2.4.5.1", f"raw must lie between min and max; found {raw} in [{low}, {high}]")


def parse_timestamp(text: str) -> datetime:
    """An aware datetime from a timestamp that the schema has passed. ValueError when no calendar has it."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.fromisoformat(text.replace(",", ".").upper())


@cache
def _part_validator(part: str, version: str) -> Any:
    whole = _schema(version)
    return jsonschema_rs.Draft202012Validator(
        {"$ref": f"#/$defs/{part}", "$defs": whole["$defs"]}, pattern_options=jsonschema_rs.RegexOptions()
    )


def is_valid_part(part: str, value: Any, version: str = "1.0.3") -> bool:
    """Whether a value is a valid `agent`, `group`, `iri`, `uuid` or `timestamp`, or another part that the schema names."""
    return bool(_part_validator(part, version).is_valid(value))
