"""Spark beside DuckDB: the same levels from the same lake, on a standalone cluster of which a worker dies in the middle.

By hand, at full size:  python -m tests.end_to_end.engines FOLDER --pieces 10000000
"""

import argparse
import json
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from connectors import warehouse
from connectors.spark.session import session
from flows.estimate import estimate
from flows.opening import definitions
from flows.settings import EstimateSettings, Settings, SparkSettings
from tests.benchmarks import synthetic_lake
from tests.spark_cluster import Cluster
from tests.spark_cluster import settings as spark_settings

_TOLD = ("level", "reported_level", "evidence_count", "insufficient_evidence", "stale", "last_evidence_at", "criteria_met",
         "criteria_open", "framework_version", "parameters_version", "competency_name", "self_assessed_level")  # fmt: skip
_MEASURED = ("p_at_least_1", "p_at_least_2", "p_at_least_3", "p_at_least_4", "ability_mean", "ability_sd", "ability_low",
             "ability_high", "evidence_weight")  # fmt: skip


def differences(settings: Settings) -> dict[str, Any]:
    """How Spark's levels differ from DuckDB's: rows that one alone has, values told otherwise, the greatest difference of a number.

    Spark writes them as Parquet, and DuckDB compares.
    """
    files = settings.home / "levels-of-spark"
    with session_of(settings) as session:
        session.table("mart_levels").write.mode("overwrite").parquet(str(files))
    return compared(settings, files)


def session_of(settings: Settings) -> AbstractContextManager[Any]:
    """A session as the settings have it."""
    chosen = settings.spark
    return session(chosen.master, settings.spark_home, settings.estimate.memory, chosen.conf)


def compared(settings: Settings, files: Path) -> dict[str, Any]:
    """How mart_levels as Spark wrote it into a folder differs from that of the warehouse."""
    otherwise = " or ".join(f"of_spark.{name} is distinct from of_duckdb.{name}" for name in _TOLD)
    most = ", ".join(f"max(abs(of_spark.{name} - of_duckdb.{name}))" for name in _MEASURED)
    unknown = " or ".join(f"(of_spark.{name} is null) <> (of_duckdb.{name} is null)" for name in _MEASURED)
    (found,) = warehouse.rows(
        settings.warehouse,
        f"""
        select
            count(*) as rows,
            count(*) filter (where of_spark.person is null or of_duckdb.person is null) as only_one_has,
            count(*) filter (where {otherwise} or {unknown}) as told_otherwise,
            greatest({most}) as greatest_difference
        from read_parquet('{files}/*.parquet') as of_spark
        full join mart_levels as of_duckdb using (person, competency)
        """,
    )
    return found


def beside(folder: Path, pieces: int, memory: str) -> dict[str, Any]:
    """Times of both from nothing, the worker's death included, and how their levels differ."""
    settings = Settings(home=folder / "home", estimate=EstimateSettings(memory=memory))
    synthetic_lake.write(settings.lake_folder, definitions(settings).framework, pieces // 100, pieces)
    times = {"duckdb": _seconds(lambda: estimate(settings))}
    cluster = Cluster(folder / "cluster", memory=memory.removesuffix("B").lower())
    try:
        conf = spark_settings(cluster.master, **{"spark.executor.memory": memory.removesuffix("B").lower(),
                              "spark.sql.shuffle.partitions": "32"}).conf  # fmt: skip
        settings = settings.model_copy(update={"spark": SparkSettings(master=cluster.master, conf=conf)})
        died: list[float] = []
        killer = threading.Thread(target=lambda: died.append(_kill_in_the_middle(cluster, settings)), daemon=True)
        killer.start()
        times["spark"] = _seconds(lambda: estimate(settings, target="spark"))
        killer.join(1)
        return {"pieces": pieces, "seconds": times, "worker_died_after": died, **differences(settings)}
    finally:
        cluster.stop()


def _kill_in_the_middle(cluster: Cluster, settings: Settings) -> float:
    """Kill a worker once the states are being folded, which is the longest step; after how many seconds."""
    began = time.monotonic()
    evidence = settings.spark_home / "tables" / "main.db" / "int_evidence" / "metadata"
    while not evidence.is_dir():
        time.sleep(0.5)
    time.sleep(5)
    cluster.kill_worker()
    return round(time.monotonic() - began, 1)


def _seconds(step: Any) -> float:
    began = time.monotonic()
    step()
    return round(time.monotonic() - began, 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pieces", type=int, default=10_000_000)
    parser.add_argument("--memory", default="4GB")
    told = parser.parse_args()
    print(json.dumps(beside(told.folder, told.pieces, told.memory)))
