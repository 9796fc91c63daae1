"""The dbt docs site, as files that open without a server: `python -m flows.dbt_docs FOLDER`."""

import shutil
import sys
from pathlib import Path

from flows.estimate import estimate
from flows.opening import dbt_project
from flows.settings_file import load


def build(folder: Path) -> Path:
    """Build the site into a folder; its index.html. Needs no data: models are built empty where there is no warehouse."""
    settings = load().model_copy(update={"home": folder / "work"})
    project = dbt_project(settings)
    estimate(settings, full_refresh=True, project=project)
    project.invoke("docs generate", "--static")
    page = folder / "index.html"
    shutil.copy(project.folder / "target" / "static_index.html", page)
    shutil.rmtree(folder / "work")
    return page


if __name__ == "__main__":
    sys.stdout.write(f"{build(Path(sys.argv[1]).resolve())}\n")
