"""The competency framework and the alignment rules, as data models. Reading the files is the caller's."""

from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.errors import SettingsError

Identifier = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
OneOrMore = str | list[str] | None


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Item(_Model):
    """Something the framework names: a competency, an application, a way of continuous learning."""

    id: Identifier
    name: str
    description: str


class Level(Item):
    """A level; `cut` is the ability (logits) from which it is reached."""

    cut: float


class Competency(Item):
    """A competency: what shows it, and what it looks like at each level (level id → descriptor).

    `formerly` lists ids that it had; what was said under them stays its history. A retired competency keeps its rows.
    """

    indicators: list[str] = []
    levels: dict[Identifier, str] = {}
    formerly: list[Identifier] = []
    retired: bool = False


class Group(Item):
    """A group of competencies."""

    competencies: list[Competency]


class Application(Item):
    """A practical application, with examples of models."""

    examples: list[str]


class Tool(Item):
    """A tool or technology."""

    kind: Literal["framework", "technique", "environment", "cloud"]


class Framework(_Model):
    """A competency framework. Levels run from the lowest to the highest, their cuts rising; ids are unique."""

    id: Identifier
    version: str
    title: str
    purpose: list[str]
    levels: list[Level] = Field(min_length=4, max_length=4)
    groups: list[Group] = Field(min_length=1)
    applications: list[Application]
    tools: list[Tool]
    continuous_learning: list[Item]

    @property
    def competencies(self) -> list[Competency]:
        """All competencies, in the order of the groups."""
        return [competency for group in self.groups for competency in group.competencies]

    @model_validator(mode="after")
    def _check(self) -> "Framework":
        mistakes = [
            f"{kind} ids must be unique; {one} stands twice"
            for kind, items in (
                ("level", self.levels), ("group", self.groups), ("competency", self.competencies),
                ("application", self.applications), ("tool", self.tools), ("continuous learning", self.continuous_learning),
            )
            for one in _doubles([item.id for item in items])
        ]  # fmt: skip
        cuts = [level.cut for level in self.levels]
        if cuts != sorted(set(cuts)):
            mistakes.append(f"the levels' cuts must rise from level to level; found {cuts}")
        levels = {level.id for level in self.levels}
        for competency in self.competencies:
            if competency.levels and set(competency.levels) != levels:
                wrong = ", ".join(sorted(set(competency.levels) ^ levels))
                mistakes.append(f"competency {competency.id}: descriptors for each level and no other; wrong: {wrong}")
        names = [competency.id for competency in self.competencies]
        former = [name for competency in self.competencies for name in competency.formerly]
        mistakes += [f"formerly: {name} is the id of a competency now, or stands twice" for name in _doubles(names + former)
                     if name in former]  # fmt: skip
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self


def _doubles(names: list[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


class Match(_Model):
    """Conditions on a statement, all of which must hold; see `alignment.yaml`."""

    verb: OneOrMore = None
    activity_type: OneOrMore = None
    platform: OneOrMore = None
    source: OneOrMore = None
    activity_id: str | None = None
    activity_name: str | None = None
    course: str | None = None
    feature: str | None = None

    @model_validator(mode="after")
    def _check(self) -> "Match":
        if all(value is None for value in self.__dict__.values()):
            raise ValueError("a rule must match on something; this one would take every statement")
        return self


class Rule(_Model):
    """One alignment rule: which statements speak to which competency, pitched at which level, how strongly."""

    name: str
    match: Match
    competency: str
    level: str
    weight: float = Field(ge=0, le=10)  # 0: seen, and no evidence
    guess: float | None = Field(None, ge=0, le=0.9)  # chance of success without the ability; none: the parameters'
    slip: float | None = Field(None, ge=0, le=0.9)  # chance of failure in spite of it
    outcome: Literal["score", "success", "completion"] | Annotated[float, Field(ge=0, le=1)]
    expand: bool = False


def parse_framework(text: str, where: str) -> Framework:
    """A framework from YAML text. SettingsError naming each mistake and its place in `where`."""
    try:
        return Framework.model_validate(yaml.safe_load(text))
    except (ValidationError, yaml.YAMLError) as error:
        raise SettingsError(f"The framework in {where} is not valid:\n{_mistakes(error)}", "Mend the file.") from None


def parse_rules(text: str, where: str, framework: Framework) -> list[Rule]:
    """Alignment rules from YAML text, expanded over the framework's competencies and levels, in order."""
    try:
        rules = [Rule.model_validate(item) for item in yaml.safe_load(text)]
    except (ValidationError, yaml.YAMLError, TypeError) as error:
        raise SettingsError(f"The rules in {where} are not valid:\n{_mistakes(error)}", "Mend the file.") from None
    expanded = [one for rule in rules for one in (_expand(rule, framework) if rule.expand else [rule])]
    competencies = {competency.id for competency in framework.competencies}
    levels = {level.id for level in framework.levels}
    mistakes = [
        f"  rule {rule.name}: {kind} {name!r} is not in the framework"
        for rule in expanded
        for kind, name, known in (("competency", rule.competency, competencies), ("level", rule.level, levels))
        if name not in known
    ]
    if mistakes:
        raise SettingsError(f"The rules in {where} are not valid:\n" + "\n".join(mistakes), "Mend the file.")
    return expanded


def _expand(rule: Rule, framework: Framework) -> list[Rule]:
    template = rule.model_dump_json()
    return [
        Rule.model_validate_json(
            template.replace("{competency}", competency.id).replace("{level}", level.id)
        ).model_copy(update={"expand": False})
        for competency in framework.competencies
        for level in framework.levels
    ]


def _mistakes(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "\n".join(f"  {'.'.join(map(str, one['loc'])) or 'top'}: {one['msg']}" for one in error.errors())
    return f"  {error}"
