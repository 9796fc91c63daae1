"""What ran, when, and how it ended: one JSON line a run under the data folder, read by `status`."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from flows.settings import Settings
from schemas.errors import ProficioError

_KEPT = 500


@contextmanager
def note_run(settings: Settings, name: str) -> Iterator[dict[str, Any]]:
    """Note a run with what its body puts into the dictionary given, also when it fails."""
    told: dict[str, Any] = {}
    run = {"run": name, "started_at": datetime.now(UTC).isoformat(timespec="seconds")}
    try:
        yield told
        run["state"] = "completed"
    except BaseException as error:
        run["state"], run["error"] = "failed", _why(error)
        raise
    finally:
        run["ended_at"] = datetime.now(UTC).isoformat(timespec="seconds")
        _append(settings, {**run, **told})


def _why(error: BaseException) -> str:
    """What failed, and what mends it where somebody can."""
    hint = error.hint if isinstance(error, ProficioError) else ""
    return f"{error} {hint}".strip() or type(error).__name__


def runs(settings: Settings, newest: int = 5) -> list[dict[str, Any]]:
    """The newest runs, newest first."""
    path = settings.home / "runs.jsonl"
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in reversed(lines[-newest:])]


def _append(settings: Settings, run: dict[str, Any]) -> None:
    """Note a run. On a full disk the log alone tells of it: how the run ended is not to be hidden by that."""
    path = settings.home / "runs.jsonl"
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        if len(lines) >= 2 * _KEPT:
            shorter = path.with_suffix(".new")
            shorter.write_text("\n".join(lines[-_KEPT:]) + "\n", "utf-8")
            shorter.replace(path)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(run) + "\n")
    except OSError as error:
        logging.getLogger(__name__).warning("%s cannot be written (%s): %s %s", path, error, run["run"], run["state"])
