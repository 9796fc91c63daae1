"""Spark as the engine: the levels that DuckDB has, on a standalone cluster that loses a worker; new evidence on top."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.publication import IDENTIFYING
from connectors.spark.warehouse import rows
from flows.opening import definitions
from flows.publish import MARTS
from tests import spark_cluster
from tests.broker import can_run
from tests.end_to_end.engines import compared, session_of
from tests.home import GOOD, Home
from transforms.estimator import Parameters
from transforms.simulation import cohort, statements

pytestmark = pytest.mark.skipif(not can_run(), reason="needs Java 17 and Maven")
VOIDED = "11111111-1111-4111-8111-111111111111"
SPARK = spark_cluster.settings
FROM_NOW = {"days_since", "silent_hours", "silent_to_usual"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("spark"))
    chosen = definitions(home.settings).framework
    parameters = Parameters(cuts=tuple(level.cut for level in chosen.levels))
    made = statements(cohort(chosen, 40, 5, parameters), chosen, datetime.now(UTC), 90, 5, parameters)
    take(home, [*made, {**GOOD, "id": VOIDED}])
    return home


@pytest.fixture(scope="module")
def buckets() -> dict[str, dict[int, set[str]]]:
    """For each table of the estimator the files of each bucket, as the first estimate left them."""
    return {}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[spark_cluster.Cluster]:
    started = spark_cluster.Cluster(tmp_path / "cluster")
    yield started
    started.stop()


def take(home: Home, given: list[dict[str, object]]) -> None:
    home("ingest", "-", stdin=b"\n".join(orjson.dumps(one) for one in given))
    home("land")
    home("estimate")


def told(chosen: spark_cluster.SparkSettings) -> dict[str, str]:
    return {"PROFICIO_SPARK__MASTER": chosen.master, "PROFICIO_SPARK__CONF": json.dumps(chosen.conf)}


def looked_at(home: Home) -> dict[str, dict[int, set[str]]]:
    """Spark's levels are those of DuckDB; for each table of the estimator the files of each bucket."""
    settings = home.settings.model_copy(update={"spark": SPARK()})
    levels, files = home.folder / "levels-of-spark", dict[str, dict[int, set[str]]]()
    with session_of(settings) as session:
        session.table("mart_levels").write.mode("overwrite").parquet(str(levels))
        for table in ("int_evidence", "int_competency_states", "int_estimates"):
            query = f"select file_path, partition.person_key_bucket as bucket from main.{table}.files"
            for row in rows(session, query):
                files.setdefault(table, {}).setdefault(row["bucket"], set()).add(row["file_path"])
    found = compared(settings, levels)
    assert found["rows"] > 0
    assert (found["only_one_has"], found["told_otherwise"]) == (0, 0)
    assert found["greatest_difference"] < 1e-9
    return files


def test_a_cluster_that_loses_a_worker_has_the_same_levels(
    home: Home, cluster: spark_cluster.Cluster, buckets: dict[str, dict[int, set[str]]]
) -> None:
    lost: list[bool] = []

    def lose() -> None:
        begun = home.settings.spark_home / "tables" / "main.db" / "int_evidence"
        while not begun.is_dir():
            time.sleep(0.2)
        lost.append(cluster.running())
        cluster.kill_worker()

    losing = threading.Thread(target=lose, daemon=True)
    losing.start()
    told_of = home("estimate", "--target", "spark", **told(SPARK(cluster.master)))
    losing.join(1)
    assert lost == [True], "no worker was lost while it estimated"
    assert "from nothing" in told_of
    buckets.update(looked_at(home))


@pytest.mark.slow
def test_new_evidence_rewrites_the_buckets_of_its_people_alone(
    home: Home, buckets: dict[str, dict[int, set[str]]]
) -> None:
    """Also what is late, sent again, or voided; and where the run that took it up first was killed in the middle."""
    person = {"mbox": "mailto:learner0007@example.org"}
    late = {**GOOD, "actor": person, "timestamp": "2020-01-01T00:00:00Z"}
    voiding = {"actor": person, "verb": {"id": "http://adlnet.gov/expapi/verbs/voided"},
               "object": {"objectType": "StatementRef", "id": VOIDED}}  # fmt: skip
    take(home, [late, {**GOOD, "id": VOIDED}, voiding])
    evidence = home.settings.spark_home / "tables" / "main.db" / "int_evidence" / "metadata"
    versions = len(list(evidence.iterdir()))
    running = home.start("estimate", "--target", "spark", **told(SPARK()))
    while len(list(evidence.iterdir())) == versions:
        assert running.poll() is None
        time.sleep(0.05)
    running.kill()
    running.wait()
    assert "with what is new" in home("estimate", "--daily", "--target", "spark", **told(SPARK()))
    after = looked_at(home)
    assert buckets, "the test before has estimated what this one goes on from"
    for table, before in buckets.items():
        assert len(before) > 10
        changed = [bucket for bucket in before | after[table] if before.get(bucket) != after[table].get(bucket)]
        assert 0 < len(changed) <= 2, f"{table}: two people's evidence changed, and the buckets {changed} were written"
    told_of = home("levels", "learner0007@example.org", "--json", "--target", "spark", **told(SPARK()))
    assert len({json.loads(line)["competency"] for line in told_of.splitlines()}) == 14


@pytest.mark.slow
def test_marts_and_levels_are_told_from_it(home: Home) -> None:
    """What it publishes has the types and, but for what is counted from now, the values of what DuckDB does."""
    home("estimate", "--daily")
    home("publish")
    asked = ("levels", "learner0007@example.org", "--json")
    published = [json.loads(line) for line in home(*asked).splitlines()]
    of_duckdb = home.settings.published.rename(home.folder / "of-duckdb")
    home("publish", "--target", "spark", **told(SPARK()))
    for mart in MARTS:
        if mart not in IDENTIFYING:
            assert_same(of_duckdb / f"{mart}.parquet", home.settings.published / f"{mart}.parquet")
    of_spark = [json.loads(line) for line in home(*asked, "--target", "spark", **told(SPARK())).splitlines()]
    assert len(of_spark) == 14
    for one, other in zip(of_spark, published, strict=True):
        assert one.keys() == other.keys()
        assert all(value == pytest.approx(other[name], abs=1e-9) for name, value in one.items())


def assert_same(one: Path, other: Path) -> None:
    mine, theirs = pq.read_table(one), pq.read_table(other)
    assert mine.schema.names == theirs.schema.names, one.stem
    assert mine.schema.types == theirs.schema.types, one.stem
    theirs = theirs.cast(mine.schema)  # DuckDB notes what is never null
    exact = [field.name for field in mine.schema if field.type != pa.float64()]
    measured = [name for name in mine.column_names if name not in exact and name not in FROM_NOW]
    order = [(name, "ascending") for name in exact]
    mine, theirs = mine.sort_by(order), theirs.sort_by(order)
    assert mine.select(exact).equals(theirs.select(exact)), one.stem
    for name in measured:
        found, wanted = (column[name].to_numpy().astype(float) for column in (theirs, mine))
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9, err_msg=f"{one.stem}.{name}")


def test_before_an_estimate_and_where_tests_do_not_run_it_says_what_to_do(tmp_path: Path) -> None:
    home = Home(tmp_path / "new")
    assert "estimate --target spark" in home("levels", "--target", "spark", expect=4, **told(SPARK()))
    assert "Leave --test out" in home("estimate", "--test", "--target", "spark", expect=4)


def test_a_master_that_does_not_answer_is_told_of(home: Home) -> None:
    chosen = SPARK(f"spark://127.0.0.1:{spark_cluster.free_port()}")
    said = home("estimate", "--target", "spark", expect=5, **told(chosen))
    assert "cannot be used" in said
    assert "spark.master" in said
