"""All that a framework's folder says: competencies, alignment rules, activity types, roles, criteria."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from schemas.activity_types import ActivityType, parse_activity_types
from schemas.alignment import Rule, parse_rules
from schemas.criteria import Criterion, parse_criteria
from schemas.framework import Framework, parse_framework
from schemas.roles import Role, parse_roles

REQUIRED = ("framework.yaml", "alignment.yaml")
OPTIONAL = ("activity_types.yaml", "roles.yaml", "criteria.yaml")


@dataclass(frozen=True)
class Definitions:
    """What levels are about, what is evidence of them, what they are wanted for, and what they need beside the estimate."""

    framework: Framework
    rules: tuple[Rule, ...]
    activity_types: tuple[ActivityType, ...] = ()
    roles: tuple[Role, ...] = ()
    criteria: tuple[Criterion, ...] = ()


def parse_definitions(texts: Mapping[str, str], folder: Path) -> Definitions:
    """Definitions from the texts of the files in `folder`, by name, of which optional ones may be missing. SettingsError."""
    framework = parse_framework(texts["framework.yaml"], str(folder / "framework.yaml"))
    given = {name: (texts.get(name, ""), str(folder / name)) for name in (*REQUIRED, *OPTIONAL)}
    return Definitions(
        framework,
        tuple(parse_rules(*given["alignment.yaml"], framework)),
        tuple(parse_activity_types(*given["activity_types.yaml"])),
        tuple(parse_roles(*given["roles.yaml"], framework)),
        tuple(parse_criteria(*given["criteria.yaml"], framework)),
    )
