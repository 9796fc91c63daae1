"""The query of each chart of infra/superset, as Superset writes it: grouped, measured, cut to the rows that are shown."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

DASHBOARDS = Path(__file__).parents[2] / "infra" / "superset" / "dashboards.yaml"
_GRAINS = {"P1M": "month", "P1D": "day"}


class Query(NamedTuple):
    dashboard: str
    chart: str
    sql: str


def queries() -> Iterator[Query]:
    """One for each chart, filters as the dashboard opens; DuckDB and PostgreSQL both run them."""
    defined: dict[str, Any] = yaml.safe_load(DASHBOARDS.read_text("utf-8"))
    for dashboard in defined["dashboards"]:
        for chart in (chart for row in dashboard["rows"] for chart in row):
            dataset = defined["datasets"][chart["dataset"]]
            where = [
                f"{target[1]} = '{target[2]}'"
                for target in dashboard["filters"].values()
                if len(target) > 2 and target[0] == chart["dataset"]
            ]
            yield Query(dashboard["slug"], chart["title"], _sql(chart, dataset, where))


def _sql(chart: dict[str, Any], dataset: dict[str, Any], where: list[str]) -> str:
    chosen = [
        dataset["metrics"][name]
        for name in [*chart.get("metrics", []), *([chart["metric"]] if "metric" in chart else [])]
    ]
    raw = chart.get("columns", [])
    grain = _GRAINS.get(chart.get("grain", ""))
    by = [f"date_trunc('{grain}', {chart['x']})" if grain else chart["x"]] if "x" in chart else []
    by += [chart["y"]] if "y" in chart else []
    by += chart.get("groupby", [])
    numbers = ", ".join(str(number) for number in range(1, len(by) + 1))
    return " ".join([
        f"select {', '.join([*raw, *by, *chosen])} from ({dataset['sql']}) as dataset",
        f"where {' and '.join(where)}" if where else "",
        f"group by {numbers}" if by else "",
        f"order by {chart['sort'][0]} desc" if "sort" in chart else f"order by {len(by) + 1} desc" if by else "",
        "limit 10000",
    ])  # fmt: skip
