"""The audit log: who did what with people's data, and when. Each line holds the hash of the one before."""

import getpass
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from connectors.locks import locked
from connectors.storage import storage_errors

_FIRST = "0" * 64
_PATIENCE = 60  # seconds


def note(path: Path, action: str, **what: Any) -> str:
    """Append an entry, durably; its hash. `what` names nobody by an identifier, for the log is never shortened."""
    with storage_errors(path), locked(path.with_suffix(".lock"), _PATIENCE):
        before = _FIRST
        for line in _lines(path):
            before = _hash_in(line)
        entry = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"), "by": getpass.getuser(), "action": action, **what,
            "before": before,
        }  # fmt: skip
        entry["hash"] = _hash(entry)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        return str(entry["hash"])


def entries(path: Path) -> list[dict[str, Any]]:
    """The entries, oldest first."""
    return [json.loads(line) for line in _lines(path)]


def altered(path: Path) -> int | None:
    """The number (from 1) of the first line that is not as it was written, or does not follow on the one before; None if none.

    That lines are missing at the end only the last hash tells, kept elsewhere.
    """
    before = _FIRST
    for number, line in enumerate(_lines(path), start=1):
        try:
            entry = json.loads(line)
        except ValueError:
            return number
        given = entry.pop("hash", None) if isinstance(entry, dict) else None
        if given is None or entry.get("before") != before or given != _hash(entry):
            return number
        before = given
    return None


def _hash_in(line: str) -> str:
    """The hash that a line gives itself; of one that somebody spoilt, that of its text: `altered` tells of it."""
    try:
        return str(json.loads(line)["hash"])
    except (ValueError, KeyError, TypeError):
        return sha256(line.encode()).hexdigest()


def _lines(path: Path) -> Iterator[str]:
    if path.exists():
        with path.open(encoding="utf-8") as file:
            yield from file


def _hash(entry: dict[str, Any]) -> str:
    canonical = json.dumps(entry, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return sha256(canonical.encode()).hexdigest()
