"""The lake in a bucket, on a real S3 API server: chains without forks, folding, compaction, what is replaced."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Thread

import obstore
import pyarrow.parquet as pq
import pytest

from connectors.lake import Fenced, LakeFile, State, chains, next_offsets, objects
from connectors.lake.objects import ObjectLake
from connectors.lake.stores import store_of
from schemas.errors import SettingsError, StorageError, UnavailableError
from schemas.lake import STATEMENTS
from tests.connectors.test_lake import DAY, table
from tests.object_store import ObjectStore


@pytest.fixture
def lake(object_store: ObjectStore, tmp_path: Path) -> ObjectLake:
    return another(object_store, tmp_path, "copies")


def another(object_store: ObjectStore, tmp_path: Path, copies: str) -> ObjectLake:
    """The lake of a test, as another machine has it."""
    return ObjectLake(object_store.store(tmp_path.name), f"s3://learning/{tmp_path.name}", tmp_path / copies)


def put(lake: ObjectLake, first: int, last: int, partition: int = 0, follows: int | None = None) -> LakeFile:
    return lake.publish(table(first, last), "t", partition, first, last, DAY, follows)


def offsets(lake: ObjectLake) -> list[int]:
    return sorted(n for file in lake.published() for n in lake.read(file)["log_offset"].to_pylist())


def keys(object_store: ObjectStore, prefix: str, kind: str) -> list[str]:
    return [one["path"] for page in obstore.list(object_store.store(prefix), kind) for one in page]


def test_what_is_published_is_there_for_others(lake: ObjectLake, object_store: ObjectStore, tmp_path: Path) -> None:
    put(lake, 0, 9)
    put(lake, 10, 14)
    put(lake, 3, 5, partition=1, follows=0)
    elsewhere = another(object_store, tmp_path, "elsewhere")
    assert next_offsets(elsewhere.published(), "t") == {0: 15, 1: 6}
    assert offsets(elsewhere) == sorted([*range(15), 3, 4, 5])
    assert pq.read_schema(elsewhere.local(elsewhere.published()[0])).equals(STATEMENTS)


def test_who_comes_too_late_publishes_nothing(lake: ObjectLake, object_store: ObjectStore, tmp_path: Path) -> None:
    put(lake, 0, 9)
    with pytest.raises(Fenced):
        put(another(object_store, tmp_path, "elsewhere"), 0, 7)
    assert offsets(lake) == list(range(10))
    assert len(keys(object_store, tmp_path.name, "data/")) == 1, "what did not count is removed"


def test_of_many_at_once_one_goes_on(object_store: ObjectStore, tmp_path: Path) -> None:
    won: list[int] = []

    def go(number: int) -> None:
        try:
            put(another(object_store, tmp_path, f"machine-{number}"), 0, number)
            won.append(number)
        except Fenced:
            pass

    threads = [Thread(target=go, args=(number,)) for number in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(won) == 1
    assert offsets(another(object_store, tmp_path, "x")) == list(range(won[0] + 1))


def test_entries_are_folded_and_a_place_that_was_passed_stays_passed(
    lake: ObjectLake, object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chains, "FOLD_AT", 5)
    late = another(object_store, tmp_path, "late")
    for number in range(12):
        put(lake, number, number)
    assert len(keys(object_store, tmp_path.name, "chain/")) < 5
    assert len(keys(object_store, tmp_path.name, "checkpoints/")) <= 3
    with pytest.raises(Fenced):
        put(late, 0, 3)  # the entry of place 0 is gone, and can be made again
    assert not keys(object_store, tmp_path.name, "chain/t-0/" + "0" * 20)
    assert offsets(lake) == offsets(late) == list(range(12))
    for number in range(12, 20):
        put(lake, number, number)
    assert offsets(late) == list(range(20))
    assert len(keys(object_store, tmp_path.name, "data/")) == 20
    put(lake, 0, 9, partition=1)
    new = [(file.partition, file.first) for file in late.published({("t", 0): 17, ("u", 1): 9})]
    assert new == [(0, 17), (0, 18), (0, 19), (1, 0)]


def test_merged_files_stand_for_the_small_ones(lake: ObjectLake, object_store: ObjectStore, tmp_path: Path) -> None:
    for first in range(0, 20, 5):
        put(lake, first, first + 4)
    reader = another(object_store, tmp_path, "reader")
    before = reader.published()
    assert lake.compact() == (4, 1)
    assert [(file.first, file.last) for file in lake.published()] == [(0, 19)]
    assert [reader.read(file).num_rows for file in before] == [5, 5, 5, 5], "who reads the old ones goes on"
    assert offsets(reader) == list(range(20))
    assert lake.compact() == (0, 0)
    put(lake, 20, 21)
    assert offsets(reader) == list(range(22))


def test_what_is_written_anew_takes_its_place_and_nothing_is_left_of_it(
    lake: ObjectLake, object_store: ObjectStore, tmp_path: Path
) -> None:
    file = put(lake, 0, 9)
    lake.local(file)
    with lake.replacing(lake.published()[0]) as writer:
        writer.write_table(table(0, 9).slice(5))
    assert offsets(another(object_store, tmp_path, "elsewhere")) == [5, 6, 7, 8, 9]
    assert next_offsets(lake.published(), "t") == {0: 10}
    with pytest.raises(StorageError):
        another(object_store, tmp_path, "third").read(file)
    assert not file.path.exists()


def test_its_state_is_kept(lake: ObjectLake, object_store: ObjectStore, tmp_path: Path) -> None:
    assert lake.state() == State(0, 0)
    put(lake, 0, 1)
    lake.note_state(State(1, 2))
    assert another(object_store, tmp_path, "elsewhere").state() == State(1, 2)
    assert offsets(lake) == [0, 1]


def test_a_store_that_does_not_answer_is_told_of(object_store: ObjectStore, tmp_path: Path) -> None:
    gone = ObjectLake(object_store.store("x", "http://127.0.0.1:9"), "s3://learning/x", tmp_path)
    with pytest.raises(UnavailableError, match="s3://learning/x does not answer"):
        gone.published()


def test_what_nobody_published_or_reads_any_more_is_removed(
    lake: ObjectLake, object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for first in range(0, 20, 5):
        put(lake, first, first + 4)
    store = object_store.store(tmp_path.name)
    obstore.put(store, "data/received=2026-01-01/t-0-x.parquet", b"what a killed process put")
    lake.compact()
    assert lake.sweep() == 0
    assert len(keys(object_store, tmp_path.name, "data/")) == 6, "it may be read, or be on its way"
    assert lake.sweep(at_once=True) == 5
    assert len(keys(object_store, tmp_path.name, "data/")) == 1
    assert offsets(another(object_store, tmp_path, "elsewhere")) == list(range(20))
    put(lake, 20, 21)
    put(lake, 22, 23)
    lake.compact()
    monkeypatch.setattr(objects, "_GRACE", timedelta(seconds=-1))
    assert lake.sweep() == 3
    assert offsets(lake) == list(range(24))


def test_a_file_that_was_late_between_its_two_puts_is_not_lost(
    lake: ObjectLake, object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleaner = another(object_store, tmp_path, "cleaner")
    enter = chains.Chains.enter

    def after_a_day(self: chains.Chains, file: LakeFile, follows: int) -> bool:
        assert cleaner.sweep(at_once=True) == 1
        return enter(self, file, follows)

    monkeypatch.setattr(chains.Chains, "enter", after_a_day)
    monkeypatch.setattr(objects, "_GRACE", timedelta())
    put(lake, 0, 9)
    assert offsets(another(object_store, tmp_path, "elsewhere")) == list(range(10))


def test_a_number_that_was_taken_long_ago_is_no_commit(
    lake: ObjectLake, object_store: ObjectStore, tmp_path: Path
) -> None:
    late = another(object_store, tmp_path, "late")
    stale = late._chains.newest()
    for version in range(1, 6):
        lake.note_state(State(version, version))
    assert not late._chains._follow(replace(stale, state=State(99, 99))), (
        "its number is free again, and behind the newest"
    )
    late.note_state(State(6, 6))
    assert lake.state() == State(6, 6)


def test_two_that_rewrite_at_once_lose_nothing(lake: ObjectLake, object_store: ObjectStore, tmp_path: Path) -> None:
    for first in range(0, 20, 5):
        put(lake, first, first + 4)
    one = lake.published()[0]
    with pytest.raises(UnavailableError, match="rewritten"), lake.replacing(one) as writer:
        another(object_store, tmp_path, "elsewhere").compact()
        writer.write_table(table(0, 4).slice(5))
    assert offsets(lake) == list(range(20))


def test_no_list_grows_with_what_was_landed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chains, "FOLD_AT", 10)
    with ObjectStore(tmp_path / "own") as own:
        lake = ObjectLake(own.store("lake"), "s3://learning/lake", tmp_path / "copies")
        listed: list[list[int]] = []
        for number in range(60):
            before = len(own.requests())
            put(lake, number, number)
            lake.sweep()
            assert lake.ends("t") == {0: number + 1}
            listed.append([one["bytes"] for one in own.requests()[before:] if "list-type" in one["query"]])
        most = [max(map(max, listed[start : start + 20])) for start in (0, 20, 40)]
        assert most[2] <= 1.05 * most[0], "bytes that one list answers"
        count = [max(map(len, listed[start : start + 20])) for start in (0, 20, 40)]
        assert count[2] <= count[0], "lists for one file"


def test_a_folder_by_way_of_the_same_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chains, "FOLD_AT", 5)
    url = f"file://{tmp_path}/lake"
    lake = ObjectLake(store_of(url, {}), url, tmp_path / "copies")
    lake.check()
    for number in range(12):
        put(lake, number, number)
    with pytest.raises(Fenced):
        put(ObjectLake(store_of(url, {}), url, tmp_path / "late"), 11, 12)
    assert lake.compact() == (12, 1)
    assert offsets(lake) == list(range(12))
    assert pq.read_table(lake.address(lake.published()[0]).removeprefix("file://"), partitioning=None).num_rows == 12


def test_a_store_that_takes_a_name_twice_is_refused(tmp_path: Path) -> None:
    with ObjectStore(tmp_path / "own", careless=True) as careless:
        lake = ObjectLake(careless.store("lake"), "s3://learning/lake", tmp_path / "copies")
        with pytest.raises(StorageError, match="conditional puts"):
            lake.sweep()


@pytest.mark.parametrize(
    ("url", "options", "says"),
    [
        ("s3://", {}, "cannot be opened"),
        ("s3://learning/lake", {"regoin": "us-east-1"}, "regoin"),
        ("s3://learning/lake", {"timeout": "soon"}, "soon"),
    ],
)
def test_what_names_no_store_is_told(url: str, options: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        store_of(url, options)


def test_a_bucket_that_is_not_there_is_told(object_store: ObjectStore, tmp_path: Path) -> None:
    lake = ObjectLake(store_of("s3://nowhere/lake", object_store.options), "s3://nowhere/lake", tmp_path)
    with pytest.raises(StorageError, match="s3://nowhere/lake: what should be there is not"):
        put(lake, 0, 1)
