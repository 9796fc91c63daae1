"""People and teams beside roles: what is met and what is not, who covers what, and what to do next."""

from collections import defaultdict
from typing import Any

from connectors.warehouse import parquet_rows
from flows.opening import definitions
from flows.reading import people, published
from flows.settings import Settings
from schemas.errors import InputError

_GAPS = "select * from mart where role = $1 and ($2 is null or list_contains($2, person)) order by person, p_met"
_STEPS = "select * from mart where list_contains($1, person) and ($2 is null or role = $2) order by role, step"
_TEAM = "select person from mart where attribute = 'team' and value = $1"


def gaps(settings: Settings, role: str, person: str | None = None, team: str | None = None) -> list[dict[str, Any]]:
    """Rows of mart_role_gaps for a role: of one person, of a team, or of everyone; those least met first."""
    _check(settings, role)
    chosen = people(settings, person) if person else None
    if team:
        path = published(settings, "dim_person_attribute")
        chosen = [row["person"] for row in parquet_rows(path, _TEAM, [team])]
    rows = parquet_rows(published(settings, "mart_role_gaps"), _GAPS, [role, chosen])
    if not rows:
        raise InputError(
            f"Nothing is known of {person or team or 'anyone'}.",
            "Give the person as `proficio levels` lists them, or a team that identity.attributes names.",
        )
    return rows


def coverage(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each competency of a role how a group of people covers it: who meets it, and whether it depends on one of them."""
    grouped: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        grouped[row["competency"]].append(row)
    found = []
    for competency, of in grouped.items():
        meeting = sorted((row for row in of if row["status"] == "met"), key=lambda row: -row["p_met"])
        found.append(
            {
                "competency": competency,
                "competency_name": of[0]["competency_name"],
                "required_level_name": of[0]["required_level_name"],
                "people": len(of),
                "met_by": [row["person"] for row in meeting],
                "expected_to_meet": sum(row["p_met"] for row in of),
                "risk": "nobody" if not meeting else "one person" if len(meeting) == 1 else "",
            }
        )
    return sorted(found, key=lambda one: (len(one["met_by"]), one["expected_to_meet"]))


def next_steps(settings: Settings, person: str, role: str | None = None) -> list[dict[str, Any]]:
    """Rows of mart_next_steps for a person, for one role or all."""
    if role:
        _check(settings, role)
    return parquet_rows(published(settings, "mart_next_steps"), _STEPS, [people(settings, person), role])


def _check(settings: Settings, role: str) -> None:
    known = [one.id for one in definitions(settings).roles]
    if role not in known:
        raise InputError(f"There is no role {role}.", f"Give one of {', '.join(known) or 'none: add roles.yaml'}.")
