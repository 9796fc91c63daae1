"""A lake of any size, written by DuckDB: what landing would have published, without the time it takes."""

from datetime import date
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from connectors.lake.files import FileLake
from schemas.framework import Framework
from schemas.lake import STATEMENTS

_GIVEN = """
    'xapi.statements' as topic, 0 as log_partition, {first} + i as log_offset,
    timestamptz '2026-06-30 00:00:00+00' as received_at, 'benchmark' as source,
    uuid() as statement_id,
    timestamptz '2026-01-01 00:00:00+00' + to_microseconds(({first} + i) * 1000000) as occurred_at,
    'mailto:person' || ({people_expression}) || '@example.org' as actor_id,
    'Person ' || ({people_expression}) as actor_name,
    'http://adlnet.gov/expapi/verbs/scored' as verb_id, 'Activity' as object_type,
    'https://lms.example.org/' || competencies[1 + cast(floor(random() * len(competencies)) as integer)] || '/'
        || levels[1 + cast(floor(random() * len(levels)) as integer)] || '/' || cast(floor(random() * {activities}) as integer)
        as activity_id,
    round(random(), 2) as score_scaled, false as voids, '1.0.3' as xapi_version, '{{}}' as statement
"""


def write(folder: Path, framework: Framework, people: int, rows: int, first: int = 0, activities: int = 8) -> None:
    """Publish `rows` statements of `people` people at offsets from `first` on, each later than the ones before.

    Each competency has `activities` activities at each level.
    """
    per_file = 1_000_000
    competencies = [competency.id for competency in framework.competencies]
    levels = [level.id for level in framework.levels]
    for start in range(first, first + rows, per_file):
        count = min(per_file, first + rows - start)
        expression = f"hash({start} + i) % {people}"
        given = _GIVEN.format(first=start, people_expression=expression, activities=activities)
        with duckdb.connect() as connection:
            connection.execute("set TimeZone = 'UTC'; set threads = 2")
            table = connection.sql(
                f"with given as (select {given} from (select {competencies} as competencies, {levels} as levels), "
                f"range({count}) as t(i)) select {_columns()} from given"
            ).to_arrow_table()
        FileLake(folder).publish(
            table.cast(STATEMENTS), "xapi.statements", 0, start, start + count - 1, date(2026, 6, 30)
        )


def _columns() -> str:
    present = {"topic", "log_partition", "log_offset", "received_at", "source", "statement_id", "occurred_at", "actor_id",
               "actor_name", "verb_id", "object_type", "activity_id", "score_scaled", "voids", "xapi_version",
               "statement"}  # fmt: skip
    empty = {"list": "null::varchar[]", "bool": "null::boolean", "double": "null::double"}
    return ", ".join(
        name if name in present else f"{empty.get(str(kind).split('<')[0], 'null::varchar')} as {name}"
        for name, kind in zip(STATEMENTS.names, STATEMENTS.types, strict=True)
    )


def rows_in(folder: Path) -> int:
    """How many rows the published files hold."""
    return sum(pq.read_metadata(file.path).num_rows for file in FileLake(folder).published())
