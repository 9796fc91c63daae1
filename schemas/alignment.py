"""Alignment rules, as data models: which statements are evidence of what. Reading the file is the caller's."""

import json
from collections.abc import Iterator
from itertools import combinations
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from schemas.errors import SettingsError
from schemas.framework import Framework, Identifier, Model, mistakes, read_yaml

_EXTENSIONS = "https://w3id.org/proficio/extensions"
# Where a statement carries what a condition is on: the prefixes of its traits (staging's `traits`, int_alignments).
_TRAITS = {
    "verb": ("verb:",),
    "activity_id": ("id:",),
    "activity_type": ("type:",),
    "activity_name": ("name:",),
    "interaction_type": ("interaction:",),
    "platform": ("platform:",),
    "source": ("source:",),
    "parent": ("parent:",),
    "grouping": ("grouping:",),
    "category": ("category:",),
    "course": ("parent:", "grouping:"),
    "repository": ("parent:",),
    "path": (f"extension:{_EXTENSIONS}/files=",),
    "language": (f"extension:{_EXTENSIONS}/features=language:",),
    "feature": (f"extension:{_EXTENSIONS}/features=",),
    "tag": (f"extension:{_EXTENSIONS}/tags=",),
    "has": ("has:",),
}
OneOrMore = str | list[str] | None
Condition = frozenset[str]


class Match(Model):
    """Conditions on a statement, all of which must hold; of a list, one. `*` stands for any characters.

    Names are compared without regard to case. `course` is a parent or grouping activity. `repository`, `path`, `language`,
    `tag` and `feature` are what connectors to Git and its hosts say; `extensions` maps an IRI to what its value must be.
    """

    verb: OneOrMore = None
    activity_id: OneOrMore = None
    activity_type: OneOrMore = None
    activity_name: OneOrMore = None
    interaction_type: OneOrMore = None
    platform: OneOrMore = None
    source: OneOrMore = None
    parent: OneOrMore = None
    grouping: OneOrMore = None
    category: OneOrMore = None
    course: OneOrMore = None
    repository: OneOrMore = None
    path: OneOrMore = None
    language: OneOrMore = None
    feature: OneOrMore = None
    tag: OneOrMore = None
    has: Literal["score", "success", "completion"] | list[Literal["score", "success", "completion"]] | None = None
    extensions: dict[str, str | list[str]] = Field(default_factory=dict)

    @property
    def conditions(self) -> list[Condition]:
        """Each condition as the patterns of traits of which one must be there."""
        given: list[tuple[tuple[str, ...], OneOrMore]] = [(_TRAITS[name], getattr(self, name)) for name in _TRAITS]
        given += [((f"extension:{iri}=",), value) for iri, value in self.extensions.items()]
        return [
            frozenset(
                prefix + (one.lower() if prefix == "name:" else one)
                for prefix in prefixes
                for one in ([value] if isinstance(value, str) else value)
            )
            for prefixes, value in given
            if value
        ]

    @property
    def extensions_used(self) -> set[str]:
        """IRIs of the extensions that conditions look into."""
        own = {
            prefix.removeprefix("extension:").partition("=")[0]
            for name, prefixes in _TRAITS.items()
            for prefix in prefixes
            if getattr(self, name) and prefix.startswith("extension:")
        }
        return own | set(self.extensions)

    @model_validator(mode="after")
    def _check(self) -> "Match":
        if not self.conditions:
            raise ValueError("a rule must match on something; this one would take every statement")
        return self


class Rule(Model):
    """One alignment rule: which statements speak to which competency, pitched at which level, how strongly.

    A rule without competency ends the search: what it matches is no evidence. `kind` says who judged: nobody (practice), a
    machine (graded), peers (reviewed), an assessor or a jury (judged), the learner (self). `applications`, `tools` and
    `topics` (of continuous learning) are ids of the framework's.
    """

    name: str
    match: Match
    competency: str | None = None
    level: str | None = None
    weight: float = Field(0, ge=0, le=10)  # 0: seen, and no evidence
    outcome: Literal["score", "scaled", "raw", "success", "completion"] | Annotated[float, Field(ge=0, le=1)] = "score"
    guess: float | None = Field(None, ge=0, le=0.9)  # chance of success without the ability; none: the activity type's
    slip: float | None = Field(None, ge=0, le=0.9)  # chance of failure in spite of it
    kind: Literal["practice", "graded", "reviewed", "judged", "self"] = "practice"
    applications: tuple[Identifier, ...] = ()
    tools: tuple[Identifier, ...] = ()
    topics: tuple[Identifier, ...] = ()
    expand: bool = False

    @model_validator(mode="after")
    def _check(self) -> "Rule":
        if (self.competency is None) != (self.level is None):
            raise ValueError("a rule has a competency and a level, or neither")
        if self.competency is None and self.weight > 0:
            raise ValueError("a rule without competency says that something is no evidence; its weight is 0")
        return self


def parse_rules(text: str, where: str, framework: Framework) -> list[Rule]:
    """Alignment rules from YAML text, expanded over the framework's competencies and levels, in order.

    SettingsError naming each rule that is wrong: what the framework does not have, a name that stands twice, a rule that
    can never apply because an earlier one for the same competency takes everything it could.
    """
    try:
        items = read_yaml(text) or []
        if not isinstance(items, list):
            raise TypeError(f"expected a list of rules; found {type(items).__name__}")
        rules = [_rule(number, item) for number, item in enumerate(items, start=1)]
    except (yaml.YAMLError, TypeError) as error:
        raise SettingsError(f"The rules in {where} are not valid:\n{mistakes(error)}", "Mend the file.") from None
    wrong = [rule for rule in rules if isinstance(rule, str)]
    expanded = [
        one for rule in rules if isinstance(rule, Rule) for one in (_expand(rule, framework) if rule.expand else [rule])
    ]
    wrong += [*_unknown(expanded, framework), *_contradictions(expanded)]
    if wrong:
        raise SettingsError(f"The rules in {where} are not valid:\n" + "\n".join(wrong), "Mend the file.")
    return expanded


def _rule(number: int, item: object) -> Rule | str:
    """A rule, or what is wrong with it."""
    try:
        return Rule.model_validate(item)
    except ValidationError as error:
        name = item.get("name", "without a name") if isinstance(item, dict) else "without a name"
        return f"  rule {number} ({name}):\n" + "\n".join(f"  {line}" for line in mistakes(error).splitlines())


def _expand(rule: Rule, framework: Framework) -> Iterator[Rule]:
    """One rule for each competency, and for each level where the rule names {level}."""
    template = rule.model_dump_json()
    levels = [one.id for one in framework.levels] if "{level}" in template else [""]
    for competency in framework.competencies:
        for level in levels:
            filled = json.loads(template.replace("{competency}", competency.id).replace("{level}", level))
            name = "/".join(filter(None, (rule.name, competency.id, level)))
            yield Rule.model_validate({**filled, "name": name, "expand": False})


def _unknown(rules: list[Rule], framework: Framework) -> Iterator[str]:
    known = {
        "competency": {one.id for one in framework.competencies},
        "level": {one.id for one in framework.levels},
        "application": {one.id for one in framework.applications},
        "tool": {one.id for one in framework.tools},
        "topic": {one.id for one in framework.continuous_learning},
    }
    for rule in rules:
        named = [("competency", rule.competency), ("level", rule.level)] if rule.competency else []
        named += [(kind, one) for kind in ("application", "tool", "topic") for one in getattr(rule, f"{kind}s")]
        for kind, name in named:
            if name not in known[kind]:
                yield f"  rule {rule.name}: {kind} {name!r} is not in the framework"


def _contradictions(rules: list[Rule]) -> Iterator[str]:
    names: set[str] = set()
    earlier: dict[tuple[str | None, frozenset[Condition]], str] = {}
    for rule in rules:
        if rule.name in names:
            yield f"  rule {rule.name}: the name stands twice"
        names.add(rule.name)
        conditions = sorted(rule.match.conditions, key=sorted)
        subsets = (
            (competency, frozenset(chosen))
            for size in range(1, len(conditions) + 1)
            for chosen in combinations(conditions, size)
            for competency in {rule.competency, None}
        )
        first = next((earlier[one] for one in subsets if one in earlier), None)
        if first is not None:
            yield f"  rule {rule.name}: can never apply: {first} stands before it and takes all that it could"
        earlier.setdefault((rule.competency, frozenset(conditions)), rule.name)
