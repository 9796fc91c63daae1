"""Writes dbt_project/seeds from the default framework: `make seeds`. A test holds them up to date."""

from pathlib import Path

from flows.opening import framework
from flows.settings import Settings
from transforms.calibration import Calibration
from transforms.estimator import Parameters
from transforms.seeds import seeds

FOLDER = Path(__file__).parent.parent / "dbt_project" / "seeds"


def default_seeds() -> dict[str, str]:
    chosen, rules = framework(Settings())
    return seeds(chosen, rules, Calibration(Parameters(cuts=tuple(level.cut for level in chosen.levels))))


if __name__ == "__main__":
    for name, text in default_seeds().items():
        (FOLDER / f"{name}.csv").write_text(text, encoding="utf-8")
