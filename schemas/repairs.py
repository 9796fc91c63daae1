"""Named repairs as data: which deviation of which source becomes what. Applying them is `transforms.repair`."""

import re
from dataclasses import dataclass

import yaml

from schemas.errors import SettingsError


@dataclass(frozen=True)
class Repair:
    """One known deviation and its mending; see `repairs.yaml` for the meaning of each field."""

    name: str
    extension: str
    at: tuple[tuple[str, ...], ...]
    matches: re.Pattern[str]
    becomes: str


def parse_repairs(text: str, off: frozenset[str] = frozenset()) -> tuple[Repair, ...]:
    """The repairs of a YAML text, less those named in `off` ("*": all). SettingsError for unknown names in `off`."""
    repairs = tuple(
        Repair(
            name=item["name"],
            extension=item["extension"],
            at=tuple(tuple(pointer.split("/")[1:]) for pointer in item["at"]),
            matches=re.compile(item["matches"]),
            becomes=item["becomes"],
        )
        for item in yaml.safe_load(text)
    )
    unknown = off - {"*"} - {repair.name for repair in repairs}
    if unknown:
        raise SettingsError(
            f"land.repairs_off names repairs that do not exist: {', '.join(sorted(unknown))}",
            f"Repairs are: {', '.join(repair.name for repair in repairs)}.",
        )
    return () if "*" in off else tuple(repair for repair in repairs if repair.name not in off)
