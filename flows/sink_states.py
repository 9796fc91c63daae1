"""How each sink was told last, and until when one that fails is left in peace: files of the data folder, for `status`."""

from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.storage import storage_errors
from flows.cursors import read_state, write_state
from flows.settings import Settings
from schemas.errors import ProficioError

_PAUSE_SECONDS, _LONGEST = 15, 3600  # doubled with each failure


def note_told(settings: Settings, sink: str, told: dict[str, Any]) -> None:
    """A sink was told all that was due."""
    _write(settings, sink, {**told, "told_at": _now().isoformat(timespec="seconds"), "failures": 0})


def note_failed(settings: Settings, sink: str, error: ProficioError) -> None:
    """A sink failed: it is left in peace for a while, longer each time."""
    before = sink_state(settings, sink)
    failures = before.get("failures", 0) + 1
    until = _now() + timedelta(seconds=min(_PAUSE_SECONDS * 2 ** (failures - 1), _LONGEST))
    failed = {"failures": failures, "error": str(error), "paused_until": until.isoformat(timespec="seconds")}
    _write(settings, sink, {**before, **failed})


def is_paused(settings: Settings, sink: str) -> bool:
    """Whether a sink that failed is left in peace still."""
    until = sink_state(settings, sink).get("paused_until")
    return until is not None and _now() < datetime.fromisoformat(until)


def sink_state(settings: Settings, sink: str) -> dict[str, Any]:
    """What is known of a sink; empty before it was told anything."""
    return read_state(settings.home / "sinks" / f"{sink}.json") or {}


def _write(settings: Settings, sink: str, state: dict[str, Any]) -> None:
    path = settings.home / "sinks" / f"{sink}.json"
    with storage_errors(path):
        write_state(path, state)


def _now() -> datetime:
    return datetime.now(UTC)
