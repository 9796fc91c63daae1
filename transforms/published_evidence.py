"""Published evidence as the estimator takes it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from transforms.calibration import Calibration
from transforms.estimator import Evidence, Parameters


def as_evidence(row: Mapping[str, Any], in_use: Calibration) -> Evidence:
    """A row of mart_evidence, which counts as it stands there: what it was reduced by is in its weight already."""
    return Evidence(
        row["competency"], row["activity_id"], row["difficulty"], row["outcome"], row["weight"], row["occurred_at"],
        row["statement_id"], row["slope"], row["guess"], row["slip"],
        in_use.practice_of(row["competency"]), repeats=row["statement_id"],
    )  # fmt: skip


def parameters_for(in_use: Calibration) -> Parameters:
    """The parameters to estimate with from published evidence, whose slopes hold the common one already."""
    return replace(in_use.parameters, slope=1.0)
