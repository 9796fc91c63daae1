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
    severity: str
    why: str
    rows: tuple[int, ...]


def check(statements: pa.Table) -> list[Finding]:
    """What the suite `statements` finds in a table of `schemas.lake.STATEMENTS`; empty when all is well."""
    if statements.num_rows == 0:
        return []
    batch_definition, suite = _suite("statements")
    frame = _measured(statements).to_pandas(ignore_metadata=True)
    batch = batch_definition.get_batch(batch_parameters={"dataframe": frame})
    outcome = batch.validate(suite, result_format={"result_format": "COMPLETE", "include_unexpected_rows": False})
    return [_finding(result) for result in outcome.results if not result.success]


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


def _finding(result: Any) -> Finding:
    config = result.expectation_config
    if result.exception_info.get("raised_exception"):
        raise RuntimeError(f"{config.type} could not be evaluated: {result.exception_info['exception_message']}")
    rows = result.result.get("unexpected_index_list") or []
    return Finding(
        f"{config.type}({config.kwargs['column']})", _severity(config.severity), config.meta["why"], tuple(rows)
    )


@cache
def _suite(name: str) -> tuple[Any, Any]:
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx  # takes seconds: only where a batch is checked
    from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults

    in_memory = InMemoryStoreBackendDefaults(init_temp_docs_sites=False)
    context = gx.get_context(mode="ephemeral", project_config=DataContextConfig(store_backend_defaults=in_memory))
    context.variables.progress_bars = {"globally": False}
    definition = json.loads(files("expectations").joinpath(f"{name}.json").read_text("utf-8"))
    suite = context.suites.add(gx.ExpectationSuite(name=name, expectations=definition["expectations"]))
    asset = context.data_sources.add_pandas("batch").add_dataframe_asset(name)
    return asset.add_batch_definition_whole_dataframe("all"), suite


def _severity(severity: Any) -> str:
    return str(getattr(severity, "value", severity) or "critical")
