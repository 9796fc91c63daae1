"""What the type of an activity says of its answers, as data models: chance of guessing, of slipping, whether grades replace."""

from typing import Any, TypeVar

import yaml
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from schemas.errors import SettingsError
from schemas.framework import Model, mistakes, read_yaml

Kind = TypeVar("Kind", bound=Model)


class ActivityType(Model):
    """Statements whose activity type, interaction type and verb fit, as far as given; `*` stands for any characters.

    `guess` is the chance of success without the ability, `slip` that of failure in spite of it. Where `only_latest`, the
    newest statement of a person about an activity replaces the ones before, as a re-grade does.
    """

    activity_type: str | None = None
    interaction_type: str | None = None
    verb: str | None = None
    guess: float | None = Field(None, ge=0, le=0.9)
    slip: float | None = Field(None, ge=0, le=0.9)
    only_latest: bool = False

    @model_validator(mode="after")
    def _check(self) -> "ActivityType":
        if not (self.activity_type or self.interaction_type or self.verb):
            raise ValueError("expected activity_type, interaction_type or verb")
        if self.guess is None and self.slip is None and not self.only_latest:
            raise ValueError("says nothing: expected guess, slip or only_latest")
        return self


def parse_activity_types(text: str, where: str) -> list[ActivityType]:
    """Activity types from YAML text, in order. SettingsError naming each mistake and its place in `where`."""
    return parse_list(ActivityType, text, where)


def parse_list(kind: type[Kind], text: str, where: str) -> list[Kind]:
    """A list of data models from YAML text. SettingsError naming each mistake and its place in `where`."""
    try:
        items: Any = read_yaml(text) or []
        return TypeAdapter(list[kind]).validate_python(items)  # type: ignore[valid-type]
    except (ValidationError, yaml.YAMLError) as error:
        raise SettingsError(f"{where} is not valid:\n{mistakes(error)}", "Mend the file.") from None
