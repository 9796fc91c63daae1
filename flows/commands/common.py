"""What commands share: options, and loading the settings."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from flows import settings_file
from flows.logs import write_logs
from flows.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def load(context: typer.Context) -> Settings:
    """The settings for a command. What Prefect and Numba keep goes into the data folder, where the user says nothing else."""
    config: Path | None = context.obj
    settings = settings_file.load(config)
    write_logs(settings.logs.format)
    os.environ.setdefault("PREFECT_HOME", str(settings.home / "prefect"))
    os.environ.setdefault("NUMBA_CACHE_DIR", str(settings.compiled_folder))
    return settings


def utc(moment: datetime | None) -> datetime | None:
    """A moment from the command line, in UTC where it names no zone."""
    return moment and (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment)
