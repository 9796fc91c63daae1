"""The lake: atomic files named by offsets, compaction, what a killed process leaves."""

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors import lake
from connectors.lake import claims
from connectors.lake.files import FileLake
from schemas.errors import StorageError, UnavailableError
from schemas.lake import STATEMENTS
from schemas.records import StoredRecord
from transforms.rows import to_table
from transforms.statements import judge

DAY = date(2026, 1, 1)
VALUE = b'{"actor":{"mbox":"mailto:a@e.org"},"verb":{"id":"https://e.org/v"},"object":{"id":"https://e.org/%d"}}'


def table(first: int, last: int) -> pa.Table:
    return to_table(
        [judge(StoredRecord("t", 0, n, 1_767_225_600_000, None, VALUE % n, {}), ()) for n in range(first, last + 1)]
    )


def publish(folder: Path, first: int, last: int, day: date = DAY) -> lake.LakeFile:
    return FileLake(folder).publish(table(first, last), "t", 0, first, last, day)


def offsets(folder: Path) -> list[int]:
    return sorted(
        n for file in FileLake(folder).published() for n in FileLake(folder).read(file)["log_offset"].to_pylist()
    )


def test_the_names_are_the_checkpoint(tmp_path: Path) -> None:
    publish(tmp_path, 0, 9)
    publish(tmp_path, 10, 14)
    assert lake.next_offsets(FileLake(tmp_path).published(), "t") == {0: 15}
    assert lake.next_offsets(FileLake(tmp_path).published(), "other") == {}
    file = FileLake(tmp_path).published()[0]
    assert file.path.parent.name == "received=2026-01-01"
    assert pq.read_schema(file.path).equals(STATEMENTS)


def test_an_empty_file_accounts_for_offsets_too(tmp_path: Path) -> None:
    FileLake(tmp_path).publish(table(0, -1), "t", 0, 0, 5, DAY)
    assert lake.next_offsets(FileLake(tmp_path).published(), "t") == {0: 6}


def test_compaction_keeps_rows_and_days_apart(tmp_path: Path) -> None:
    for start in range(0, 30, 5):
        publish(tmp_path, start, start + 4, DAY if start < 20 else date(2026, 1, 2))
    publish(tmp_path, 40, 44)  # not next to the others
    assert FileLake(tmp_path).compact() == (6, 2)
    assert [(file.first, file.last) for file in FileLake(tmp_path).published()] == [(0, 19), (20, 29), (40, 44)]
    assert offsets(tmp_path) == [*range(30), *range(40, 45)]
    assert FileLake(tmp_path).compact() == (0, 0)


def test_a_compaction_that_was_killed_before_it_cleaned_up_counts_no_row_twice(tmp_path: Path) -> None:
    publish(tmp_path, 0, 4)
    publish(tmp_path, 5, 9)
    with FileLake(tmp_path).reading():  # which keeps the old ones, as a kill does, while the merged file stands
        FileLake(tmp_path).compact()
    (tmp_path / "received=2026-01-01" / "half.parquet.99.tmp").write_bytes(b"half")
    assert offsets(tmp_path) == list(range(10))
    assert FileLake(tmp_path).sweep() == 3
    assert [(file.first, file.last) for file in FileLake(tmp_path).published()] == [(0, 9)]


def test_compaction_removes_nothing_that_is_being_read(tmp_path: Path) -> None:
    publish(tmp_path, 0, 4)
    publish(tmp_path, 5, 9)
    with FileLake(tmp_path).reading():
        files = FileLake(tmp_path).published()
        assert FileLake(tmp_path).compact() == (2, 1)
        assert [FileLake(tmp_path).read(file).num_rows for file in files] == [5, 5]
        assert offsets(tmp_path) == list(range(10))
    assert FileLake(tmp_path).sweep() == 2


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    file = publish(tmp_path, 0, 4)
    file.path.write_bytes(file.path.read_bytes()[:-20])
    with pytest.raises(StorageError, match=file.path.name):
        FileLake(tmp_path).read(file)


def test_one_lander_at_a_time(tmp_path: Path) -> None:
    with (
        FileLake(tmp_path).locked(),
        pytest.raises(UnavailableError, match="Another process"),
        FileLake(tmp_path).locked(),
    ):
        pass
    with FileLake(tmp_path).locked():
        pass


def test_who_comes_too_late_publishes_nothing(tmp_path: Path) -> None:
    """A worker that was paused wakes up with what another landed meanwhile, cut at another place, and on another day."""
    publish(tmp_path, 0, 9)
    with pytest.raises(lake.Fenced):
        publish(tmp_path, 0, 4, date(2026, 1, 2))
    assert offsets(tmp_path) == list(range(10))
    assert not list(tmp_path.rglob("*.tmp"))
    with pytest.raises(lake.Fenced):  # also where what expired lies between
        FileLake(tmp_path).publish(table(7, 9), "t", 0, 7, 9, DAY, follows=0)
    publish(tmp_path, 10, 14)


def test_what_a_killed_worker_had_claimed_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path, 0, 9)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "rename", _killed)
        patched.setattr(Path, "unlink", lambda *_, **__: None)  # nor does it clear up
        publish(tmp_path, 10, 14)
    assert offsets(tmp_path) == list(range(10))
    with pytest.raises(lake.Fenced):
        publish(tmp_path, 10, 12)
    assert FileLake(tmp_path).finish("t", 0, 10)
    assert offsets(tmp_path) == list(range(15))
    assert not FileLake(tmp_path).finish("t", 0, 15)


def test_a_worker_that_stood_still_behind_its_claim_finds_its_file_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed = claims.claim

    def claim(*of: Any) -> None:
        claimed(*of)
        assert FileLake(tmp_path).finish("t", 0, 0)  # by another, before this one goes on

    monkeypatch.setattr(claims, "claim", claim)
    file = publish(tmp_path, 0, 9)
    assert file.size == file.path.stat().st_size
    assert offsets(tmp_path) == list(range(10))


def test_a_claim_whose_file_is_gone_is_told_and_forgotten_by_who_is_alone(tmp_path: Path) -> None:
    publish(tmp_path, 0, 9).path.unlink()
    with pytest.raises(StorageError, match="which is gone"):
        FileLake(tmp_path).finish("t", 0, 0)
    FileLake(tmp_path).sweep()
    publish(tmp_path, 0, 4)
    assert offsets(tmp_path) == list(range(5))


def _killed(*_: object) -> None:
    raise KeyboardInterrupt
