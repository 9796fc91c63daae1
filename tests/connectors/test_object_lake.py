"""The lake in a bucket, on a real S3 API server: chains without forks, folding, compaction, what is replaced."""

from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import obstore
import pyarrow.parquet as pq
import pytest

from connectors.lake import Fenced, LakeFile, State, next_offsets, objects
from connectors.lake.objects import ObjectLake
from schemas.errors import StorageError, UnavailableError
from schemas.lake import STATEMENTS
from tests.connectors.test_lake import DAY, table
from tests.object_store import ObjectStore


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    started = ObjectStore(tmp_path_factory.mktemp("moto"))
    yield started
    started.stop()


@pytest.fixture
def lake(server: ObjectStore, tmp_path: Path) -> ObjectLake:
    return another(server, tmp_path, "copies")


def another(server: ObjectStore, tmp_path: Path, copies: str) -> ObjectLake:
    """The lake of a test, as another machine has it."""
    return ObjectLake(server.store(tmp_path.name), f"s3://learning/{tmp_path.name}", tmp_path / copies)


def put(lake: ObjectLake, first: int, last: int, partition: int = 0, follows: int | None = None) -> LakeFile:
    return lake.publish(table(first, last), "t", partition, first, last, DAY, follows)


def offsets(lake: ObjectLake) -> list[int]:
    return sorted(n for file in lake.published() for n in lake.read(file)["log_offset"].to_pylist())


def keys(server: ObjectStore, prefix: str, kind: str) -> list[str]:
    return [one["path"] for page in obstore.list(server.store(prefix), kind) for one in page]


def test_what_is_published_is_there_for_others(lake: ObjectLake, server: ObjectStore, tmp_path: Path) -> None:
    put(lake, 0, 9)
    put(lake, 10, 14)
    put(lake, 3, 5, partition=1, follows=0)
    elsewhere = another(server, tmp_path, "elsewhere")
    assert next_offsets(elsewhere.published(), "t") == {0: 15, 1: 6}
    assert offsets(elsewhere) == sorted([*range(15), 3, 4, 5])
    assert pq.read_schema(elsewhere.local(elsewhere.published()[0])).equals(STATEMENTS)


def test_who_comes_too_late_publishes_nothing(lake: ObjectLake, server: ObjectStore, tmp_path: Path) -> None:
    put(lake, 0, 9)
    with pytest.raises(Fenced):
        put(another(server, tmp_path, "elsewhere"), 0, 7)
    assert offsets(lake) == list(range(10))
    assert len(keys(server, tmp_path.name, "data/")) == 1, "what did not count is removed"


def test_of_many_at_once_one_goes_on(server: ObjectStore, tmp_path: Path) -> None:
    won: list[int] = []

    def go(number: int) -> None:
        try:
            put(another(server, tmp_path, f"machine-{number}"), 0, number)
            won.append(number)
        except Fenced:
            pass

    threads = [Thread(target=go, args=(number,)) for number in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(won) == 1
    assert offsets(another(server, tmp_path, "x")) == list(range(won[0] + 1))


def test_entries_are_folded_and_a_place_that_was_passed_stays_passed(
    lake: ObjectLake, server: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "_FOLD_AT", 5)
    late = another(server, tmp_path, "late")
    for number in range(12):
        put(lake, number, number)
    assert len(keys(server, tmp_path.name, "chain/")) < 5
    assert len(keys(server, tmp_path.name, "checkpoints/")) <= 3
    with pytest.raises(Fenced):
        put(late, 0, 3)  # the entry of place 0 is gone, and can be made again
    assert offsets(lake) == offsets(late) == list(range(12))
    for number in range(12, 20):
        put(lake, number, number)
    assert offsets(late) == list(range(20))
    assert not keys(server, tmp_path.name, "chain/t-0/"), "what came too late is removed with the next"
    assert len(keys(server, tmp_path.name, "data/")) == 20


def test_merged_files_stand_for_the_small_ones(lake: ObjectLake, server: ObjectStore, tmp_path: Path) -> None:
    for first in range(0, 20, 5):
        put(lake, first, first + 4)
    reader = another(server, tmp_path, "reader")
    before = reader.published()
    assert lake.compact() == (4, 1)
    assert [(file.first, file.last) for file in lake.published()] == [(0, 19)]
    assert [reader.read(file).num_rows for file in before] == [5, 5, 5, 5], "who reads the old ones goes on"
    assert offsets(reader) == list(range(20))
    assert lake.compact() == (0, 0)
    put(lake, 20, 21)
    assert offsets(reader) == list(range(22))


def test_what_is_written_anew_takes_its_place_and_nothing_is_left_of_it(
    lake: ObjectLake, server: ObjectStore, tmp_path: Path
) -> None:
    file = put(lake, 0, 9)
    lake.local(file)
    with lake.replacing(lake.published()[0]) as writer:
        writer.write_table(table(0, 9).slice(5))
    assert offsets(another(server, tmp_path, "elsewhere")) == [5, 6, 7, 8, 9]
    assert next_offsets(lake.published(), "t") == {0: 10}
    with pytest.raises(StorageError):
        another(server, tmp_path, "third").read(file)
    assert not file.path.exists()


def test_its_state_is_kept(lake: ObjectLake, server: ObjectStore, tmp_path: Path) -> None:
    assert lake.state() == State(0, 0)
    put(lake, 0, 1)
    lake.note_state(State(1, 2))
    assert another(server, tmp_path, "elsewhere").state() == State(1, 2)
    assert offsets(lake) == [0, 1]


def test_a_store_that_does_not_answer_is_told_of(server: ObjectStore, tmp_path: Path) -> None:
    gone = ObjectLake(server.store("x", "http://127.0.0.1:9"), "s3://learning/x", tmp_path)
    with pytest.raises(UnavailableError, match="s3://learning/x does not answer"):
        gone.published()
