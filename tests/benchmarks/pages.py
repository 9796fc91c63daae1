"""Pages: how soon a learner's pages come, over published marts of 100,000 people."""

import os
import random
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import httpx

from connectors.pages.sessions import Session, Sessions
from connectors.publication import IDENTIFYING, ROW_GROUP
from flows.opening import definitions, own_key
from flows.settings import Settings
from tests.broker import free_port

_PEOPLE, _PIECES, _ASKED = 100_000, 100, 300


def speed(folder: Path, scale: int) -> list[dict[str, Any]]:
    """Random people's levels, and a competency of theirs, one after the other."""
    settings = Settings(home=folder / ".proficio")
    settings.published.mkdir(parents=True)
    settings.identified.mkdir()
    people = _PEOPLE // scale
    _publish(settings, people)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "serve", "--port", str(port)], cwd=folder, stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PROFICIO_HOME": str(settings.home),
             "PROFICIO_PAGES__URL": url},
    )  # fmt: skip
    sessions = Sessions(own_key(settings.home / "sessions.key"))
    rows = []
    try:
        with httpx.Client(base_url=url, timeout=30) as browser:
            while not _answers(browser):
                time.sleep(0.2)
            for name, path in {"levels": "/me", "a competency": "/me/competencies/data-literacy"}.items():
                seconds = []
                for turn in range(_ASKED + 10):
                    person = f"{random.Random(turn).randrange(people):032x}"
                    token = sessions.give(Session(person, "mailto:x@example.org"))
                    begun = time.perf_counter()
                    answer = browser.get(path, params={"session": token})
                    seconds.append(time.perf_counter() - begun)
                    assert answer.status_code == 200
                    assert "Data literacy" in answer.text
                    assert "Exercise" in answer.text
                p95 = statistics.quantiles(seconds[10:], n=20)[18] * 1000
                rows.append(
                    {
                        "what": f"page of {name}, {people:,} people, p95 ms",
                        "figure": p95,
                        "bar": "< 200",
                        "met": p95 < 200,
                    }
                )
    finally:
        process.terminate()
        process.wait()
    return rows


def _answers(browser: httpx.Client) -> bool:
    try:
        return browser.get("/health").status_code == 200
    except httpx.TransportError:
        return False


def _publish(settings: Settings, people: int) -> None:
    """Marts of so many people, 100 pieces of evidence each, in their columns and their order."""
    framework = definitions(settings).framework
    competencies = ", ".join(f"'{one.id}'" for one in framework.competencies)
    person = "printf('%032x', i) as person"
    tables = {
        "mart_levels": f"""select {person}, c as competency, c as competency_name, 'g' as group_name, 2 as level, '' as level_name,
            .99 as p_at_least_1, .8 as p_at_least_2, .2 as p_at_least_3, .01 as p_at_least_4, random() as ability_mean,
            .5 as ability_sd, -.5 as ability_low, 1.2 as ability_high, 8::bigint as evidence_count, 7.5 as evidence_weight,
            false as insufficient_evidence, 2 as reported_level, '' as reported_level_name, '' as criteria_met,
            '' as criteria_open, null::int as self_assessed_level, now() as last_evidence_at, false as stale,
            '1' as framework_version, '1' as parameters_version
            from range({people}) r(i), (select unnest([{competencies}]) as c)""",
        "mart_evidence": f"""select {person}, [{competencies}][1 + n % 14] as competency, 'name' as competency_name,
            'https://lms.example.org/activity/' || (random() * 5000)::int as activity_id, 'Exercise ' || n as activity_name,
            1 + n % 3 as pitched_level, 'Beginner' as pitched_level_name, -.5 + n % 3 as difficulty,
            (random() < .7)::int::double as outcome, 1.0 as weight, 1.0 as slope, 0.0 as guess, 0.0 as slip,
            now() - to_days(n) as occurred_at, uuid()::varchar as statement_id, 's' as source, 'r' as rule_name,
            'graded' as evidence_kind, '' as applications, '' as tools, '' as topics
            from range({people}) r(i), range({_PIECES}) s(n)""",
        "mart_level_history": f"""select {person}, c as competency, (now() - to_days(n))::date as day, 2 as level_then,
            2 as reported_level_then, .1 as ability_mean_then, .5 as ability_sd_then, 2 as level_now, random() as ability_mean_now,
            .5 as ability_sd_now, n as evidence_count from range({people}) r(i), (select unnest([{competencies}]) as c), range(7) s(n)""",
        "mart_role_gaps": f"""select {person}, 'role-' || r as role, 'Role ' || r as role_name, c as competency, c as competency_name,
            3 as required_level, 'Advanced' as required_level_name, 2 as estimated_level, 2 as reported_level, .2 as p_met,
            1 as levels_short, .6 as ability_short, false as insufficient_evidence, '' as criteria_open, 'short' as status
            from range({people}) q(i), range(3) o(r), (select unnest([{competencies}]) as c)""",
        "mart_next_steps": f"""select {person}, 'role-' || r as role, 'Role ' || r as role_name, n as step,
            'https://lms.example.org/activity/' || n as activity_id, 'Exercise' as activity_name, 'data-literacy' as competency,
            'Data literacy' as competency_name, 2 as pitched_level, .7 as chance_of_success, .2 as p_met, .1 as worth, '' as reason
            from range({people}) q(i), range(3) o(r), range(1, 6) s(n)""",
        "dim_account": f"""select {person}, 'mailto:p' || i || '@example.org' as account, null as account_name, now() as first_seen_at,
            now() as last_seen_at from range({people}) q(i)""",
    }  # fmt: skip
    with duckdb.connect() as connection:
        for name, query in tables.items():
            sql = re.sub(r"(?<![\w.])-?\d*\.\d+", r"(\g<0>)::double", query)  # literals are decimals, columns are not
            folder = settings.identified if name in IDENTIFYING else settings.published
            connection.execute(
                f"copy (from ({sql}) order by person) to '{folder / name}.parquet' "
                f"(format parquet, compression zstd, row_group_size {ROW_GROUP})"
            )
