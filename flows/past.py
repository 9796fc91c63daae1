"""A day in the past, once more: the marts from what had been received by its end, with the rules of today."""

from datetime import date
from pathlib import Path
from shutil import copyfile, copytree, rmtree

from connectors import lake, publication
from connectors.event_log import EventLog
from connectors.storage import storage_errors
from flows.daily import daily
from flows.estimate import estimate
from flows.opening import dbt_project, event_log, lake_of
from flows.publish import MARTS, Published
from flows.settings import Settings
from schemas.errors import InputError


def past(settings: Settings, day: date, folder: Path, log: EventLog | None = None) -> Published:
    """Write the marts as of the end of a day (UTC) into a new folder, as Parquet and as one DuckDB file.

    The same lake and the same definitions give the same rows, whenever it runs: staleness, drift and what is stuck are judged as
    of that day too. Nothing that is published now is touched. InputError where nothing had been received by then.
    """
    if log is None:
        with event_log(settings) as opened:
            return past(settings, day, folder, opened)
    if folder.exists():
        raise InputError(f"{folder} is there already.", "Name a folder that is not.")
    files = [file for file in lake_of(settings).published() if file.day <= day]
    if not files:
        raise InputError(f"Nothing had been received by {day}.", "Give a later day.")
    work = folder.with_name(f".{folder.name}.part")
    rmtree(work, ignore_errors=True)
    own = settings.model_copy(update={"home": work / "home", "lake": "", "compiled": settings.compiled_folder})
    try:
        with storage_errors(work), lake_of(settings).reading():
            _take_over(settings, own, files)
            project = dbt_project(own, as_of=f"{day} 23:59:59.999999+00")
            estimate(own, project=project, log=log, refuse=False)
            daily(own, project, log, until=day)
            rows = publication.stage(own.warehouse, work / "marts", _chosen(settings), settings.estimate.memory)
            publication.publish_database(work / "marts", list(rows), settings.estimate.memory)
            folder.parent.mkdir(parents=True, exist_ok=True)
            (work / "marts").replace(folder)
    finally:
        rmtree(work, ignore_errors=True)
    return Published(rows)


def _take_over(settings: Settings, own: Settings, files: list[lake.LakeFile]) -> None:
    """The files of the lake by links, and what persons and parameters come from."""
    for file in files:
        target = own.lake_folder / lake.name_of(*file[:5])
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(lake_of(settings).local(file).resolve())
    if (settings.home / "person.key").exists():
        copyfile(settings.home / "person.key", own.home / "person.key")
    if settings.calibrations.is_dir():
        copytree(settings.calibrations, own.calibrations)


def _chosen(settings: Settings) -> list[str]:
    return [mart for mart in MARTS if mart not in (*publication.IDENTIFYING, *settings.publish.leave_out)]
