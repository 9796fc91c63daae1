"""The ledger of feedback on a disk that is full."""

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.ledger import ledger
from schemas.errors import StorageError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.skipif(os.geteuid() != 0, reason="a small tmpfs needs root")
def test_a_full_disk_is_told_and_what_was_noted_stays(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)], check=True)
    told = [{"person": f"person-{n:06d}", "competency": "ethics", "reported_level": 2} for n in range(60_000)]
    try:
        with ledger(tmp_path / "feedback.duckdb") as book:
            book.note("hr", told[:10], NOW)
        with pytest.raises(StorageError, match="No space left"), ledger(tmp_path / "feedback.duckdb") as book:
            book.note("hr", told, NOW)
        subprocess.run(["mount", "-o", "remount,size=100m", str(tmp_path)], check=True)
        with ledger(tmp_path / "feedback.duckdb") as book:
            assert sum(bool(book.of(row["person"])) for row in told[:20]) == 10
            book.note("hr", told, NOW)
        with ledger(tmp_path / "feedback.duckdb") as book:
            assert len(book.of("person-059999")) == 1
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
