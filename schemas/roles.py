"""Roles, as data models: the level of each competency that a kind of work requires."""

from collections import Counter

from pydantic import Field

from schemas.activity_types import parse_list
from schemas.errors import SettingsError
from schemas.framework import Framework, Identifier, Item


class Role(Item):
    """A role; `requires` maps the ids of competencies to those of levels."""

    requires: dict[Identifier, Identifier] = Field(min_length=1)


def parse_roles(text: str, where: str, framework: Framework) -> list[Role]:
    """Roles from YAML text. SettingsError naming each mistake: an id that stands twice, what the framework does not have."""
    roles = parse_list(Role, text, where)
    competencies = {one.id: one for one in framework.competencies}
    levels = [level.id for level in framework.levels]
    wrong = [
        f"  role {name}: the id stands twice" for name, count in Counter(role.id for role in roles).items() if count > 1
    ]
    for role in roles:
        for competency, level in role.requires.items():
            if competency not in competencies:
                wrong.append(f"  role {role.id}: competency {competency!r} is not in the framework")
            elif competencies[competency].retired:
                wrong.append(f"  role {role.id}: competency {competency!r} is retired")
            if level not in levels:
                wrong.append(
                    f"  role {role.id}: level {level!r} is not in the framework, which has {', '.join(levels)}"
                )
    if wrong:
        raise SettingsError(f"The roles in {where} are not valid:\n" + "\n".join(wrong), "Mend the file.")
    return roles
