"""A framework as a 1EdTech CASE 1.0 package (CFPackage), both ways.

Groups, competencies, indicators, applications, tools and topics are CFItems, joined by isChildOf; the levels are a CFRubric,
and the descriptors of each competency are one, its scores the cuts of the levels. Ids are human coding schemes. (1EdTech CASE
Service 1.0, section 6.)
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from pydantic import ValidationError

from schemas.errors import InputError
from schemas.framework import Framework, mistakes

_BASE = "https://w3id.org/proficio/frameworks"
_TYPES = {"group": "Group", "competency": "Competency", "indicator": "Indicator", "application": "Practical application",
          "tool": "Tool", "topic": "Continuous learning"}  # fmt: skip
_LEVELS = "levels"  # title of the rubric that holds the framework's own levels


def to_case(framework: Framework, changed_at: str, known: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The framework as a CFPackage. `known` holds CASE identifiers by key (`identifiers`), where they are not to be new."""
    return _Package(framework, changed_at, known or {}).whole


class _Package:
    """A package that is being made: items and associations in the order of the framework."""

    def __init__(self, framework: Framework, changed_at: str, known: Mapping[str, str]) -> None:
        self._base = f"{_BASE}/{framework.id}"
        self._changed = {"lastChangeDateTime": changed_at}
        self._known = known
        document = self._named("document", "document") | {
            "title": framework.title, "creator": "proficio", "version": framework.version, "subject": framework.purpose,
        }  # fmt: skip
        document["uri"] = self._base
        self._document = {"title": framework.title, "identifier": document["identifier"], "uri": document["uri"]}
        self._items: list[dict[str, Any]] = []
        self._associations: list[dict[str, Any]] = []
        rubrics = [
            self._rubric(
                _LEVELS, None, {level.id: (level.name, level.description, level.cut) for level in framework.levels}
            )
        ]
        names = {level.id: (level.name, level.cut) for level in framework.levels}
        for group in framework.groups:
            parent = self._item("group", group.id, group.name, group.description)
            for one in group.competencies:
                more: dict[str, Any] = {"conceptKeywords": one.formerly} if one.formerly else {}
                if one.retired:
                    more["statusEndDate"] = changed_at[:10]
                competency = self._item("competency", one.id, one.name, one.description, parent, **more)
                for number, text in enumerate(one.indicators, start=1):
                    self._item("indicator", f"{one.id}-{number}", None, text, competency)
                if one.levels:
                    described = {key: (names[key][0], one.levels[key], names[key][1]) for key in names}
                    rubrics.append(self._rubric(one.id, competency["uri"], described))
        for use in framework.applications:
            self._item("application", use.id, use.name, use.description, conceptKeywords=use.examples)
        for tool in framework.tools:
            self._item("tool", tool.id, tool.name, tool.description, notes=tool.kind)
        for topic in framework.continuous_learning:
            self._item("topic", topic.id, topic.name, topic.description)
        types = [
            {**self._named("type", kind), "title": title, "description": title, "hierarchyCode": str(number)}
            for number, (kind, title) in enumerate(_TYPES.items(), start=1)
        ]
        self.whole = {
            "CFDocument": document, "CFItems": self._items, "CFAssociations": self._associations,
            "CFDefinitions": {"CFItemTypes": types}, "CFRubrics": rubrics,
        }  # fmt: skip

    def _named(self, kind: str, key: str) -> dict[str, Any]:
        name = f"{kind}/{key}"
        identifier = self._known.get(name) or str(uuid5(NAMESPACE_URL, f"{self._base}/{name}"))
        return {"identifier": identifier, "uri": f"{self._base}/{name}", **self._changed}

    def _item(
        self, kind: str, key: str, name: str | None, text: str, parent: dict[str, Any] | None = None, **more: Any
    ) -> dict[str, Any]:
        item = self._named(kind, key) | {"fullStatement": text, "humanCodingScheme": key, "CFItemType": _TYPES[kind],
                                         "CFDocumentURI": self._document, **more}  # fmt: skip
        if name is not None:
            item["abbreviatedStatement"] = name
        self._items.append(item)
        over = self._document if parent is None else _link(parent)
        self._associations.append(
            self._named("child", f"{kind}/{key}")
            | {"associationType": "isChildOf", "sequenceNumber": len(self._associations) + 1, "originNodeURI": _link(item),
               "destinationNodeURI": over, "CFDocumentURI": self._document}
        )  # fmt: skip
        return item

    def _rubric(self, key: str, of: str | None, levels: Mapping[str, tuple[str, str, float]]) -> dict[str, Any]:
        """A rubric with one criterion: for each level id its name, text and cut."""
        criterion = self._named("criterion", key) | {"category": key, "position": 1}
        if of is not None:
            criterion["CFItemURI"] = {"uri": of, "identifier": self._items[-1]["identifier"], "title": key}
        criterion["CFRubricCriterionLevels"] = [
            self._named("level", f"{key}/{level}")
            | {"quality": name, "description": text, "score": cut, "position": number, "feedback": level}
            for number, (level, (name, text, cut)) in enumerate(levels.items(), start=1)
        ]
        return self._named("rubric", key) | {"title": key, "CFRubricCriteria": [criterion]}


def _link(item: dict[str, Any]) -> dict[str, str]:
    title = item.get("abbreviatedStatement") or item["fullStatement"]
    return {"title": title, "identifier": item["identifier"], "uri": item["uri"]}


def identifiers(package: Mapping[str, Any]) -> dict[str, str]:
    """The CASE identifiers of a package's items, by kind and id, for `to_case` to keep."""
    kinds = {title: kind for kind, title in _TYPES.items()}
    known = {
        f"{kinds.get(item.get('CFItemType', ''), 'competency')}/{_id_of(item)}": item["identifier"]
        for item in package["CFItems"]
    }
    return {"document/document": package["CFDocument"]["identifier"], **known}


def from_case(package: Any, where: str, default: Framework) -> Framework:
    """A framework from a CFPackage, also of others. InputError naming each mistake.

    What stands at the top with children is a group; what has none below it, or is called a competency, is one; levels are
    those of a rubric titled "levels", else the default's.
    """
    wrong = _shape(package)
    if wrong:
        raise InputError(f"{where} is no CASE package:\n" + "\n".join(wrong), "Give a CFPackage as CASE 1.0 has it.")
    items = {item["identifier"]: item for item in package["CFItems"]}
    children, document = _children(package, items, where), package["CFDocument"]
    given = {
        "id": _slug(document.get("uri", "").rstrip("/").rpartition("/")[2] or document["title"]),
        "version": str(document.get("version") or "1"),
        "title": document["title"],
        "purpose": document.get("subject") or [],
        "groups": [],
        "applications": [
            {**_item(one), "examples": one.get("conceptKeywords") or []}
            for one in items.values()
            if _kind(one) == "application"
        ],
        "tools": [{**_item(one), "kind": one.get("notes")} for one in items.values() if _kind(one) == "tool"],
        "continuous_learning": [_item(one) for one in items.values() if _kind(one) == "topic"],
    }  # fmt: skip
    rubrics = _rubrics(package)
    if _LEVELS in rubrics:
        given["levels"] = [
            {"id": one["feedback"], "name": one["quality"], "description": one["description"], "cut": one["score"]}
            for one in rubrics[_LEVELS]
        ]
    else:
        given["levels"] = [level.model_dump() for level in default.levels]
    loose = []
    for top in children[None]:
        if _kind(items[top]) in ("application", "tool", "topic"):
            continue
        below = list(_competencies(top, items, children))
        if below == [top]:
            loose.append(top)
        else:
            given["groups"].append(
                {**_item(items[top]), "competencies": [_competency(one, items, children, rubrics) for one in below]}
            )
    if loose:
        given["groups"].append(
            {"id": "other", "name": given["title"], "description": given["title"],
             "competencies": [_competency(one, items, children, rubrics) for one in loose]}
        )  # fmt: skip
    try:
        return Framework.model_validate(given)
    except ValidationError as error:
        raise InputError(f"{where} makes no valid framework:\n{mistakes(error)}", "Mend the package.") from None


def _shape(package: Any) -> list[str]:
    if not isinstance(package, dict):
        return [f"  expected an object with CFDocument, CFItems and CFAssociations; found {type(package).__name__}"]
    wrong = []
    document = package.get("CFDocument")
    if not isinstance(document, dict) or not document.get("title") or not document.get("identifier"):
        wrong.append("  CFDocument: expected an object with identifier and title")
    for name, needed in (
        ("CFItems", ("identifier", "fullStatement")),
        ("CFAssociations", ("associationType", "originNodeURI", "destinationNodeURI")),
    ):
        rows = package.get(name)
        if not isinstance(rows, list):
            wrong.append(f"  {name}: expected a list; found {type(rows).__name__}")
            continue
        for number, row in enumerate(rows):
            missing = [key for key in needed if not (isinstance(row, dict) and row.get(key))]
            if missing:
                wrong.append(f"  {name}.{number}: {', '.join(missing)} is missing")
    return wrong


def _rubrics(package: Any) -> dict[str, list[dict[str, Any]]]:
    """The levels of each rubric that `to_case` could have made, by its title. Those of others say nothing of our levels."""
    found = {}
    for rubric in package.get("CFRubrics") or []:
        criteria = rubric.get("CFRubricCriteria") or [{}]
        levels = criteria[0].get("CFRubricCriterionLevels") or []
        if levels and all({"feedback", "quality", "description", "score"} <= level.keys() for level in levels):
            found[rubric.get("title")] = levels
    return found


def _children(package: Any, items: Mapping[str, Any], where: str) -> dict[str | None, list[str]]:
    """The items below each, in order; below None those at the top. InputError for a cycle or an item that is not there."""
    parents: dict[str, str | None] = {}
    places: dict[str, int] = {}
    for number, one in enumerate(package["CFAssociations"]):
        if one["associationType"] != "isChildOf":
            continue
        child, over = one["originNodeURI"]["identifier"], one["destinationNodeURI"]["identifier"]
        if child not in items or (over not in items and over != package["CFDocument"]["identifier"]):
            gone = child if child not in items else over
            raise InputError(f"{where}: CFAssociations.{number}: there is no CFItem {gone}.", "Mend the package.")
        parents.setdefault(child, over if over in items else None)
        places.setdefault(child, one.get("sequenceNumber") or number)
    for start in items:
        seen, one = [start], parents.get(start)
        while one is not None:
            if one in seen:
                circle = " isChildOf ".join(_id_of(items[each]) for each in [*seen[seen.index(one) :], one])
                raise InputError(f"{where}: the items form a cycle: {circle}.", "Remove one of these associations.")
            seen.append(one)
            one = parents.get(one)
    found: dict[str | None, list[str]] = defaultdict(list)
    for number, key in enumerate(items):
        found[parents.get(key)].append(key)
        places.setdefault(key, number)
    return defaultdict(list, {key: sorted(below, key=lambda one: places[one]) for key, below in found.items()})


def _competencies(top: str, items: Mapping[str, Any], children: Mapping[str | None, list[str]]) -> list[str]:
    below = [one for one in children[top] if _kind(items[one]) != "indicator"]
    if _kind(items[top]) == "competency" or not below:
        return [top]
    return [one for child in below for one in _competencies(child, items, children)]


def _competency(
    key: str, items: Mapping[str, Any], children: Mapping[str | None, list[str]], rubrics: Mapping[str, Any]
) -> dict[str, Any]:
    item = items[key]
    given = {**_item(item), "indicators": [items[one]["fullStatement"] for one in children[key]]}
    if item.get("conceptKeywords") and _kind(item) == "competency":
        given["formerly"] = [word for word in item["conceptKeywords"] if re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", word)]
    if item.get("statusEndDate"):
        given["retired"] = True
    if given["id"] in rubrics and given["id"] != _LEVELS:
        given["levels"] = {one["feedback"]: one["description"] for one in rubrics[given["id"]]}
    return given


def _item(item: dict[str, Any]) -> dict[str, Any]:
    name = item.get("abbreviatedStatement") or item["fullStatement"]
    return {"id": _id_of(item), "name": name, "description": item["fullStatement"]}


def _kind(item: dict[str, Any]) -> str | None:
    return {title: kind for kind, title in _TYPES.items()}.get(item.get("CFItemType") or "")


def _id_of(item: dict[str, Any]) -> str:
    return _slug(item.get("humanCodingScheme") or item["identifier"])


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "unnamed"
