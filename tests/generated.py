"""Writes what is generated and kept in the repository: `make generated`. A test holds it up to date."""

from pathlib import Path
from typing import Any

import yaml

from flows.opening import definitions
from flows.settings import Settings
from transforms.calibration import Calibration
from transforms.estimator import Parameters
from transforms.seeds import seeds

ROOT = Path(__file__).parent.parent


def generated() -> dict[Path, str]:
    """Each file with its text: the seeds of the default framework, and the page of the marts."""
    chosen = definitions(Settings())
    default = seeds(chosen, Calibration(Parameters(cuts=tuple(level.cut for level in chosen.framework.levels))))
    files = {ROOT / "dbt_project" / "seeds" / f"{name}.csv": text for name, text in default.items()}
    return {**files, ROOT / "docs" / "marts.md": _marts_page()}


def _marts_page() -> str:
    source = "dbt_project/models/marts"
    files = sorted((ROOT / source).glob("*.yml"), key=lambda path: (path.name.startswith("dim_"), path.name))
    models: list[dict[str, Any]] = [
        model for path in files for model in yaml.safe_load(path.read_text("utf-8"))["models"]
    ]
    page = ["# The marts", "", f"Generated from `{source}/*.yml`; times are UTC, abilities are logits."]
    for model in models:
        page += ["", f"## {model['name']}", "", " ".join(model["description"].split()), ""]
        page += ["| column | type | meaning |", "|---|---|---|"]
        page += [f"| `{one['name']}` | {one['data_type']} | {one['description']} |" for one in model["columns"]]
    return "\n".join(page) + "\n"


if __name__ == "__main__":
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")
