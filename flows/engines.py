"""What the models run on: DuckDB on this machine, or Spark."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from connectors import publication, warehouse
from flows.opening import lake_of
from flows.settings import Settings, Target
from schemas.errors import InputError
from schemas.records import StoredRecord
from transforms.identity import Identities


@dataclass(frozen=True)
class Engine:
    """How a load of the models begins and ends, what is written beside them, how their tables are read.

    `stage` writes marts into a folder, to be released from there, and may ask for the query of one.
    """

    begin_load: Callable[[str, Identities, bool], warehouse.Load]
    finish_load: Callable[[warehouse.Load, str, Identities, bool], None]
    rows: Callable[[str, Sequence[Any]], list[dict[str, Any]]]
    rejected_offsets: Callable[[], dict[int, int]]
    note_rejected: Callable[[int, int, Iterable[StoredRecord]], int]
    stage: Callable[[Path, Sequence[str], Callable[[str], str]], dict[str, int]]
    left_out: Sequence[str] = ()  # models that are not made


@contextmanager
def engine(settings: Settings, target: Target) -> Iterator[Engine]:
    """DuckDB or Spark; estimating, publishing, erasing and backups have what is estimated to themselves."""
    with warehouse.alone(settings.warehouse):
        if target == "duckdb":
            yield Engine(
                partial(warehouse.begin_load, settings.warehouse, lake_of(settings)),
                partial(warehouse.finish_load, settings.warehouse),
                partial(warehouse.rows, settings.warehouse),
                partial(warehouse.rejected_offsets, settings.warehouse),
                partial(warehouse.note_rejected, settings.warehouse),
                lambda folder, marts, _: publication.stage(settings.warehouse, folder, marts, settings.estimate.memory),
            )
            return
        from connectors.spark import session as sessions
        from connectors.spark import warehouse as tables

        def stage(folder: Path, marts: Sequence[str], query_of: Callable[[str], str]) -> dict[str, int]:
            queries = {mart: query_of(mart) if mart in tables.NO_VIEW else f"table {mart}" for mart in marts}
            return tables.stage(session, folder, queries, settings.estimate.memory)

        chosen = settings.spark
        with sessions.session(chosen.master, settings.spark_home, settings.estimate.memory, chosen.conf) as session:
            yield Engine(
                partial(tables.begin_load, session, lake_of(settings)),
                partial(tables.finish_load, session),
                partial(tables.rows, session),
                partial(tables.rejected_offsets, session),
                partial(tables.note_rejected, session),
                stage,
                tables.NO_VIEW,
            )


def check_tests_run(test: bool, target: Target) -> None:
    """InputError where dbt's tests are asked for, and cannot be had."""
    if test and target == "spark":
        raise InputError("dbt's tests run where DuckDB estimates.", "Leave --test out.")
