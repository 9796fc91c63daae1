"""A day in the past, once more: the same rows whenever it runs, from what had been received by then."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.opening import lake_of
from tests.home import GOOD, Home

FIRST, SECOND = "2026-09-05", "2026-09-12"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Two weeks' statements, received on two days, and levels published of both."""
    one = Home(tmp_path_factory.mktemp("past"))
    for number, day in enumerate((FIRST, SECOND)):
        lines = [
            {
                **GOOD,
                "object": {"id": f"https://lms.example.org/data-literacy/advanced/{number}{n}"},
                "timestamp": f"{day}T0{n}:00:00Z",
            }
            for n in range(3)
        ]
        one("ingest", "-", stdin="\n".join(json.dumps(line) for line in lines).encode())
        one("land")
        (file,) = [file for file in lake_of(one.settings).published() if str(file.day) not in (FIRST, SECOND)]
        target = file.path.parent.parent / f"received={day}" / file.path.name
        target.parent.mkdir()
        file.path.rename(target)
    one("estimate", "--daily")
    one("publish")
    return one


def rows(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        return {
            path.stem: sorted(connection.execute(f"from read_parquet('{path}')").fetchall(), key=repr)
            for path in sorted(folder.glob("*.parquet"))
        }


def known(folder: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        return connection.execute(
            "select person, competency, level, round(ability_mean, 9), round(ability_sd, 9), evidence_count from "
            f"read_parquet('{folder / 'mart_levels.parquet'}') order by all"
        ).fetchall()


def test_a_day_is_the_same_whenever_it_is_run(home: Home) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in home.settings.published.iterdir()}
    home("run", "--as-of", FIRST, "--to", "once")
    home("run", "--as-of", FIRST, "--to", "again")
    once, again = rows(home.folder / "once"), rows(home.folder / "again")
    assert once == again
    assert len(once["mart_evidence"]) == 3
    assert {str(row[0])[:10] for row in once["dim_date"]} == {FIRST}
    assert (home.folder / "once" / "proficio.duckdb").exists()
    assert {path.name: path.stat().st_mtime_ns for path in home.settings.published.iterdir()} == before
    assert not [path for path in home.folder.iterdir() if path.name.endswith(".part")]


def test_the_newest_day_is_what_is_published(home: Home) -> None:
    home("run", "--as-of", SECOND, "--to", "newest")
    assert known(home.folder / "newest") == known(home.settings.published)
    assert max(row[-1] for row in known(home.folder / "newest")) == 6


@pytest.mark.parametrize(
    ("arguments", "expect", "told"),
    [
        (("--as-of", "2026-09-04", "--to", "early"), 4, "Nothing had been received by 2026-09-04"),
        (("--as-of", FIRST, "--to", "."), 4, "is there already"),
        (("--as-of", FIRST), 2, "go together"),
        (("--as-of", "yesterday", "--to", "x"), 2, "yesterday"),
    ],
)
def test_what_cannot_be_is_told(home: Home, arguments: tuple[str, ...], expect: int, told: str) -> None:
    assert told in home("run", *arguments, expect=expect, COLUMNS="200")
    assert not (home.folder / "early").exists()
