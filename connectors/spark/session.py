"""The session: on which master, over which tables, with a JVM of its own.

Tables are Iceberg's. It has what the models need and Parquet files have not: rows are deleted and merged, a table changes
wholly or not at all, and a load rewrites only the buckets of people that it touches.
"""

import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter

from connectors.storage import storage_errors
from schemas.errors import SettingsError, UnavailableError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ICEBERG = "org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.10.0"
_LOGGING = "log4j2.properties"  # Spark's default tells of its start, and warns of what is as it should be
_LOGGED = """
rootLogger.level = error
logger.shell.name = org.apache.spark.api.python.PythonGatewayServer
logger.shell.level = error
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{yyyy-MM-dd HH:mm:ss} %p %c{1}: %m%n%ex{short.message}
"""
_MEND = "See spark.master and spark.conf; one process at a time has a metastore in a folder."


@contextmanager
def session(master: str, folder: Path, memory: str, conf: Mapping[str, str]) -> Iterator["SparkSession"]:
    """A session on a master (`local[*]`, `spark://host:7077`, `yarn`, `k8s://…`) with a JVM of its own, ended afterwards.

    Tables and their metastore (Derby) stand in `folder`, but where `conf`, in Spark's own names, says otherwise. SettingsError
    without pyspark, UnavailableError where the master or the metastore does not answer. Within one, it is that one again.
    """
    try:
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise SettingsError("pyspark is not installed.", "Install proficio[spark].") from error
    within = SparkSession.getActiveSession()
    if within is not None:
        yield within
        return
    _answering(master)
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _LOGGING).write_text(_LOGGED)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # of executors, which need proficio for models in Python
    _run_python_models_in_the_session()
    builder = SparkSession.builder.appName("proficio").master(master).enableHiveSupport()
    for name, value in {**_defaults(folder.resolve(), memory), **conf}.items():
        builder = builder.config(name, value)
    opened: SparkSession | None = None
    try:
        opened = builder.getOrCreate()
        opened.sql("create schema if not exists main")
        opened.sql("use main")
        yield opened
    except (PySparkException, Py4JError) as error:
        raise UnavailableError(f"Spark at {master} cannot be used: {str(error).splitlines()[0]}", _MEND) from None
    finally:
        if opened is not None:
            with suppress(Py4JError, OSError):  # where its JVM is gone
                opened.stop()
        _end()


def _answering(master: str) -> None:
    """UnavailableError where no master of a standalone cluster accepts a connection: Spark takes a minute to say so."""
    if not master.startswith("spark://"):
        return
    reasons = []
    for place in master.removeprefix("spark://").split(","):
        host, _, port = place.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
            return
        except (OSError, ValueError) as error:
            reasons.append(f"{place}: {error}")
    raise UnavailableError(f"Spark at {master} cannot be used: {'; '.join(reasons)}", _MEND)


def _run_python_models_in_the_session() -> None:
    """Give dbt-spark what it has for Databricks alone: a way to run a model in Python, here in the session that is open."""
    from dbt.adapters.base.impl import PythonJobHelper
    from dbt.adapters.spark.impl import SparkAdapter
    from pyspark.sql import SparkSession

    class InSession(PythonJobHelper):  # type: ignore[misc]
        def __init__(self, parsed_model: dict[str, Any], credential: Any) -> None:  # as dbt calls it
            pass

        def submit(self, compiled_code: str) -> None:
            code = compile(compiled_code, "<a model in Python>", "exec")
            with catch_warnings():
                simplefilter("ignore")  # dbt-spark asks for pandas-on-Spark, and needs it not
                exec(code, {"spark": SparkSession.active(), "__name__": "model"})  # noqa: S102 - the project's own

    SparkAdapter.python_submission_helpers = property(lambda _: {"session": InSession})


def _end() -> None:
    """End the JVM, which pyspark keeps for its process's life: it holds the metastore, and its memory cannot change."""
    from pyspark import SparkContext

    gateway = SparkContext._gateway
    if gateway is not None:
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait()
    SparkContext._gateway = SparkContext._jvm = None


def _defaults(folder: Path, memory: str) -> dict[str, str]:
    return {
        "spark.driver.memory": memory.removesuffix("B").lower(),
        "spark.jars.packages": ICEBERG,
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.catalog.spark_catalog": "org.apache.iceberg.spark.SparkSessionCatalog",
        "spark.sql.catalog.spark_catalog.type": "hive",
        "spark.hadoop.iceberg.engine.hive.lock-enabled": "false",  # Derby has no locks; one process estimates at a time
        "spark.hadoop.javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={folder}/metastore;create=true",
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={folder}/{_LOGGING} "
        f"-Dderby.stream.error.file={folder}/derby.log",
        "spark.sql.warehouse.dir": f"{folder}/tables",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
