"""Runs suites over whole tables, keeps their results, and writes Great Expectations' Data Docs of them."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from expectations.run import Finding, finding, suite

# Data Docs show how many rows break an expectation, and none of their values: these may name people.
_WITHOUT_VALUES = {"result_format": "BASIC", "partial_unexpected_count": 0}
_WITH_ROWS = {"result_format": "COMPLETE", "include_unexpected_rows": False, "partial_unexpected_count": 0}


def run(folder: Path, tables: Mapping[str, pd.DataFrame], with_rows: Collection[str] = ()) -> dict[str, list[Finding]]:
    """Run the suite of each table's name over it; what each found. Results and Data Docs stand under `folder`.

    Findings name rows only for the tables `with_rows`, whose values may be shown.
    """
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx
    from great_expectations.checkpoint import UpdateDataDocsAction

    folder.mkdir(parents=True, exist_ok=True)
    context = gx.get_context(mode="file", project_root_dir=str(folder))
    context.variables.progress_bars = {"globally": False}
    source = context.data_sources.add_or_update_pandas("published")
    found = {}
    for name, table in tables.items():
        batch = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all")
        kept = context.suites.add_or_update(gx.ExpectationSuite(name=name, expectations=suite(name)))
        validation = gx.ValidationDefinition(name=name, data=batch, suite=kept)
        checkpoint = gx.Checkpoint(
            name=name,
            validation_definitions=[context.validation_definitions.add_or_update(validation)],
            actions=[UpdateDataDocsAction(name="docs")],
            result_format=_WITH_ROWS if name in with_rows else _WITHOUT_VALUES,
        )
        outcome = context.checkpoints.add_or_update(checkpoint).run(batch_parameters={"dataframe": table})
        results: list[Any] = [result for one in outcome.run_results.values() for result in one.results]
        found[name] = [finding(result) for result in results if not result.success]
    return found


def docs(folder: Path) -> Path:
    """The first page of the Data Docs."""
    return folder / "gx" / "uncommitted" / "data_docs" / "local_site" / "index.html"
