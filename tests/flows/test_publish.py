"""Published marts are swapped in whole: who reads the old goes on reading, who writes never waits."""

import json
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors import publication
from connectors.warehouse import connected, dictionaries, parquet_rows
from flows.settings import Settings
from schemas.errors import InputError, QualityError, StorageError
from tests.home import GOOD, Home
from tests.pipeline import Pipeline
from transforms.calibration import Calibration
from transforms.estimator import Parameters

MARTS = ("mart_levels",)


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    return Pipeline.at(tmp_path / "home", Calibration(Parameters()))


def warehouse(settings: Settings, rows: int) -> None:
    settings.home.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute(
            f"create or replace table mart_levels as select i as n, i::varchar as person from range({rows}) as t(i)"
        )


def publish(settings: Settings) -> dict[str, int]:
    done = publication.stage(settings.warehouse, settings.home / "staged", MARTS, memory="1GB")
    publication.release(settings.home / "staged", settings.published, MARTS)
    publication.publish_database(settings.published, MARTS, memory="1GB")
    return done


def test_a_reader_of_the_old_copy_goes_on_while_a_new_one_is_published(settings: Settings) -> None:
    warehouse(settings, 10)
    assert publish(settings) == {"mart_levels": 10}
    database = settings.published / publication.DATABASE
    reader = duckdb.connect(str(database), read_only=True)
    parquet = (settings.published / "mart_levels.parquet").open("rb")
    warehouse(settings, 20)
    assert publish(settings) == {"mart_levels": 20}
    assert reader.execute("select count(*) from mart_levels").fetchone() == (10,)
    assert parquet.read(4) == b"PAR1"
    reader.close()
    parquet.close()
    with duckdb.connect(str(database), read_only=True) as fresh:
        assert fresh.execute("select count(*) from mart_levels").fetchone() == (20,)
    assert database.stat().st_mode & 0o222 == 0
    assert [path.name for path in settings.published.iterdir() if path.name.startswith(".")] == []


def test_nothing_to_publish_is_told(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no warehouse"):
        publish(settings)
    settings.home.mkdir(parents=True)
    duckdb.connect(str(settings.warehouse)).close()
    with pytest.raises(InputError, match="no mart_levels yet"):
        publish(settings)
    assert not settings.published.exists()


def test_a_mart_written_share_by_share_is_the_same_as_its_view(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory for two pieces: each share of people is worked on by itself."""
    people = [{"mbox": f"mailto:learner{number}@example.org"} for number in range(9)]
    pipeline.take([{**GOOD, "actor": one, "result": {"success": place % 2 == 0}} for place, one in enumerate(people)])
    monkeypatch.setattr(publication, "_PIECE", 500_000_000)
    for mart in sorted(publication.BY_SHARE):
        rows = publication.stage(pipeline.settings.warehouse, tmp_path, [mart], "1GB")[mart]
        written = parquet_rows(tmp_path / f"{mart}.parquet", "from mart")
        assert [row["person"] for row in written] == sorted(row["person"] for row in written)
        with connected(pipeline.settings.warehouse, read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            wanted = dictionaries(connection.execute(f"from {mart}"))
        assert len(wanted) == rows >= len(people)
        assert sorted(written, key=repr) == sorted(wanted, key=repr)


def test_too_little_memory_is_told(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.take([GOOD])
    with pytest.raises(StorageError, match="Out of Memory") as error:
        publication.stage(pipeline.settings.warehouse, tmp_path, ["mart_explanations"], "1MB")
    assert "estimate.memory" in error.value.hint


def test_what_is_tested_is_what_is_staged(pipeline: Pipeline, tmp_path: Path) -> None:
    """Not the view behind it: a row that is only in the file fails."""
    pipeline.take([GOOD])
    publication.stage(pipeline.settings.warehouse, tmp_path, ["mart_levels"], "1GB")
    tests = ("--select", "mart_levels", "--exclude", "test_type:unit")
    given = {"staged": str(tmp_path), "staged_marts": ["mart_levels"]}
    assert {one["status"] for one in pipeline.project.invoke("test", *tests, **given)} == {"pass"}
    file = tmp_path / "mart_levels.parquet"
    rows = pq.read_table(file)
    pq.write_table(pa.concat_tables([rows, rows.slice(0, 1)]), file)
    with pytest.raises(QualityError, match="unique_together_mart_levels"):
        pipeline.project.invoke("test", *tests, **given)


def test_a_mart_that_fails_its_tests_is_published_to_nobody(tmp_path: Path) -> None:
    """The tests look at what is about to be published; where one fails, readers keep what they have."""
    home = Home(tmp_path)
    home("ingest", "-", stdin=json.dumps(GOOD).encode())
    home("land")
    home("estimate", "--daily")
    home("publish", "--test")
    before = {path.name: path.stat().st_ino for path in home.settings.published.iterdir()}
    with duckdb.connect(str(home.settings.warehouse)) as connection:
        connection.execute("update int_estimates set p_at_least_1 = 1.5")
    told = home("publish", "--test", expect=6)
    assert "in_range_mart_levels_p_at_least_1" in told
    assert {path.name: path.stat().st_ino for path in home.settings.published.iterdir()} == before
    assert not (home.settings.home / "staged").exists()
    home("publish")  # without tests it is
    assert {path.name: path.stat().st_ino for path in home.settings.published.iterdir()} != before
