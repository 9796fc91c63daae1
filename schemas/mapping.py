"""How the rows of a table become statements: a mapping file, as its YAML says it."""

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from schemas.errors import SettingsError

# Text in which {column} stands for the cell of that column.
Template = Annotated[str, Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ActorMapping(_Part):
    """Who: by `mail`, or by an account's `home_page` and `account`."""

    name: Template | None = None
    mail: Template | None = None
    home_page: Template | None = None
    account: Template | None = None


class ActivityMapping(_Part):
    """What it was on."""

    id: Template
    name: Template | None = None
    description: Template | None = None
    type: Template | None = None


class ResultMapping(_Part):
    """With what outcome; what is empty in a row is left out of its statement."""

    scaled: Template | None = None
    raw: Template | None = None
    min: Template | None = None
    max: Template | None = None
    success: Template | None = None
    completion: Template | None = None


class Mapping(_Part):
    """A mapping. `values` replaces what stands in a column's cells; where a replacement is null, the row is left out."""

    actor: ActorMapping
    verb: Template
    activity: ActivityMapping
    result: ResultMapping = ResultMapping()
    timestamp: Template
    course: Template | None = None
    language: str = Field("en", pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")
    time_format: str | None = None  # as datetime.strptime has it; none: ISO 8601
    time_zone: str | None = None  # of times that name none, such as Europe/Berlin
    decimal: str = Field(".", pattern=r"^[.,]$")
    delimiter: str | None = Field(None, min_length=1, max_length=1)  # of CSV; none: found out
    sheet: str | None = None  # of XLSX; none: the first
    true: frozenset[str] = frozenset({"true", "yes", "1", "passed", "completed"})
    false: frozenset[str] = frozenset({"false", "no", "0", "failed", "not completed"})
    values: dict[str, dict[str, str | None]] = {}

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError):
                raise ValueError(f"there is no time zone {name!r}") from None
        return name


def parse_mapping(text: str, where: str) -> Mapping:
    """The mapping of a YAML text. SettingsError that names each wrong place."""
    try:
        return Mapping.model_validate(yaml.safe_load(text) or {})
    except yaml.YAMLError as error:
        raise SettingsError(f"{where} is not valid YAML: {error}", "Mend the line that is named.") from None
    except ValidationError as error:
        lines = "\n".join(f"  {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise SettingsError(f"{where} is no mapping:\n{lines}", "docs/sources/files.md shows one.") from None
