"""Levels as of each day as Arrow tables: what transforms.trajectory makes of evidence, for engines that hold it by rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.trajectory import Model, Pieces, by_day

DAYS = pa.schema(
    [
        ("person_key", pa.string()),
        ("competency", pa.string()),
        ("day", pa.date32()),
        ("level", pa.int32()),
        *((f"p_at_least_{level}", pa.float64()) for level in range(1, 5)),
        ("ability_mean", pa.float64()),
        ("ability_sd", pa.float64()),
        ("evidence_count", pa.int64()),
        ("load_id", pa.int64()),
    ]
)
_Rows = Sequence[dict[str, Any]]


def model_of(grid: _Rows, transition: _Rows, levels: _Rows, parameters: _Rows, competencies: _Rows) -> Model:
    """The estimator, of the rows of the seeds estimator_grid, estimator_transition, framework_levels, estimator_parameters and
    estimator_competencies, in any order.
    """
    points = sorted(grid, key=lambda row: row["point"])
    cells = sorted(transition, key=lambda row: (row["general_point"], row["point"]))
    (chosen,) = parameters
    return Model(
        grid=np.array([row["ability"] for row in points], float),
        general_prior=np.array([row["general_prior"] for row in points], float),
        transition=np.array([row["probability"] for row in cells], float).reshape(len(points), len(points)),
        cuts=np.array([row["cut"] for row in sorted(levels, key=lambda row: row["level"])], float),
        practice=np.array([row["practice"] for row in sorted(competencies, key=lambda row: row["competency"])], float),
        **{
            name: float(chosen[name])
            for name in ("fast_retention", "other_retention", "slow_retention", "half_life_days", "practice_curve")
        },
    )


def days_of(pieces: pa.Table, model: Model) -> pa.Table:
    """A row of DAYS for each person, competency and day with evidence on it.

    `pieces` are in force, whole people, ordered by person_key, occurred_at (an instant in µs) and statement_id; their
    competency_number counts from 0 by the name of the competency.
    """
    given = pieces.combine_chunks()
    microseconds = given["occurred_at"].cast(pa.int64()).to_numpy()
    days = by_day(
        Pieces(
            person=_coded(given["person_key"]),
            statement=_coded(given["statement_id"]),
            day=microseconds / 86_400_000_000,
            competency=given["competency_number"].to_numpy().astype(np.int64),
            **{
                name: given[name].to_numpy().astype(float)
                for name in ("outcome", "weight", "difficulty", "slope", "retry", "guess", "slip")
            },
        ),
        model,
    )
    of = given.select(["person_key", "competency", "load_id"]).take(pa.array(days.row))
    columns = {
        "person_key": of["person_key"],
        "competency": of["competency"],
        "day": np.floor_divide(microseconds[days.row], 86_400_000_000).astype("datetime64[D]"),
        "level": (days.p_at_least >= 0.5).sum(axis=1),
        **{f"p_at_least_{level}": days.p_at_least[:, level - 1] for level in range(1, 5)},
        "ability_mean": days.ability_mean,
        "ability_sd": days.ability_sd,
        "evidence_count": days.count,
        "load_id": of["load_id"],
    }
    return pa.table(columns).cast(DAYS)


def _coded(column: pa.ChunkedArray) -> Any:
    """A number for each value, so that neighbours differ where the values do."""
    coded = pc.dictionary_encode(column).combine_chunks()
    return (coded.chunk(0) if isinstance(coded, pa.ChunkedArray) else coded).indices.to_numpy().astype(np.int64)
