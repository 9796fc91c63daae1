"""The competency framework, as data models. Reading the file is the caller's."""

from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.errors import SettingsError

Identifier = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


class Model(BaseModel):
    """A data model that knows its fields, and no others."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Item(Model):
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


class Framework(Model):
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


def parse_framework(text: str, where: str) -> Framework:
    """A framework from YAML text. SettingsError naming each mistake and its place in `where`."""
    try:
        return Framework.model_validate(read_yaml(text))
    except (ValidationError, yaml.YAMLError) as error:
        raise SettingsError(f"The framework in {where} is not valid:\n{mistakes(error)}", "Mend the file.") from None


def read_yaml(text: str) -> Any:
    """What YAML text says, by the parser in C where PyYAML has it."""
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe loaders


def mistakes(error: Exception) -> str:
    """What is wrong with a file, a line for each mistake, with its place."""
    if isinstance(error, ValidationError):
        return "\n".join(f"  {'.'.join(map(str, one['loc'])) or 'top'}: {one['msg']}" for one in error.errors())
    return f"  {error}"
