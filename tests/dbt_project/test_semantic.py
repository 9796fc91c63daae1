"""The semantic layer: MetricFlow answers from the published marts what the marts say."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.cohort import publish
from tests.home import Home

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A dbt project for MetricFlow, and the published database that it reads."""
    home = Home(tmp_path_factory.mktemp("marts"))
    publish(home, people=24, days=120, seed=3)
    folder = tmp_path_factory.mktemp("semantic") / "dbt_project"
    shutil.copytree(ROOT / "dbt_project", folder, ignore=shutil.ignore_patterns("target", "logs", "__pycache__"))
    database = home.settings.published / "proficio.duckdb"
    run(folder, database, "dbt", "parse", "--target", "published")
    return folder, database


def run(folder: Path, database: Path, *command: str) -> str:
    environment = {**os.environ, "PROFICIO_PUBLISHED_DATABASE": str(database), "DBT_PROFILES_DIR": str(folder),
                   "DBT_TARGET": "published", "DO_NOT_TRACK": "1"}  # fmt: skip
    tool = Path(sys.executable).with_name(command[0])
    done = subprocess.run(
        [tool, *command[1:]], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def answer(asked: tuple[Path, Path], metrics: str, by: str, where: str = "true") -> list[dict[str, str]]:
    table = asked[0] / "answer.csv"
    run(*asked, "mf", "query", "--metrics", metrics, "--group-by", by, "--where", where, "--csv", str(table))
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_definitions_are_valid(asked: tuple[Path, Path]) -> None:
    assert "ERRORS: 0" in run(*asked, "mf", "validate-configs")


@pytest.mark.parametrize(
    ("metrics", "by", "where", "sql"),
    [
        (
            "share_at_advanced,mean_ability", "metric_time__month", "{{ Dimension('cohort_month__cohort') }} = 'everyone'",
            "select month, sum(people_at_least_3) / sum(people), sum(mean_ability * people) / sum(people) from mart_cohort_progress "
            "where cohort = 'everyone' group by month order by month",
        ),
        (
            "evidence_pieces,active_people,mean_outcome", "metric_time__month", "true",
            "select date_trunc('month', occurred_at), count(*), count(distinct person), avg(outcome) from mart_evidence group by 1 order by 1",
        ),
        (
            "rejected_share,unaligned_share", "metric_time__day", "true",
            "select day, sum(rejected) / sum(statements + rejected), sum(unaligned) / sum(statements) from mart_data_quality "
            "group by day order by day",
        ),
    ],
)  # fmt: skip
def test_metrics_are_what_the_marts_say(asked: tuple[Path, Path], metrics: str, by: str, where: str, sql: str) -> None:
    found = sorted(answer(asked, metrics, by, where), key=lambda row: row[by])
    with duckdb.connect(str(asked[1]), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        expected = connection.execute(sql).fetchall()
    assert [row[by][:10] for row in found] == [str(row[0])[:10] for row in expected]
    for row, (_, *values) in zip(found, expected, strict=True):
        assert [float(row[name]) for name in metrics.split(",")] == pytest.approx([float(one) for one in values])
