"""Examines each configured part of an installation, and says how to mend what is wrong."""

import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

from flows.opening import dbt_project, definitions, event_log, lake_of, server, topics
from flows.settings import Settings
from schemas.errors import ProficioError, StorageError, UnavailableError

_ROOM = 1 << 30


@dataclass(frozen=True)
class Finding:
    """What was found of a part: state `good` or `wrong`, and what mends it."""

    part: str
    state: str
    found: str
    mend: str = ""
    exit_code: int = 0


def examine(settings: Settings) -> list[Finding]:
    """A finding for each part, in the order in which a fault would show."""
    parts: dict[str, Callable[[Settings], str]] = {
        "Python": _python,
        "data folder": _home,
        "disk room": _room,
        "lake": _lake,
        "event log": _event_log,
        "state": _state,
        "topics": _topics,
        "framework": _framework,
        "dbt project": _dbt,
        "Prefect API": _prefect,
    }
    return [_look(name, look, settings) for name, look in parts.items()]


def _look(part: str, look: Callable[[Settings], str], settings: Settings) -> Finding:
    try:
        return Finding(part, "good", look(settings))
    except ProficioError as error:
        return Finding(part, "wrong", str(error), error.hint, error.exit_code)


def _python(_: Settings) -> str:
    return platform.python_version()


def _home(settings: Settings) -> str:
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=settings.home):
            pass
    except OSError as error:
        raise StorageError(
            f"{settings.home} is not writable: {error.strerror}.", "Make it writable, or set home (PROFICIO_HOME)."
        ) from None
    return str(settings.home)


def _lake(settings: Settings) -> str:
    lake_of(settings).check()
    return str(lake_of(settings))


def _room(settings: Settings) -> str:
    folder = next(one for one in (settings.home, *settings.home.parents) if one.exists())
    free = shutil.disk_usage(folder).free
    if free < _ROOM:
        raise StorageError(f"{free / 1e9:.1f} GB are free for {folder}.", "Make room: at least 1 GB.")
    return f"{free / 1e9:.0f} GB free"


def _event_log(settings: Settings) -> str:
    with event_log(settings) as log:
        log.create([])
    where = settings.event_log.bootstrap_servers if settings.event_log.kind == "kafka" else settings.home / "events.db"
    return f"{settings.event_log.kind} at {where}"


def _state(settings: Settings) -> str:
    if not settings.state.url:
        return f"files of {settings.home}"
    from connectors.shared_state import version

    return f"PostgreSQL {version(server(settings))}"


def _topics(settings: Settings) -> str:
    with event_log(settings) as log:
        return ", ".join(f"{topic.name} ({len(log.offsets(topic.name))})" for topic in topics(settings))


def _framework(settings: Settings) -> str:
    chosen = definitions(settings)
    framework = chosen.framework
    return (
        f"{framework.title} {framework.version}: {len(framework.competencies)} competencies, {len(chosen.rules)} rules, "
        f"{len(chosen.roles)} roles, {len(chosen.criteria)} criteria"
    )


def _dbt(settings: Settings) -> str:
    dbt_project(settings).parse()
    return "parses"


def _prefect(_: Settings) -> str:
    url = os.environ.get("PREFECT_API_URL")
    if not url:
        return "none configured; run and stream start their own"
    import httpx

    try:
        httpx.get(f"{url.rstrip('/')}/health", timeout=5).raise_for_status()
    except httpx.HTTPError as error:
        raise UnavailableError(
            f"{url} does not answer: {error}", "Start it (prefect server start), or unset PREFECT_API_URL."
        ) from None
    return url
