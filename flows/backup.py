"""Backups of the data folder, while everything runs, and bringing one back."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from shutil import rmtree

from connectors import archive, warehouse
from connectors.locks import patiently
from flows.erasing import PATIENCE, erase
from flows.estimate import estimate
from flows.opening import KEYS, erased, lake_of
from flows.persons import person_of
from flows.publish import publish
from flows.settings import Settings
from schemas.errors import InputError

# In this order: what says how far something was taken up is copied before that which it was taken from.
_FILES = (
    "cursors",
    "sinks",
    "calibrations",
    *KEYS,
    "runs.jsonl",
    "audit.jsonl",
)
_SQLITE = ("consents.db", "lti.db", "deliveries.db", "erased.db", "receiver.db")
_DUCKDB = ("feedback.duckdb", "warehouse.duckdb")


@dataclass(frozen=True)
class Backup:
    """A backup: its file, when it was made, by which version, how many files and bytes it holds."""

    path: str
    made_at: str
    version: str
    files: int
    bytes: int


def backup(settings: Settings, path: Path) -> Backup:
    """Write everything of the data folder that nothing else can make again into one file, and read it through once.

    Estimating and publishing wait; landing, receiving and feedback go on. Published marts, mirrors, Prefect's and dbt's files
    are made again; Kafka and a lake in an object store have their own ways. InputError where there is such a file.
    """
    if path.exists():
        raise InputError(f"{path} is there already.", "Name a file that is not.")
    about = {"made_at": datetime.now(UTC).isoformat(timespec="seconds"), "version": version("proficio")}
    home = settings.home
    with warehouse.alone(settings.warehouse), archive.written(path, about) as written:
        for name in _FILES:
            for file in sorted([home / name] if (home / name).is_file() else (home / name).rglob("*")):
                if file.is_file() and not file.name.endswith(".tmp"):
                    written.add(file, str(file.relative_to(home)))
        for name in _DUCKDB:
            if (home / name).exists():
                patiently(partial(_add_duckdb, written, home / name), PATIENCE)
        for name in _SQLITE:
            if (home / name).exists():
                written.add_sqlite(home / name, name)
        for file in sorted((home / "attachments").glob("*")):
            written.add(file, str(file.relative_to(home)))
        if not settings.lake:
            _add_lake(written, settings)
        if (home / "events.db").exists():
            written.add_sqlite(home / "events.db", "events.db")
    told = archive.check(path)
    return Backup(str(path), about["made_at"], about["version"], len(told["files"]), path.stat().st_size)


def restore(settings: Settings, path: Path, erased_since: Path | None = None) -> int:
    """Bring a backup back into a data folder that is not there yet, and publish; how many people were erased again.

    With the `erased.db` of a later time, whoever was erased since the backup is erased from what came back.
    """
    home = settings.home
    if home.exists() and any(home.iterdir()):
        raise InputError(f"{home} holds data already.", "Move it away, or name another with PROFICIO_HOME.")
    beside = home.with_name(f".{home.name}.restored")
    rmtree(beside, ignore_errors=True)
    try:
        archive.check(path, beside)
        if home.exists():
            home.rmdir()
        beside.rename(home)
    finally:
        rmtree(beside, ignore_errors=True)
    if not settings.warehouse.exists():
        return 0
    estimate(settings)  # by the models of this version, where the backup is of another
    publish(settings)
    again = 0
    if erased_since is not None:
        register = erased(settings)
        register.take_over(erased_since)
        accounts = [row["account"] for row in warehouse.rows(settings.warehouse, "select account from lake.accounts")]
        for account in accounts:
            if register.holds(account):
                again += erase(settings, person_of(settings, account)).statements > 0
    return again


def _add_lake(written: archive.Archive, settings: Settings) -> None:
    where = lake_of(settings)
    with where.reading():
        paths = [where.local(file) for file in where.published()]
        state = settings.lake_folder / "state.json"
        for path in [*paths, state] if state.exists() else paths:
            written.add(path, str(path.relative_to(settings.home)))


def _add_duckdb(written: archive.Archive, path: Path) -> None:
    """A DuckDB file, which nobody else has open meanwhile. Its write-ahead log is in it, by opening and closing it."""
    with warehouse.connected(path) as connection:
        connection.execute("checkpoint")
        written.add(path, path.name)
