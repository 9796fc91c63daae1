"""Replaying: the lake is written anew from the log or from itself, and levels with it."""

import json
import time
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest

from connectors import lake
from connectors.lake.files import FileLake
from flows.dead_letters import dead_letters
from flows.land import land
from flows.opening import event_log, lake_of
from flows.replay import Replayed, migrate, replay_lake, replay_log
from flows.settings import LandSettings, Settings
from schemas.errors import QualityError, StorageError
from schemas.lake import VERSION
from schemas.records import STATEMENTS, Record
from tests.home import GOOD, Home


def put(settings: Settings, values: list[bytes]) -> None:
    with event_log(settings) as log:
        log.append(STATEMENTS, [Record(None, one, {"source": "t"}) for one in values])


def rows(settings: Settings) -> list[dict[str, Any]]:
    found = [row for file in lake_of(settings).published() for row in lake_of(settings).read(file).to_pylist()]
    return sorted(found, key=lambda row: (row["log_partition"], row["log_offset"]))


def test_what_a_mended_rule_lets_in_comes_from_the_log(
    settings: Settings, real_statements: list[dict[str, Any]]
) -> None:
    strict = settings.model_copy(update={"land": LandSettings(repairs_off=frozenset({"*"}))})
    put(strict, [*map(orjson.dumps, real_statements), b"never json"])
    land(strict)
    before = rows(settings)
    assert len(before) == 117
    with event_log(settings) as log:
        done = replay_log(settings, log)
        assert (done.rows, done.rejected) == (125, 1)
        assert [letter.value for letter in dead_letters(log)] == [b"never json"]
        after = rows(settings)
        assert sum(bool(row["repairs"]) for row in after) == 8
        assert [row for row in after if not row["repairs"]] == before
        assert land(settings, log).landed == 0


def test_the_lake_alone_gives_the_same_lake(settings: Settings, real_statements: list[dict[str, Any]]) -> None:
    put(settings, list(map(orjson.dumps, real_statements)))
    land(settings)
    before = rows(settings)
    for path in settings.home.glob("events.db*"):
        path.unlink()
    with event_log(settings) as log:
        assert replay_lake(settings, log).rows == 125
        assert rows(settings) == before
        with pytest.raises(StorageError, match="--from-log|the event log holds"):
            replay_log(settings, log)
    assert rows(settings) == before


def test_a_replay_that_would_refuse_too_much_leaves_the_file_as_it_was(settings: Settings) -> None:
    put(settings, [orjson.dumps({**GOOD, "object": {"id": f"https://e.org/{number}"}}) for number in range(50)])
    land(settings)
    before = rows(settings)
    gated = settings.model_copy(update={"land": LandSettings(reject_share_from=1, max_reject_share=0)})
    put(settings, [b"nonsense"])
    land(settings)
    with event_log(gated) as log, pytest.raises(QualityError, match="max_reject_share"):
        replay_log(gated, log)
    assert rows(settings) == before


def as_version(settings: Settings, version: int, without: tuple[str, ...] = ()) -> None:
    """Make the lake's files what a proficio of that version would have written."""
    for file in lake_of(settings).published():
        table = lake_of(settings).read(file).drop_columns(list(without))
        metadata = {**(table.schema.metadata or {}), b"proficio.version": str(version).encode()}
        pq.write_table(table.replace_schema_metadata(metadata), file.path)
    (settings.lake_folder / "state.json").unlink()


def test_an_older_lake_is_migrated_before_it_is_landed_into(home: Home) -> None:
    settings = home.settings
    lines = [{**GOOD, "id": f"00000000-0000-4000-8000-{number:012d}"} for number in range(20)]
    home("ingest", "-", stdin=b"\n".join(map(orjson.dumps, lines)))
    home("land")
    home("estimate")
    before = rows(settings)
    as_version(settings, 0, without=("activity_description", "team_id", "interaction_type"))
    assert "team_id" not in pq.read_schema(lake_of(settings).published()[0].path).names
    home("land")
    assert rows(settings) == before
    assert {lake_of(settings).version(file) for file in lake_of(settings).published()} == {VERSION}
    assert json.loads(home("estimate", "--json"))["full_refresh"]
    with event_log(settings) as log:
        assert migrate(settings, log) == Replayed()
    assert not json.loads(home("estimate", "--json"))["full_refresh"]
    as_version(settings, VERSION + 1)
    assert f"this proficio knows {VERSION}" in home("land", expect=7)


def test_killed_between_files_a_replay_begins_again(home: Home) -> None:
    settings = home.settings
    for part in range(6):
        put(settings, [orjson.dumps({**GOOD, "object": {"id": f"https://e.org/{part}-{n}"}}) for n in range(300)])
        land(settings)
    before = rows(settings)
    inodes = {file.path: file.path.stat().st_ino for file in lake_of(settings).published()}
    running = home.start("replay", "--from-lake")
    while all(path.stat().st_ino == inode for path, inode in inodes.items()):
        assert running.poll() is None
        time.sleep(0.001)
    running.kill()
    running.wait()
    assert any(path.stat().st_ino == inode for path, inode in inodes.items()), "it was killed too late to show anything"
    assert rows(settings) == before
    told = json.loads(home("replay", "--from-lake", "--json"))
    assert (told["rows"], told["rejected"]) == (len(before), 0)
    assert rows(settings) == before
    assert not list(settings.lake_folder.rglob("*.tmp"))


def test_what_to_replay_from_must_be_said(home: Home) -> None:
    assert "--from-lake" in home("replay", expect=2)
    assert "--from-lake" in home("replay", "--from-log", "--from-lake", expect=2)


def test_levels_are_the_same_after_a_replay(home: Home) -> None:
    home("ingest", "-", stdin=orjson.dumps(GOOD))
    home("land")
    home("estimate")
    home("publish")
    before = home("levels", "--json")
    assert before != "[]\n"
    home("replay", "--from-log")
    assert home("levels", "--json") == before


def test_state_that_was_never_noted_is_that_of_a_new_lake(tmp_path: Path) -> None:
    assert FileLake(tmp_path).state() == lake.State(0, 0)
    FileLake(tmp_path).note_state(lake.State(1, 2))
    assert FileLake(tmp_path).state() == lake.State(1, 2)
