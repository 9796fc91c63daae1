"""Brings what dashboards.yaml defines into Superset: `python assets.py SQLALCHEMY_URI PUBLISHED`, in its environment.

PUBLISHED is the folder of published marts: it gives the types of columns.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import duckdb
import yaml

_DEFINED = Path(__file__).with_name("dashboards.yaml")
_COMMON = {"row_limit": 10_000, "color_scheme": "supersetColors", "show_legend": True, "rich_tooltip": True}
_PAGES = {"page_length": 20, "table_timestamp_format": "%Y-%m-%d"}


def load(uri: str, published: Path) -> None:
    """Bring databases, datasets, charts and dashboards into the Superset of the environment, over those of the same names."""
    from flask import g
    from superset.app import create_app

    with create_app().app_context():
        from superset import security_manager
        from superset.commands.importers.v1.assets import ImportAssetsCommand

        g.user = security_manager.find_user(username="admin")
        ImportAssetsCommand(assets(uri, published)).run()


def assets(uri: str, published: Path) -> dict[str, str]:
    """What Superset imports, in its own format: path → YAML."""
    defined = yaml.safe_load(_DEFINED.read_text("utf-8"))
    files: dict[str, dict[str, Any]] = {
        "metadata.yaml": {"version": "1.0.0", "type": "assets", "timestamp": datetime.now(UTC).isoformat()},
        "databases/proficio.yaml": _database(uri),
    }
    for name, dataset in defined["datasets"].items():
        files[f"datasets/proficio/{name}.yaml"] = _dataset(name, dataset, published)
    for dashboard in defined["dashboards"]:
        for chart in (chart for row in dashboard["rows"] for chart in row):
            files[f"charts/{dashboard['slug']}_{_slug(chart['title'])}.yaml"] = _chart(dashboard, chart)
        files[f"dashboards/{dashboard['slug']}.yaml"] = _dashboard(dashboard)
    return {path: yaml.safe_dump(content, sort_keys=False, allow_unicode=True) for path, content in files.items()}


def _database(uri: str) -> dict[str, Any]:
    arguments = {"connect_args": {"read_only": True}} if uri.startswith("duckdb") else {}
    return {
        "database_name": "proficio", "sqlalchemy_uri": uri, "expose_in_sqllab": True, "allow_dml": False,
        "extra": {"engine_params": arguments}, "uuid": _uuid("database"), "version": "1.0.0",
    }  # fmt: skip


def _dataset(name: str, dataset: dict[str, Any], published: Path) -> dict[str, Any]:
    with duckdb.connect() as connection:
        for path in published.glob("*.parquet"):
            connection.execute(f"create view {path.stem} as from read_parquet('{path}')")
        columns = connection.execute(f"describe {dataset['sql']}").fetchall()
    return {
        "table_name": name, "main_dttm_col": dataset.get("time"), "sql": dataset["sql"], "uuid": _uuid(f"dataset {name}"),
        "metrics": [
            {"metric_name": metric, "expression": sql, "verbose_name": _words(metric)}
            for metric, sql in dataset["metrics"].items()
        ],
        "columns": [
            {"column_name": column, "type": kind, "is_dttm": kind.startswith(("DATE", "TIMESTAMP")), "is_active": True,
             "groupby": True, "filterable": True, "verbose_name": _words(column)} for column, kind, *_ in columns
        ],
        "database_uuid": _uuid("database"), "version": "1.0.0",
    }  # fmt: skip


def _chart(dashboard: dict[str, Any], chart: dict[str, Any]) -> dict[str, Any]:
    return {
        "slice_name": chart["title"], "viz_type": chart["viz"], "params": {"viz_type": chart["viz"], **_COMMON, **_params(chart)},
        "dataset_uuid": _uuid(f"dataset {chart['dataset']}"), "uuid": _chart_uuid(dashboard, chart), "version": "1.0.0",
    }  # fmt: skip


def _params(chart: dict[str, Any]) -> dict[str, Any]:
    """What Superset calls form data, of a chart as it is defined."""
    kind, number = chart["viz"], chart.get("format", "SMART_NUMBER")
    if kind == "big_number_total":
        return {"metric": chart["metric"], "y_axis_format": number}
    if kind == "heatmap_v2":
        return {
            "metric": chart["metric"], "x_axis": chart["x"], "groupby": chart["y"], "y_axis_format": number, "show_values": True,
            "normalize_across": "heatmap", "linear_color_scheme": "blue_white_yellow", "sort_x_axis": "alpha_asc",
            "sort_y_axis": "alpha_desc", "left_margin": 50, "bottom_margin": 30, "legend_type": "continuous",
            "xscale_interval": -1, "yscale_interval": -1,
        }  # fmt: skip
    if kind == "table":
        formats = {name: {"d3NumberFormat": one} for name, one in chart.get("formats", {}).items()}
        if "groupby" not in chart:
            column, way = chart.get("sort", ("", ""))
            return {
                "query_mode": "raw", "all_columns": chart.get("columns", []), "column_config": formats, **_PAGES,
                "order_by_cols": [json.dumps([column, way != "descending"])] if column else [],
            }  # fmt: skip
        return {
            "query_mode": "aggregate", "groupby": chart["groupby"], "metrics": chart["metrics"], "column_config": formats,
            "timeseries_limit_metric": chart.get("order"), "order_desc": chart.get("descending", False), **_PAGES,
        }  # fmt: skip
    return {
        "x_axis": chart["x"], "metrics": chart["metrics"], "groupby": chart.get("groupby", []), "y_axis_format": number,
        "time_grain_sqla": chart.get("grain"), "x_axis_sort_asc": True, "x_axis_time_format": "smart_date",
        "markerEnabled": True, "orientation": "horizontal" if chart.get("horizontal") else "vertical",
    }  # fmt: skip


def _dashboard(dashboard: dict[str, Any]) -> dict[str, Any]:
    position: dict[str, Any] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"id": "ROOT_ID", "type": "ROOT", "children": ["GRID_ID"]},
        "HEADER_ID": {"id": "HEADER_ID", "type": "HEADER", "meta": {"text": dashboard["title"]}},
        "GRID_ID": {"id": "GRID_ID", "type": "GRID", "children": [], "parents": ["ROOT_ID"]},
    }
    for number, row in enumerate(dashboard["rows"], start=1):
        row_id = f"ROW-{number}"
        position["GRID_ID"]["children"].append(row_id)
        children = []
        for chart in row:
            uuid = _chart_uuid(dashboard, chart)
            children.append(f"CHART-{uuid}")
            position[f"CHART-{uuid}"] = {
                "id": f"CHART-{uuid}", "type": "CHART", "children": [], "parents": ["ROOT_ID", "GRID_ID", row_id],
                "meta": {"uuid": uuid, "chartId": 0, "sliceName": chart["title"], "width": chart["width"],
                         "height": chart.get("height", 20 if chart["viz"] == "big_number_total" else 50)},
            }  # fmt: skip
        position[row_id] = {
            "id": row_id, "type": "ROW", "children": children, "parents": ["ROOT_ID", "GRID_ID"],
            "meta": {"background": "BACKGROUND_TRANSPARENT"},
        }  # fmt: skip
    return {
        "dashboard_title": dashboard["title"], "description": dashboard["says"], "slug": dashboard["slug"], "published": True,
        "position": position, "uuid": _uuid(f"dashboard {dashboard['slug']}"), "version": "1.0.0",
        "metadata": {
            "color_scheme": "supersetColors", "cross_filters_enabled": True,
            "native_filter_configuration": [_filter(dashboard, name, *target) for name, target in dashboard["filters"].items()],
        },
    }  # fmt: skip


def _filter(dashboard: dict[str, Any], name: str, dataset: str, column: str, value: str = "") -> dict[str, Any]:
    """A filter of a dashboard; charts whose dataset has no such column are left as they are."""
    chosen = {"filters": [{"col": column, "op": "IN", "val": [value]}]} if value else {}
    state = {"value": [value], "label": value} if value else {}
    return {
        "id": f"NATIVE_FILTER-{dashboard['slug']}-{_slug(name)}", "name": name,
        "type": "NATIVE_FILTER", "filterType": "filter_select",
        "targets": [{"column": {"name": column}, "datasetUuid": _uuid(f"dataset {dataset}")}],
        "scope": {"rootPath": ["ROOT_ID"], "excluded": []}, "cascadeParentIds": [], "description": "",
        "controlValues": {"multiSelect": True, "enableEmptyFilter": False, "defaultToFirstItem": False},
        "defaultDataMask": {"extraFormData": chosen, "filterState": state, "ownState": {}},
    }  # fmt: skip


def _chart_uuid(dashboard: dict[str, Any], chart: dict[str, Any]) -> str:
    return _uuid(f"chart {dashboard['slug']} {chart['title']}")


def _uuid(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"https://w3id.org/proficio/superset/{name}"))


def _slug(title: str) -> str:
    return "".join(one if one.isalnum() and one.isascii() else "-" for one in title.lower()).strip("-")


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()


if __name__ == "__main__":
    load(sys.argv[1], Path(sys.argv[2]))
