"""Opens what the settings name: the event log, the framework, the dbt project."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

from connectors.dbt import DbtProject
from connectors.erased import Erased
from connectors.event_log import EventLog
from connectors.lake import Lake
from connectors.lake.files import FileLake
from connectors.storage import storage_errors
from flows.settings import Settings, Target
from schemas.definitions import OPTIONAL, REQUIRED, Definitions, parse_definitions
from schemas.errors import SettingsError
from schemas.framework import Framework
from schemas.records import LEVELS, REJECTED, STATEMENTS, Topic
from schemas.repairs import Repair, parse_repairs
from transforms.calibration import Calibration, from_json
from transforms.estimator import Parameters
from transforms.identity import Identities, parse_attributes, parse_identities
from transforms.seeds import seeds

if TYPE_CHECKING:
    from sqlalchemy import URL

    from connectors.database import Where
    from connectors.lti.store import LtiStore
    from connectors.receiver.contents import Contents

KEYS = ("person.key", "pages.key", "sessions.key", "receiver.key")  # that an installation makes for itself


@contextmanager
def event_log(settings: Settings, transactional_id: str | None = None) -> Iterator[EventLog]:
    """The event log of the settings, closed afterwards. Only the kind that is used is imported.

    With a `transactional_id`, which one process at a time may have, what is appended at once is there whole or not at all;
    in SQLite it always is.
    """
    chosen = settings.event_log
    log: EventLog
    if chosen.kind == "sqlite":
        from connectors.event_log.sqlite import SqliteEventLog

        log = SqliteEventLog(settings.home / "events.db", door=erased(settings).door)
        log.create(topics(settings))
    else:
        from connectors.event_log.kafka import KafkaEventLog

        compression = None if chosen.compression == "none" else chosen.compression
        log = KafkaEventLog(
            chosen.bootstrap_servers,
            kafka_options(settings),
            chosen.max_record_bytes,
            compression,
            chosen.delivery_seconds,
            transactional_id,
            erased(settings).door,
        )
    try:
        yield log
    finally:
        log.close()


def kafka_options(settings: Settings) -> dict[str, str | int | bool]:
    """By what clients of Kafka log in: event_log.options, with the password from where it is kept."""
    chosen = settings.event_log
    options = dict(chosen.options)
    if chosen.password or chosen.password_file:
        options["sasl_plain_password"] = _secret(settings)
    return options


def erased(settings: Settings) -> Erased:
    """Who was erased from this installation."""
    return Erased(state(settings, "erased.db"), lambda: identities(settings))


def state(settings: Settings, name: str) -> "Where":
    """Where tables stand: a SQLite file of that name in home, or the PostgreSQL that several receivers share."""
    return _checked(server(settings), settings.home) if settings.state.url else settings.home / name


@lru_cache
def _checked(where: "URL", home: Path) -> "URL":
    """SettingsError where a data folder knows people and receivers by keys that a server does not know: they were not copied."""
    from connectors.keys import known

    strange = [name for name in KEYS if (home / name).exists() and not known(where, name)]
    if strange:
        raise SettingsError(
            f"The PostgreSQL at state.url does not know {', '.join(strange)}, which {home} has: by these, people are known.",
            "Copy what the data folder holds: proficio state copy. To begin without it, move the data folder away.",
        )
    return where


def server(settings: Settings) -> "URL":
    """The PostgreSQL that several receivers share, with its password."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    chosen = settings.state
    try:
        url = make_url(chosen.url)
    except ArgumentError:
        raise SettingsError(
            "state.url cannot be read.", "Give a URI of libpq, such as postgresql://proficio@db.example.org/proficio."
        ) from None
    if url.password:
        raise SettingsError("state.url holds a password.", "Put it into a file, and name that in state.password_file.")
    return url.set(password=secret(chosen.password_file, "state.password_file")) if chosen.password_file else url


def lti_store(settings: Settings) -> "LtiStore":
    """What the LTI tool knows of platforms."""
    from connectors.lti.store import LtiStore

    return LtiStore(state(settings, "lti.db"))


def contents(settings: Settings) -> "Contents":
    """The contents of attachments."""
    from connectors.receiver.contents import FolderContents, SharedContents

    return (
        SharedContents(_checked(server(settings), settings.home))
        if settings.state.url
        else FolderContents(settings.home / "attachments")
    )


def topics(settings: Settings) -> list[Topic]:
    """The topics that proficio uses, as the settings want them created."""
    chosen = settings.event_log
    return [
        Topic(STATEMENTS, chosen.partitions, chosen.replication_factor),
        Topic(REJECTED, 1, chosen.replication_factor),
        Topic(LEVELS, chosen.partitions, chosen.replication_factor, compacted=True),
    ]


def repairs(settings: Settings) -> tuple[Repair, ...]:
    """The repairs that are switched on."""
    return parse_repairs(files("schemas").joinpath("repairs.yaml").read_text("utf-8"), settings.land.repairs_off)


def definitions(settings: Settings) -> Definitions:
    """What the framework's folder says: the organisation's, else the one that ships."""
    folder = settings.estimate.framework or Path(str(files("schemas").joinpath("generative_ai")))
    return read_definitions(folder, "estimate.framework")


def read_definitions(folder: Path, named: str) -> Definitions:
    """The definitions in a folder. SettingsError where a required file cannot be read or one is not valid."""
    texts = {}
    for name in (*REQUIRED, *OPTIONAL):
        try:
            texts[name] = (folder / name).read_text("utf-8")
        except FileNotFoundError as error:
            if name in OPTIONAL:
                continue
            raise _unreadable(folder / name, named, error) from None
        except (OSError, UnicodeDecodeError) as error:
            raise _unreadable(folder / name, named, error) from None
    return parse_definitions(texts, folder)


def _unreadable(path: Path, named: str, error: Exception) -> SettingsError:
    reason = getattr(error, "strerror", None) or error
    return SettingsError(
        f"{named}: {path} cannot be read: {reason}.",
        f"Give a folder with {' and '.join(REQUIRED)}; proficio framework export makes one.",
    )  # fmt: skip


def dbt_project(settings: Settings, as_tasks: bool = False, as_of: str = "", target: Target = "duckdb") -> DbtProject:
    """The dbt project with the framework's seeds, on the warehouse or on Spark; see DbtProject for `as_tasks` and `as_of`."""
    chosen = definitions(settings)
    seeded = seeds(chosen, calibration(settings, chosen.framework), settings.identity.group_share)
    return DbtProject(
        settings.home / ("dbt-spark" if target == "spark" else "dbt"),
        seeded,
        None if target == "spark" else settings.warehouse,
        settings.compiled_folder,
        settings.estimate.memory,
        settings.publish.least_group,
        as_tasks,
        as_of,
    )


def calibration(settings: Settings, chosen: Framework) -> Calibration:
    """The newest calibration, else the default parameters; on the cuts of the framework either way."""
    cuts = tuple(level.cut for level in chosen.levels)
    newest = max(settings.calibrations.glob("*.json"), default=None)
    if newest is None:
        return Calibration(Parameters(cuts=cuts))
    found = from_json(newest.read_bytes(), str(newest))
    return replace(found, parameters=replace(found.parameters, cuts=cuts))


def identities(settings: Settings) -> Identities:
    """Which accounts meet in which person, with the key of the hash; a key is made where none is given."""
    chosen = settings.identity
    table: dict[str, str] = {}
    if chosen.table:
        table = parse_identities(_text(chosen.table, "identity.table"), str(chosen.table))
    attributes: dict[str, dict[str, str]] = {}
    if chosen.attributes:
        attributes = parse_attributes(_text(chosen.attributes, "identity.attributes"), str(chosen.attributes))
    if chosen.key:
        key = chosen.key.get_secret_value()
    elif chosen.key_file:
        key = _text(chosen.key_file, "identity.key_file").strip()
    else:
        key = own_key(settings, "person.key")
    if len(key) < 16:
        raise SettingsError("identity.key is shorter than 16 characters.", "Make one: openssl rand -hex 32.")
    return Identities(key.encode(), table, attributes)


def own_key(settings: Settings, name: str) -> str:
    """A key of 256 bits that is made once: in the data folder, for its owner alone to read, or where receivers share."""
    if settings.state.url:
        from connectors.keys import own

        return own(_checked(server(settings), settings.home), name)
    path = settings.home / name
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            mine = path.with_suffix(f".{os.getpid()}")
            mine.touch(mode=0o600)
            mine.write_text(token_hex(32), "ascii")
            with suppress(FileExistsError):  # another process was first
                path.hardlink_to(mine)
            mine.unlink()
        return path.read_text("ascii")


def _secret(settings: Settings) -> str:
    if settings.event_log.password:
        return settings.event_log.password.get_secret_value()
    return secret(Path(str(settings.event_log.password_file)), "event_log.password_file")


def secret(path: Path, setting: str) -> str:
    """A secret from its file. SettingsError where it cannot be read."""
    return _text(path, setting).strip()


def _text(path: Path, setting: str) -> str:
    try:
        return path.expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(f"{setting}: {path} cannot be read: {reason}.", "Check the path and its rights.") from None


def lake_of(settings: Settings) -> Lake:
    """The lake of statements: a folder, or a place in an object store."""
    if not settings.lake:
        return FileLake(settings.lake_folder)
    return _object_lake(settings.lake, frozenset(settings.lake_options.items()), settings.home / "lake" / "copies")


@lru_cache
def _object_lake(url: str, options: frozenset[tuple[str, str]], copies: Path) -> Lake:
    """One for a whole process, for it keeps what it knows of a store. Imported where it is used."""
    from connectors.lake.objects import ObjectLake
    from connectors.lake.stores import store_of

    return ObjectLake(store_of(url, dict(options)), url, copies)
