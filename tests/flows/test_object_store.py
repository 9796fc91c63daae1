"""The whole path over a lake in an object store, a real S3 server: the same levels, erasure, verifying, moving there."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import obstore
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr

from connectors import warehouse
from flows.backup import backup, restore
from flows.compacting import compact
from flows.copying import copy_lake
from flows.erasing import erase
from flows.estimate import estimate
from flows.land import land
from flows.opening import event_log, lake_of
from flows.past import past
from flows.persons import person_of
from flows.publish import publish
from flows.replay import replay_lake, replay_log
from flows.settings import IdentitySettings, Settings
from flows.verifying import verify
from schemas.errors import SettingsError
from schemas.records import STATEMENTS, Record
from tests.home import GOOD
from tests.object_store import BUCKET, ObjectStore

IDENTITY = IdentitySettings(key=SecretStr("a key for the persons of this test"))


@pytest.fixture
def folder(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "folder", identity=IDENTITY)


@pytest.fixture
def bucket(object_store: ObjectStore, tmp_path: Path) -> Settings:
    lake = f"s3://{BUCKET}/{tmp_path.name}"
    return Settings(home=tmp_path / "bucket", identity=IDENTITY, lake=lake, lake_options=object_store.options)


def put(settings: Settings, first: int, last: int) -> None:
    records = []
    for number in range(first, last + 1):
        one = {
            **GOOD,
            "id": str(UUID(int=number, version=4)),
            "actor": {"mbox": f"mailto:p{number % 7}@example.org"},
            "object": {"id": f"https://lms.example.org/data-literacy/intermediate/{number % 11}"},
            "result": {"success": number % 3 > 0},
        }
        records.append(Record(one["actor"]["mbox"], orjson.dumps(one), {"source": "t"}))
    with event_log(settings) as log:
        log.append(STATEMENTS, records)


def taken_up(settings: Settings, first: int, last: int) -> int:
    """Statements, received, landed and estimated; the number of files taken up."""
    put(settings, first, last)
    land(settings)
    return estimate(settings).files


def levels(settings: Settings) -> list[dict[str, Any]]:
    """Levels, with abilities as far as they are the same in whatever order evidence is summed."""
    return warehouse.rows(
        settings.warehouse,
        "select person, competency, level, round(ability_mean, 9) as mean, round(ability_sd, 9) as sd, evidence_count "
        "from mart_levels order by all",
    )


def copies(settings: Settings) -> list[Path]:
    return list((settings.home / "lake").rglob("*.parquet"))


def test_levels_are_those_of_a_folder(folder: Settings, bucket: Settings, tmp_path: Path) -> None:
    for first in (0, 40):
        assert taken_up(folder, first, first + 39) == taken_up(bucket, first, first + 39) > 0
    assert levels(folder) == levels(bucket) != []
    assert copies(bucket) == []
    merged = compact(bucket)
    assert merged.merged > merged.created
    assert taken_up(bucket, 80, 99) == taken_up(folder, 80, 99)
    assert levels(folder) == levels(bucket)
    assert [one.wrong for one in verify(bucket, rebuild=False)] == [()] * 5
    assert past(bucket, datetime.now(UTC).date(), tmp_path / "past").rows["mart_levels"] == len(levels(bucket))
    assert copies(bucket) == []


@pytest.mark.slow
def test_it_is_replayed_and_backed_up(folder: Settings, bucket: Settings, tmp_path: Path) -> None:
    for one in (folder, bucket):
        taken_up(one, 0, 99)
        publish(one)
    with event_log(bucket) as log:
        assert replay_log(bucket, log).rows == replay_lake(bucket, log).rows == 100
    assert estimate(bucket).full_refresh
    assert levels(folder) == levels(bucket)
    assert [one.wrong for one in verify(bucket)] == [()] * 6

    assert backup(bucket, tmp_path / "backup.tar.zst").files == 2, (
        "event log and warehouse: a bucket has ways of its own"
    )
    back = bucket.model_copy(update={"home": tmp_path / "back"})
    restore(back, tmp_path / "backup.tar.zst")
    assert levels(folder) == levels(back)


def holding(object_store: ObjectStore, prefix: str, word: str) -> list[str]:
    """The objects that hold a word."""
    store, found = object_store.store(prefix), []
    for page in obstore.list(store):
        for one in page:
            content = bytes(obstore.get(store, one["path"]).bytes())
            if one["path"].endswith(".parquet"):
                rows = pq.read_table(pa.BufferReader(content)).to_pylist()
                content += json.dumps(rows, default=str, ensure_ascii=False).encode()
            if word.encode() in content:
                found.append(one["path"])
    return found


def test_of_who_is_erased_no_object_tells_any_more(bucket: Settings, object_store: ObjectStore, tmp_path: Path) -> None:
    put(bucket, 0, 29)
    land(bucket)
    taken_up(bucket, 30, 59)
    compact(bucket)
    left_behind = lake_of(bucket).read(lake_of(bucket).published()[0])
    pq.write_table(left_behind, tmp_path / "x.parquet")
    obstore.put(
        object_store.store(tmp_path.name),
        "data/received=2026-01-01/by-a-killed-process.parquet",
        tmp_path / "x.parquet",
    )
    word = str(left_behind["actor_id"][0]).removeprefix("mailto:")
    assert len(holding(object_store, tmp_path.name, word)) > 2
    done = erase(bucket, person_of(bucket, f"mailto:{word}"))
    assert done.statements > 0 and done.left == ()
    assert holding(object_store, tmp_path.name, word) == []
    assert [one.wrong for one in verify(bucket, rebuild=False)] == [()] * 5


def test_an_organisation_moves_there_and_levels_go_on(folder: Settings, bucket: Settings) -> None:
    taken_up(folder, 0, 59)
    moved = bucket.model_copy(update={"home": folder.home})
    put(moved, 60, 69)
    with pytest.raises(SettingsError, match="is empty, and .* holds"):
        land(moved)
    before = levels(folder)
    copied = copy_lake(moved)
    assert copied.rows == 60 and copied.files == len(lake_of(folder).published())
    assert copy_lake(moved).files == 0
    assert estimate(moved).files == 0 and levels(moved) == before
    assert land(moved).landed == 10
    done = estimate(moved)
    assert done.files > 0 and not done.full_refresh
    assert len(lake_of(folder).published()) == copied.files, "the folder stays as it was"
    assert [one.wrong for one in verify(moved, rebuild=False)] == [()] * 5


def test_where_to_copy_is_asked_for(folder: Settings) -> None:
    with pytest.raises(SettingsError, match="lake names no place"):
        copy_lake(folder)
