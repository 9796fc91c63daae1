"""`proficio report`: what is published of a person, a team or a role, as a page and a PDF."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from connectors import audit
from connectors.marts import Marts
from connectors.pdf import write_pdf
from connectors.storage import storage_errors
from connectors.warehouse import parquet_rows
from flows.opening import definitions, erased
from flows.reading import one_person, people, published
from flows.roles import members, role_called
from flows.settings import Settings
from schemas.errors import InputError
from transforms.coverage import Expected
from transforms.reports.group import role_report, team_report
from transforms.reports.person import Known, person_report
from transforms.reports.rendering import Made

Kind = Literal["person", "team", "role"]
SINCE = timedelta(days=180)
CANDIDATES = 15  # of a role who are shown

_TEAMS = "select distinct value as team from mart where attribute = 'team' order by value"
_CANDIDATES = """
select person, expected_met, expected_met_sd, required from mart
where role = $1 and ($2 is null or list_contains($2, person)) order by expected_met desc, person
"""


@dataclass(frozen=True)
class Report:
    """What was written, and about what."""

    kind: Kind
    html: str
    pdf: str | None


@dataclass(frozen=True)
class Asked:
    """What a report is to be about and beside: see `proficio report --help`."""

    subject: str
    kind: Kind | None = None
    role: str | None = None
    team: str | None = None
    since: date | None = None
    named: bool = True


def report(settings: Settings, asked: Asked, folder: Path, pdf: bool = True) -> Report:
    """Write the report on what is asked, as HTML and, where asked, PDF. InputError where nothing, or several things, are meant.

    Whose data was looked at is noted in the audit log.
    """
    published(settings, "mart_levels")
    role = role_called(settings, asked.role) if asked.role else None
    kind, key = _meant(settings, asked)
    making = {"person": _person, "team": _team, "role": _of_role}[kind]
    html = making(settings, key, asked, role)
    path = folder / f"report-{_slug(asked.subject)}.html"
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if pdf:
        write_pdf(html, path.with_suffix(".pdf"))
    with storage_errors(path):
        path.write_text(html, "utf-8")
    subject = _digest(settings, key) if kind == "person" else key
    audit.note(settings.home / "audit.jsonl", "report", kind=kind, subject=subject, role=role, team=asked.team)
    return Report(kind, str(path), str(path.with_suffix(".pdf")) if pdf else None)


def _meant(settings: Settings, asked: Asked) -> tuple[Kind, str]:
    """What is meant: the id of a role, the name of a team, or the key of a person."""
    found: dict[Kind, str] = {}
    with suppress(InputError):
        found["role"] = role_called(settings, asked.subject)
    teams = [row["team"] for row in parquet_rows(published(settings, "dim_person_attribute"), _TEAMS, [])]
    if asked.subject in teams:
        found["team"] = asked.subject
    if asked.kind == "person" or (not found and asked.kind is None):
        called = {row["person"] for row in _marts(settings).levels(people(settings, asked.subject))}
        if called:
            found["person"] = called.pop() if len(called) == 1 else one_person(settings, asked.subject)
    if asked.kind:
        found = {kind: key for kind, key in found.items() if kind == asked.kind}
    if len(found) > 1:
        raise InputError(f"{asked.subject} is both {' and '.join(found)}.", f"Say which: --as {next(iter(found))}.")
    if not found:
        roles = ", ".join(one.id for one in definitions(settings).roles) or "none"
        raise InputError(
            f"{asked.subject} is no {asked.kind or 'person, team or role'} that is known.",
            f"Give a person as `proficio levels` lists them, a team ({', '.join(teams[:10]) or 'none'}) or a role ({roles}).",
        )
    return next(iter(found.items()))


def _person(settings: Settings, person: str, asked: Asked, role: str | None) -> str:
    marts, framework = _marts(settings), definitions(settings).framework
    order = {one.id: number for number, one in enumerate(framework.competencies)}
    levels = sorted(marts.levels([person]), key=lambda row: order[row["competency"]])
    known = Known(
        levels=levels,
        history=marts.of("mart_level_history", [person]),
        evidence=marts.evidence(person),
        explanations=marts.of("mart_explanations", [person]),
        gaps=marts.gaps(person),
        next_steps=marts.next_steps(person),
        portfolio=marts.of("mart_portfolio", [person]),
        continuous_learning=marts.of("mart_continuous_learning", [person]),
        disputes=marts.disputes([person]),
        stuck=marts.of("mart_stuck", [person]),
    )
    name = _names(marts, [person], asked).get(person, person)
    since = asked.since or datetime.now(UTC).date() - SINCE
    return person_report(framework, name, known, role, since, _made(marts, levels))


def _team(settings: Settings, team: str, asked: Asked, role: str | None) -> str:
    marts, framework = _marts(settings), definitions(settings).framework
    of_team = members(settings, team)
    levels = marts.levels(of_team)
    gaps = [row for row in marts.of("mart_role_gaps", of_team) if role in (None, row["role"])]
    steps = [row for row in marts.of("mart_next_steps", of_team) if role in (None, row["role"])]
    return team_report(framework, team, levels, gaps, steps, _names(marts, of_team, asked), _made(marts, levels))


def _of_role(settings: Settings, role: str, asked: Asked, _: str | None) -> str:
    marts, framework = _marts(settings), definitions(settings).framework
    of_team = members(settings, asked.team) if asked.team else None
    rows = parquet_rows(published(settings, "mart_role_readiness"), _CANDIDATES, [role, of_team])
    if not rows:
        raise InputError(f"Nobody's levels are known beside {role}.", "Run the pipeline: proficio run.")
    candidates = {row["person"]: Expected(row["expected_met"], row["expected_met_sd"], row["required"]) for row in rows}
    shown = list(candidates)[:CANDIDATES]
    gaps = [row for row in marts.of("mart_role_gaps", shown) if row["role"] == role]
    levels = marts.levels(shown)
    among = f"team {asked.team}" if asked.team else "everyone"
    return role_report(framework, among, candidates, levels, gaps, _names(marts, shown, asked), _made(marts, levels))


def _marts(settings: Settings) -> Marts:
    return Marts(settings.published, settings.identified)


def _names(marts: Marts, people: Sequence[str], asked: Asked) -> dict[str, str]:
    """What people are called: by name, else by mail address or another account; nobody where the report is to name nobody."""
    if not asked.named:
        return {}
    rows = marts.of("dim_person", people)
    return {
        row["person"]: row["person_name"] or (row["mail_address"] or row["accounts"]).removeprefix("mailto:")
        for row in rows
    }


def _made(marts: Marts, levels: Sequence[dict[str, Any]]) -> Made:
    now = datetime.now(UTC)
    if not levels:
        raise InputError("None of them has a level yet.", "Look with `proficio levels` who has.")
    return Made(now, marts.published_at() or now, levels[0]["framework_version"], levels[0]["parameters_version"])


def _digest(settings: Settings, person: str) -> str:
    accounts = _marts(settings).accounts(person)
    return erased(settings).digest_of(accounts[0] if accounts else person)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-") or "subject"
