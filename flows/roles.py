"""People and teams beside roles: what is met and what is not, and what to do next."""

from typing import Any

from connectors.warehouse import parquet_rows
from flows.opening import definitions
from flows.reading import people, published
from flows.settings import Settings
from schemas.errors import InputError

_GAPS = "select * from mart where role = $1 and ($2 is null or list_contains($2, person)) order by person, p_met"
_STEPS = "select * from mart where list_contains($1, person) and ($2 is null or role = $2) order by role, step"
_TEAMS = "select distinct value from mart where attribute = 'team' order by value"
_TEAM = "select person from mart where attribute = 'team' and value = $1 order by person"


def gaps(settings: Settings, role: str, person: str | None = None, team: str | None = None) -> list[dict[str, Any]]:
    """Rows of mart_role_gaps for a role: of one person, of a team, or of everyone; those least met first."""
    role = role_called(settings, role)
    chosen = people(settings, person) if person else members(settings, team) if team else None
    rows = parquet_rows(published(settings, "mart_role_gaps"), _GAPS, [role, chosen])
    if not rows:
        raise InputError(
            f"Nothing is known of {person or team or 'anyone'}.",
            "Give the person as `proficio levels` lists them, or a team that identity.attributes names.",
        )
    return rows


def next_steps(settings: Settings, person: str, role: str | None = None) -> list[dict[str, Any]]:
    """Rows of mart_next_steps for a person, for one role or all."""
    if role:
        role = role_called(settings, role)
    return parquet_rows(published(settings, "mart_next_steps"), _STEPS, [people(settings, person), role])


def members(settings: Settings, team: str) -> list[str]:
    """The people of a team. InputError where there is none of that name."""
    found = parquet_rows(published(settings, "dim_person_attribute"), _TEAM, [team])
    if not found:
        known = ", ".join(row["value"] for row in parquet_rows(published(settings, "dim_person_attribute"), _TEAMS, []))
        raise InputError(
            f"There is no team {team}.",
            f"Give one of {known}." if known else "Say who is in which team: identity.attributes in the settings.",
        )
    return [row["person"] for row in found]


def role_called(settings: Settings, called: str) -> str:
    """The id of a role, which is given by its id or its name. InputError where there is none."""
    known = definitions(settings).roles
    for one in known:
        if called.casefold() in (one.id.casefold(), one.name.casefold()):
            return one.id
    named = ", ".join(one.id for one in known)
    raise InputError(f"There is no role {called}.", f"Give one of {named or 'none: add roles.yaml'}.")
