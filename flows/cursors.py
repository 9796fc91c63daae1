"""How far each source was read, and how its last pull ended, as files of the data folder."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connectors.sources import Cursor
from flows.settings import Settings
from schemas.errors import InputError, ProficioError


def read_cursor(settings: Settings, name: str) -> Cursor | None:
    """The cursor of a source; None before its first read. InputError where the file is damaged."""
    return read_state(_file(settings, name, "json"))


def write_cursor(settings: Settings, name: str, cursor: Cursor) -> None:
    """Keep a source's cursor, whole or not at all."""
    write_state(_file(settings, name, "json"), cursor)


def state(settings: Settings, name: str) -> dict[str, Any]:
    """How the last pull of a source ended, when the last one came to its end, and how many seconds ago that was."""
    noted = read_state(_file(settings, name, "state")) or {}
    read_at = datetime.fromisoformat(noted["read_at"]) if noted.get("read_at") else None
    return {
        "state": f"failed: {noted['error']}" if noted.get("error") else "read" if read_at else "never read",
        "read_at": read_at,
        "lag_seconds": round((datetime.now(UTC) - read_at).total_seconds()) if read_at else None,
    }


@contextmanager
def noted(settings: Settings, name: str) -> Iterator[None]:
    """Note how a pull ends."""
    path = _file(settings, name, "state")
    try:
        yield
    except ProficioError as error:
        write_state(path, {**(read_state(path) or {}), "error": str(error)})
        raise
    write_state(path, {"read_at": datetime.now(UTC).isoformat(timespec="seconds"), "error": None})


def _file(settings: Settings, name: str, kind: str) -> Path:
    return settings.home / "cursors" / f"{name}.{kind}"


def read_state(path: Path) -> dict[str, Any] | None:
    """A JSON object in a file of the data folder; None where there is none. InputError where it is damaged."""
    try:
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return content
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(
            f"{path} is damaged: {error}", "Remove it: what was done is done again, and nothing counts twice."
        ) from None


def write_state(path: Path, content: dict[str, Any]) -> None:
    """Keep a JSON object in a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
    temporary.replace(path)
