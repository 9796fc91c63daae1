"""Writes what is generated and kept in the repository: `make generated`. A test holds it up to date."""

from pathlib import Path

from flows.opening import definitions
from flows.settings import Settings
from tests.plots import plots
from tests.pools import deployments
from tests.reference import pages
from transforms.calibration import Calibration
from transforms.estimator import Parameters
from transforms.seeds import seeds

ROOT = Path(__file__).parent.parent


def generated() -> dict[Path, str]:
    """Each file with its text: the seeds of the default framework, the plots, the pages of docs/reference, deployments as containers."""
    chosen = definitions(Settings())
    default = seeds(chosen, Calibration(Parameters(cuts=tuple(level.cut for level in chosen.framework.levels))))
    files = {ROOT / "dbt_project" / "seeds" / f"{name}.csv": text for name, text in default.items()}
    drawn = {ROOT / "docs" / "estimator" / name: text for name, text in plots().items()}
    deployed = {ROOT / "infra" / "prefect" / f"{kind}.yaml": deployments(kind) for kind in ("docker", "kubernetes")}
    return {
        **files,
        **drawn,
        **deployed,
        **{ROOT / "docs" / "reference" / name: text for name, text in pages().items()},
    }


if __name__ == "__main__":
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")
