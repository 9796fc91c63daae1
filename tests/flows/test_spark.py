"""Spark as the engine: the levels that DuckDB has, on a standalone cluster that loses a worker; new evidence on top."""

import json
import shutil
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
    """Also what is late, sent again, voided, or of a group; and a run with nothing new takes nothing up."""
    person = {"mbox": "mailto:learner0007@example.org"}
    late = {**GOOD, "actor": person, "timestamp": "2020-01-01T00:00:00Z"}
    voiding = {"actor": person, "verb": {"id": "http://adlnet.gov/expapi/verbs/voided"},
               "object": {"objectType": "StatementRef", "id": VOIDED}}  # fmt: skip
    take(home, [late, {**GOOD, "id": VOIDED}, voiding])
    assert "with what is new" in home("estimate", "--target", "spark", **told(SPARK()))
    assert_same_levels(home)
    with spark.session(SPARK().master, home.settings.spark_home, "1GB", SPARK().conf) as session:
        for table in ("int_competency_states", "int_estimates"):
            snapshots = spark.rows(
                session,
                "select operation, cast(summary['changed-partition-count'] as int) as buckets "
                f"from main.{table}.snapshots order by committed_at",
            )
            assert snapshots[0]["buckets"] == 16
            later = sum(one["buckets"] for one in snapshots[1:])
            assert 0 < later <= 2, f"{table}: two people's evidence changed, {later} buckets were written"
    assert "0 files" in home("estimate", "--target", "spark", **told(SPARK()))


def test_levels_are_read_from_it(home: Home) -> None:
    home("publish")
    asked = ("levels", "learner0007@example.org", "--json")
    of_spark = json.loads(home(*asked, "--target", "spark", **told(SPARK())))
    published = json.loads(home(*asked))
    assert len(of_spark) == 14
    for one, other in zip(of_spark, published, strict=True):
        assert one.keys() == other.keys()
        assert all(value == pytest.approx(other[name], abs=1e-9) for name, value in one.items())


def test_a_run_that_is_killed_is_taken_up_by_the_next(home: Home) -> None:
    take(home, [{**GOOD, "actor": {"mbox": "mailto:learner0009@example.org"}}])
    before = home.settings.spark_home / "tables" / "main.db" / "int_evidence" / "metadata"
    versions = len(list(before.iterdir()))
    running = home.start("estimate", "--target", "spark", **told(SPARK()))
    while len(list(before.iterdir())) == versions:
        assert running.poll() is None
        time.sleep(0.05)
    running.kill()
    running.wait()
    home("estimate", "--target", "spark", **told(SPARK()))
    assert_same_levels(home)


def test_a_master_that_does_not_answer_is_told_of(home: Home) -> None:
    chosen = SPARK(f"spark://127.0.0.1:{spark_cluster.free_port()}")
    said = home("estimate", "--target", "spark", expect=4, **told(chosen))
    assert "cannot be used" in said
    assert "spark.master" in said
    shutil.rmtree(home.settings.spark_home / "nothing", ignore_errors=True)
