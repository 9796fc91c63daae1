"""Criteria, as data models: what must be shown, beside the estimate, before a level is reported."""

from collections import Counter
from itertools import chain, product
from math import prod
from typing import Literal

from pydantic import Field, model_validator

from schemas.activity_types import parse_list
from schemas.errors import SettingsError
from schemas.framework import Framework, Identifier, Item, Model

MOST_ALTERNATIVES = 64


class Condition(Model):
    """Evidence that a criterion asks for: at least `count` pieces that fit all that is given. `*` stands for any characters."""

    activity: str | None = None  # the activity's id
    kind: list[Literal["practice", "graded", "reviewed", "judged", "self"]] | None = None
    level: Identifier | None = None  # pitched at this level or above
    outcome: float = Field(0.5, ge=0, le=1)  # at least
    count: int = Field(1, ge=1)


class Need(Model):
    """All of some needs, any of some, or a condition on evidence."""

    all: list["Need"] | None = Field(None, min_length=1)
    any: list["Need"] | None = Field(None, min_length=1)
    evidence: Condition | None = None

    @model_validator(mode="after")
    def _check(self) -> "Need":
        if sum(one is not None for one in (self.all, self.any, self.evidence)) != 1:
            raise ValueError("expected one of all, any, evidence")
        return self

    @property
    def alternatives(self) -> list[list[Condition]]:
        """The disjunctive normal form: lists of conditions, one of which must hold in all its conditions."""
        if self.evidence:
            return [[self.evidence]]
        if self.any:
            return [one for need in self.any for one in need.alternatives]
        return [list(chain(*chosen)) for chosen in product(*(need.alternatives for need in self.all or []))]

    @property
    def ways(self) -> int:
        """How many alternatives there are, without making them."""
        if self.all:
            return prod(need.ways for need in self.all)
        return sum(need.ways for need in self.any) if self.any else 1

    @property
    def conditions(self) -> list[Condition]:
        """Every condition in it."""
        own = [self.evidence] if self.evidence else []
        return own + [one for need in (self.all or self.any or []) for one in need.conditions]


class Criterion(Item):
    """What must be shown before a competency is reported at a level or above."""

    competency: Identifier
    level: Identifier
    needs: Need


def parse_criteria(text: str, where: str, framework: Framework) -> list[Criterion]:
    """Criteria from YAML text. SettingsError naming each mistake: an id that stands twice, what the framework does not have."""
    criteria = parse_list(Criterion, text, where)
    competencies = {one.id for one in framework.competencies}
    levels = {level.id for level in framework.levels}
    doubles = [name for name, count in Counter(one.id for one in criteria).items() if count > 1]
    wrong = [f"  criterion {name}: the id stands twice" for name in doubles]
    for one in criteria:
        if one.competency not in competencies:
            wrong.append(f"  criterion {one.id}: competency {one.competency!r} is not in the framework")
        named = {one.level, *(condition.level for condition in one.needs.conditions if condition.level)}
        wrong += [f"  criterion {one.id}: level {level!r} is not in the framework" for level in sorted(named - levels)]
        if one.needs.ways > MOST_ALTERNATIVES:
            wrong.append(f"  criterion {one.id}: more than {MOST_ALTERNATIVES} ways to meet it; split it in several")
    if wrong:
        raise SettingsError(f"The criteria in {where} are not valid:\n" + "\n".join(wrong), "Mend the file.")
    return criteria
