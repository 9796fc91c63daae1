"""Reads what was published: levels for the command line. Nothing here waits for a writer."""

from pathlib import Path
from typing import Any

from connectors.warehouse import parquet_rows
from flows.engines import engine
from flows.opening import identities
from flows.settings import Settings, Target
from schemas.errors import InputError
from transforms.identity import as_account

_LEVELS = "select * from mart where $1 is null or list_contains($1, person) order by person, competency"
_NAMES = "select person, person_name from mart where person_name is not null and ($1 is null or person_name = $1)"


def levels(settings: Settings, person: str | None = None, target: Target = "duckdb") -> list[dict[str, Any]]:
    """The levels, of one person (their key, an account, a mail address or the name) or of all: published ones, or Spark's."""
    rows, names = _of_spark(settings, person) if target == "spark" else _published(settings, person)
    if person and not rows:
        raise InputError(
            f"Nothing is known of {person}.", "Give the person as `proficio levels` lists them, or a mail address."
        )
    return [
        {
            "person": row["person"],
            "person_name": names.get(row["person"]),
            "competency": row["competency"],
            "competency_name": row["competency_name"],
            "level": row["level"],
            "level_name": row["level_name"],
            "p_at_least": [row[f"p_at_least_{level}"] for level in range(1, 5)],
            "ability_mean": row["ability_mean"],
            "ability_sd": row["ability_sd"],
            "ability_low": row["ability_low"],
            "ability_high": row["ability_high"],
            "evidence_count": row["evidence_count"],
            "evidence_weight": row["evidence_weight"],
            "insufficient_evidence": row["insufficient_evidence"],
            "last_evidence_at": row["last_evidence_at"],
            "stale": row["stale"],
        }
        for row in rows
    ]


def _published(settings: Settings, person: str | None) -> tuple[list[dict[str, Any]], dict[str, str]]:
    path = published(settings, "mart_levels")
    return parquet_rows(path, _LEVELS, [people(settings, person) if person else None]), _names(settings)


def _of_spark(settings: Settings, person: str | None) -> tuple[list[dict[str, Any]], dict[str, str]]:
    with engine(settings, "spark") as opened:
        named = opened.rows("select person, person_name from dim_person where person_name is not null", [])
        names = {row["person"]: row["person_name"] for row in named}
        if person is None:
            return opened.rows("select * from mart_levels order by person, competency", []), names
        keys = [*_keys(settings, person), *(key for key, name in names.items() if name == person)]
        asked = ", ".join("?" * len(keys))
        query = f"select * from mart_levels where person in ({asked}) order by competency"  # noqa: S608 - places of parameters
        return opened.rows(query, keys), names


def people(settings: Settings, called: str) -> list[str]:
    """Who may be meant by a person's key, an account, a mail address or a name: their keys."""
    return [*_keys(settings, called), *_names(settings, called)]


def _keys(settings: Settings, called: str) -> list[str]:
    known = identities(settings)
    return [called.lower(), known.person_key(called), known.person_key(as_account(called))]


def one_person(settings: Settings, called: str) -> str:
    """The key of the one person who is meant. InputError where nobody is, or several."""
    found = sorted({row["person"] for row in levels(settings, called)})
    if len(found) > 1:
        raise InputError(f"{called} may be several people.", "Give a mail address, an account or the person's key.")
    return str(found[0])


def _names(settings: Settings, name: str | None = None) -> dict[str, str]:
    """The names of people by their keys, of those called `name` or of all; none before they are published."""
    path = settings.identified / "dim_person.parquet"
    rows = parquet_rows(path, _NAMES, [name]) if path.exists() else []
    return {row["person"]: row["person_name"] for row in rows}


def evidence(settings: Settings, person: str) -> list[dict[str, Any]]:
    """The published evidence of one person, newest first."""
    path = published(settings, "mart_evidence")
    return parquet_rows(path, "select * from mart where person = $1 order by occurred_at desc", [person])


def published(settings: Settings, mart: str) -> Path:
    """The file that a mart was published as. InputError where it was not yet."""
    path = settings.published / f"{mart}.parquet"
    if not path.exists():
        raise InputError("No levels are published yet.", "Run the pipeline: proficio run.")
    return path
