"""Spark as the engine: the levels that DuckDB has, on a standalone cluster that loses a worker; new evidence on top."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from connectors import spark
from flows.opening import definitions
from tests import spark_cluster
from tests.broker import can_run
from tests.end_to_end.engines import differences
from tests.home import GOOD, Home
from transforms.estimator import Parameters
from transforms.simulation import cohort, statements

pytestmark = pytest.mark.skipif(not can_run(), reason="needs Java 17 and Maven")
VOIDED = "11111111-1111-4111-8111-111111111111"
SPARK = spark_cluster.settings


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("spark"))
    chosen = definitions(home.settings).framework
    parameters = Parameters(cuts=tuple(level.cut for level in chosen.levels))
    made = statements(cohort(chosen, 40, 5, parameters), chosen, datetime.now(UTC), 90, 5, parameters)
    take(home, [*made, {**GOOD, "id": VOIDED}])
    return home


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


def assert_same_levels(home: Home) -> None:
    found = differences(home.settings.model_copy(update={"spark": SPARK()}))
    assert found["rows"] > 0
    assert (found["only_one_has"], found["told_otherwise"]) == (0, 0)
    assert found["greatest_difference"] < 1e-9


def test_a_cluster_that_loses_a_worker_has_the_same_levels(home: Home, cluster: spark_cluster.Cluster) -> None:
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
    assert_same_levels(home)


def test_new_evidence_rewrites_the_buckets_of_its_people_alone(home: Home) -> None:
    """Also what is late, sent again, or voided; and where the run that took it up first was killed in the middle."""
    person = {"mbox": "mailto:learner0007@example.org"}
    late = {**GOOD, "actor": person, "timestamp": "2020-01-01T00:00:00Z"}
    voiding = {"actor": person, "verb": {"id": "http://adlnet.gov/expapi/verbs/voided"},
               "object": {"objectType": "StatementRef", "id": VOIDED}}  # fmt: skip
    take(home, [late, {**GOOD, "id": VOIDED}, voiding])
    before = files_of(home)
    evidence = home.settings.spark_home / "tables" / "main.db" / "int_evidence" / "metadata"
    versions = len(list(evidence.iterdir()))
    running = home.start("estimate", "--target", "spark", **told(SPARK()))
    while len(list(evidence.iterdir())) == versions:
        assert running.poll() is None
        time.sleep(0.05)
    running.kill()
    running.wait()
    assert "with what is new" in home("estimate", "--target", "spark", **told(SPARK()))
    assert_same_levels(home)
    after = files_of(home)
    for table, buckets in before.items():
        assert len(buckets) > 10
        changed = [bucket for bucket in buckets | after[table] if buckets.get(bucket) != after[table].get(bucket)]
        assert 0 < len(changed) <= 2, f"{table}: two people's evidence changed, and the buckets {changed} were written"


def files_of(home: Home) -> dict[str, dict[int, set[str]]]:
    """For each table of the estimator the files of each bucket."""
    found: dict[str, dict[int, set[str]]] = {}
    with spark.session(SPARK().master, home.settings.spark_home, "1GB", SPARK().conf) as session:
        for table in ("int_evidence", "int_competency_states", "int_estimates"):
            query = f"select file_path, partition.person_key_bucket as bucket from main.{table}.files"
            for row in spark.rows(session, query):
                found.setdefault(table, {}).setdefault(row["bucket"], set()).add(row["file_path"])
    return found


def test_levels_are_read_from_it(home: Home) -> None:
    home("publish")
    asked = ("levels", "learner0007@example.org", "--json")
    of_spark = [json.loads(line) for line in home(*asked, "--target", "spark", **told(SPARK())).splitlines()]
    published = [json.loads(line) for line in home(*asked).splitlines()]
    assert len(of_spark) == 14
    for one, other in zip(of_spark, published, strict=True):
        assert one.keys() == other.keys()
        assert all(value == pytest.approx(other[name], abs=1e-9) for name, value in one.items())


def test_a_master_that_does_not_answer_is_told_of(home: Home) -> None:
    chosen = SPARK(f"spark://127.0.0.1:{spark_cluster.free_port()}")
    said = home("estimate", "--target", "spark", expect=5, **told(chosen))
    assert "cannot be used" in said
    assert "spark.master" in said
