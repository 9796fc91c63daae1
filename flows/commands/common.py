"""What commands share: options, and loading the settings."""

import os
from pathlib import Path
from typing import Annotated

import typer

from flows import settings as configuration

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def load(context: typer.Context) -> configuration.Settings:
    """The settings for a command. What Prefect and Numba keep goes into the data folder, where the user says nothing else."""
    config: Path | None = context.obj
    settings = configuration.load(config)
    os.environ.setdefault("PREFECT_HOME", str(settings.home / "prefect"))
    os.environ.setdefault("NUMBA_CACHE_DIR", str(settings.home / "compiled"))
    return settings
