"""The ledger of feedback on a disk that is full."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.ledger import ledger
from schemas.errors import StorageError
from tests import disk

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.skipif(not disk.CAN_MOUNT, reason="a small tmpfs needs root")
def test_a_full_disk_is_told_and_what_was_noted_stays(tmp_path: Path) -> None:
    told = [{"person": f"person-{n:06d}", "competency": "ethics", "reported_level": 2} for n in range(60_000)]
    with disk.mounted(tmp_path, "size=2m"):
        with ledger(tmp_path / "feedback.duckdb") as book:
            book.note("hr", told[:10], NOW)
        with pytest.raises(StorageError, match="No space left"), ledger(tmp_path / "feedback.duckdb") as book:
            book.note("hr", told, NOW)
        disk.resize(tmp_path, "100m")
        with ledger(tmp_path / "feedback.duckdb") as book:
            assert sum(bool(book.of(row["person"])) for row in told[:20]) == 10
            book.note("hr", told, NOW)
        with ledger(tmp_path / "feedback.duckdb") as book:
            assert len(book.of("person-059999")) == 1
