"""Moving the lake to another place: from the folder where it began into an object store."""

from collections.abc import Callable
from dataclasses import dataclass

from connectors.lake.files import FileLake
from flows.opening import lake_of
from flows.settings import Settings
from schemas.errors import InputError, SettingsError
from schemas.records import STATEMENTS


@dataclass(frozen=True)
class Copied:
    """How many files and rows were copied."""

    files: int = 0
    rows: int = 0


def copy_lake(settings: Settings, progress: Callable[[int], None] = lambda count: None) -> Copied:
    """Copy what the data folder holds to where `lake` says. Safe to kill, and goes on from there; the folder stays as it is.

    Levels go on as they are, for every offset is where it was. SettingsError where `lake` names no place, InputError where
    something else is there.
    """
    if not settings.lake:
        raise SettingsError(
            "lake names no place to copy to.", 'Set lake in proficio.toml, such as lake = "s3://bucket/lake".'
        )
    source, target = FileLake(settings.lake_folder), lake_of(settings)
    files = rows = 0
    with source.locked(), target.locked():
        source.sweep()
        target.sweep()
        ends = target.ends(STATEMENTS)
        for file in source.published():
            follows = ends.get(file.partition, 0)
            if file.last < follows:
                continue
            if file.first < follows:
                raise InputError(
                    f"{target} ends at offset {follows} of {file.topic}-{file.partition}, in the middle of {file.path}.",
                    "Something else was landed there. Copy into a place that is empty.",
                )
            table = source.read(file)
            target.publish(table, file.topic, file.partition, file.first, file.last, file.day, follows)
            ends[file.partition] = file.last + 1
            files, rows = files + 1, rows + table.num_rows
            progress(table.num_rows)
        target.note_state(source.state())
    return Copied(files, rows)


def check_copied(settings: Settings) -> None:
    """SettingsError where `lake` names a place with nothing in it, and the data folder has a lake: it would begin anew."""
    held = settings.lake and any(settings.lake_folder.glob("received=*/*.parquet"))
    if held and not lake_of(settings).ends(STATEMENTS):
        raise SettingsError(
            f"{settings.lake} is empty, and {settings.lake_folder} holds a lake.",
            "Copy them: proficio lake copy. To begin without them, move the folder away.",
        )
