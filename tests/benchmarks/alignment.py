"""Alignment: 10,000 rules on a million statements, each of another activity or nearly so."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from connectors import warehouse
from connectors.dbt import DbtProject
from flows.opening import definitions, identities, lake_of
from flows.settings import Settings
from schemas.alignment import Match, Rule
from tests.benchmarks import synthetic_lake
from transforms.calibration import Calibration
from transforms.seeds import seeds

_RULES, _STATEMENTS = 10_000, 1_000_000


def speed(folder: Path, scale: int) -> list[dict[str, Any]]:
    """Seconds of int_alignments with many rules and with a few, on as many kinds of statements."""
    statements = _STATEMENTS // scale
    many, kinds = _seconds(folder / "many", _RULES, statements)
    few, _ = _seconds(folder / "few", _RULES // 100, statements)
    return [
        {"what": f"{_RULES // 100:,} rules on {statements:,} statements, s", "figure": few, "bar": "", "met": True},
        {"what": f"{_RULES:,} rules on {statements:,} statements of {kinds:,} kinds, s", "figure": many, "bar": "< 60",
         "met": many < 60},
    ]  # fmt: skip


def _seconds(home: Path, count: int, statements: int) -> tuple[float, int]:
    settings = Settings(home=home)
    chosen = definitions(settings)
    synthetic_lake.write(settings.lake_folder, chosen.framework, 1_000, statements, activities=20_000)
    competencies, levels = (
        [one.id for one in chosen.framework.competencies],
        [one.id for one in chosen.framework.levels],
    )
    rules = tuple(_rule(n, competencies[n % len(competencies)], levels[n % len(levels)]) for n in range(count))
    project = DbtProject(
        home / "dbt",
        seeds(replace(chosen, rules=rules), Calibration()),
        settings.warehouse,
        settings.compiled_folder,
        "6GB",
    )
    warehouse.begin_load(settings.warehouse, lake_of(settings), project.digest, identities(settings))
    project.invoke("seed", "--full-refresh")
    project.invoke("run", "--full-refresh", "--select", "stg_statements")
    started = time.perf_counter()
    project.invoke("run", "--full-refresh", "--select", "int_alignments")
    seconds = time.perf_counter() - started
    counted = "select count(distinct alignment_key) as kinds, count(competency) as aligned from int_alignments"
    row = warehouse.rows(settings.warehouse, counted)[0]
    assert row["aligned"] > 0
    return seconds, int(row["kinds"])


def _rule(number: int, competency: str, level: str) -> Rule:
    """Rules of four kinds: an activity, a range of them, an ending, and a range that asks for verb and score too."""
    here = f"https://lms.example.org/{competency}/{level}/"
    match = (
        Match(activity_id=f"{here}{number}"),
        Match(activity_id=f"{here}{number}*"),
        Match(activity_id=f"*{competency}/{level}/*{number}"),
        Match(activity_id=f"{here}*{number}*", verb="http://adlnet.gov/expapi/verbs/scored", has="score"),
    )[number // 56 % 4]
    return Rule(name=f"rule-{number}", match=match, competency=competency, level=level, weight=1, outcome="score")
