"""Runs a Great Expectations suite over one batch of statements."""

import json
import os
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class Finding:
    """An expectation that a batch did not meet: `rows` break it (positions in the batch; empty: the batch as a whole)."""

    expectation: str
    column: str
    severity: str
    why: str
    rows: tuple[int, ...]


def check(statements: pa.Table) -> list[Finding]:
    """What the suite `statements` finds in a table of `schemas.lake.STATEMENTS`; empty when all is well."""
    if statements.num_rows == 0:
        return []
    batch_definition, expected = _suite("statements")
    frame = _measured(statements).to_pandas(ignore_metadata=True)
    batch = batch_definition.get_batch(batch_parameters={"dataframe": frame})
    outcome = batch.validate(expected, result_format={"result_format": "COMPLETE", "include_unexpected_rows": False})
    return [finding(result) for result in outcome.results if not result.success]


def _measured(statements: pa.Table) -> pa.Table:
    """The columns that the suite speaks of: some as landed, some measured from them."""
    occurred, received = statements["occurred_at"], statements["received_at"]
    return pa.table(
        {
            "statement_id": statements["statement_id"],
            "actor_id": statements["actor_id"],
            "score_scaled": statements["score_scaled"],
            "occurred_year": pc.year(occurred),
            "hours_ahead": pc.hours_between(received, occurred),
            "statement_bytes": pc.binary_length(statements["statement"]),
        }
    )


def finding(result: Any) -> Finding:
    """What an expectation's result says of it. RuntimeError where it could not be evaluated: the suite is wrong then."""
    config = result.expectation_config
    if result.exception_info.get("raised_exception"):
        raise RuntimeError(f"{config.type} could not be evaluated: {result.exception_info['exception_message']}")
    rows = result.result.get("unexpected_index_list") or []
    column = config.kwargs.get("column") or f"{config.kwargs.get('column_A')}, {config.kwargs.get('column_B')}"
    return Finding(f"{config.type}({column})", column, _severity(config.severity), config.meta["why"], tuple(rows))


def suite(name: str) -> list[dict[str, Any]]:
    """The expectations of a suite, as its file has them."""
    definition = json.loads(files("expectations").joinpath(f"{name}.json").read_text("utf-8"))
    expectations: list[dict[str, Any]] = definition["expectations"]
    return expectations


@cache
def _suite(name: str) -> tuple[Any, Any]:
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx  # takes seconds: only where a batch is checked
    from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults

    in_memory = InMemoryStoreBackendDefaults(init_temp_docs_sites=False)
    context = gx.get_context(mode="ephemeral", project_config=DataContextConfig(store_backend_defaults=in_memory))
    context.variables.progress_bars = {"globally": False}
    expected = context.suites.add(gx.ExpectationSuite(name=name, expectations=suite(name)))
    asset = context.data_sources.add_pandas("batch").add_dataframe_asset(name)
    return asset.add_batch_definition_whole_dataframe("all"), expected


def _severity(severity: Any) -> str:
    return str(getattr(severity, "value", severity) or "critical")
