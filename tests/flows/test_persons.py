"""Persons: accounts meet, links are made and undone, and only the people whom it touches are estimated anew."""

import random
from dataclasses import replace
from hashlib import sha1
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from connectors import warehouse
from flows.settings import IdentitySettings
from tests.graded import CALIBRATION, COMPETENCIES, answered
from tests.pipeline import Pipeline


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return Pipeline.at(tmp_path_factory.mktemp("persons"), CALIBRATION)


ACCOUNTS: tuple[dict[str, Any], ...] = (
    {"mbox": "mailto:p0@example.org", "name": "Person 0"},
    {"mbox_sha1sum": sha1(b"mailto:p0@example.org").hexdigest()},
    {"account": {"homePage": "https://github.com", "name": "pzero"}},
    {"mbox": "mailto:p1@example.org"},
    {"openid": "https://p1.example.org/"},
)
TEAM = {"objectType": "Group", "name": "Team", "member": [ACCOUNTS[1], ACCOUNTS[3], ACCOUNTS[4]]}
TABLES = (
    "",
    "https://github.com|pzero,zero\np0@example.org,zero\n",
    "mailto:p1@example.org,one\nhttps://p1.example.org/,one\nhttps://github.com|pzero,one\n",
)


@hypothesis_settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(TABLES), st.integers(0, 2**32)), min_size=2, max_size=4))
def test_relinking_equals_a_rebuild(pipeline: Pipeline, steps: list[tuple[str, int]]) -> None:
    pipeline.reset()
    table = pipeline.settings.home / "identities.csv"
    linked = IdentitySettings(table=table, group_share=0.5)
    pipeline = replace(pipeline, settings=pipeline.settings.model_copy(update={"identity": linked}))
    number = 0
    for identities_now, seed in steps:
        table.write_text(f"account,person\n{identities_now}")
        random_bits, statements = random.Random(seed), []
        for _ in range(random_bits.randrange(8)):
            number += 1
            one = answered(
                number, 0, random_bits.choice(COMPETENCIES), random_bits.randint(1, 4), 1, random_bits.random() * 900
            )
            statements.append({**one, "actor": random_bits.choice([*ACCOUNTS, TEAM])})
        pipeline.take(statements)
    incremental = pipeline.levels_by_key()
    pipeline.take([], full_refresh=True)
    rebuilt = pipeline.levels_by_key()
    assert rebuilt.keys() == incremental.keys()
    for key, row in rebuilt.items():
        for name, value in row.items():
            assert value == (
                pytest.approx(incremental[key][name], abs=1e-9) if isinstance(value, float) else incremental[key][name]
            )


def test_accounts_meet_in_one_person_and_only_they_are_recomputed(pipeline: Pipeline) -> None:
    pipeline.reset()
    table = pipeline.settings.home / "identities.csv"
    table.write_text("account,person\n")
    linked = IdentitySettings(table=table, group_share=0.5)
    pipeline = replace(pipeline, settings=pipeline.settings.model_copy(update={"identity": linked}))
    actors = [*ACCOUNTS, TEAM, {"mbox": "mailto:other@example.org"}]
    pipeline.take([{**answered(n, 0, "data-literacy", 2, 1, 24 * n), "actor": actor} for n, actor in enumerate(actors)])
    people = "select accounts from dim_person order by accounts"
    sha = f"sha1:{ACCOUNTS[1]['mbox_sha1sum']}"
    assert [row["accounts"] for row in warehouse.rows(pipeline.settings.warehouse, people)] == [
        "https://github.com|pzero", "https://p1.example.org/", "mailto:other@example.org", f"mailto:p0@example.org {sha}",
        "mailto:p1@example.org",
    ]  # fmt: skip
    pieces = {row["accounts"]: row["weight"] for row in warehouse.rows(
        pipeline.settings.warehouse,
        "select accounts, sum(weight) as weight from mart_evidence inner join dim_person using (person) group by accounts")}  # fmt: skip
    assert pieces[f"mailto:p0@example.org {sha}"] == 2.5
    assert pieces["mailto:other@example.org"] == 1
    table.write_text("account,person\nhttps://github.com|pzero,zero\np0@example.org,zero\n")
    pipeline.take([])
    touched = warehouse.rows(
        pipeline.settings.warehouse,
        "select accounts from int_competency_states inner join int_people using (person_key) where load_id = 2 and evidence_count > 0",
    )
    assert [row["accounts"] for row in touched] == [f"https://github.com|pzero mailto:p0@example.org {sha}"]
    assert len(warehouse.rows(pipeline.settings.warehouse, "select distinct person from mart_levels")) == 4
