"""A backup while everything runs comes back whole; `verify` finds what is wrong, and nothing where all is well."""

import json
import shutil
import signal
import time
from pathlib import Path

import orjson
import pytest

from flows.opening import event_log, lake_of
from schemas.records import STATEMENTS, Record
from tests.home import GOOD, Home
from tests.receiver import Server, statement
from transforms.statements import key_of


def answered(server: Server, count: int) -> list[str]:
    with server.client() as client:
        found = [
            client.post("/statements", json=[statement(timestamp=f"2026-01-01T00:{number:02d}:00Z")])
            for number in range(count)
        ]
    assert {one.status_code for one in found} == {200}
    return [one.json()[0] for one in found]


def test_a_backup_in_the_middle_of_a_stream_comes_back(tmp_path: Path) -> None:
    server = Server(tmp_path / "home")
    home = server.home
    first = answered(server, 20)
    stream = home.start("stream")
    while not (home.settings.published / "mart_levels.parquet").exists():  # it is at work
        assert stream.poll() is None
        time.sleep(0.5)
    answered(server, 10)
    file = tmp_path / "backup.tar.zst"
    told = json.loads(home("backup", str(file), "--json"))
    assert told["files"] > 5 and told["bytes"] == file.stat().st_size
    assert oct(file.stat().st_mode)[-3:] == "600"
    assert "is there already" in home("backup", str(file), expect=4)
    home("person", "erase", "ada@example.org", "--yes")
    stream.send_signal(signal.SIGINT)
    assert stream.wait(300) == 0
    server.stop()

    back = Home(tmp_path / "back")
    shutil.rmtree(back.settings.home)
    back("restore", str(file))
    ids = [row["statement_id"] for row in back.rows()]
    assert len(ids) == len(set(ids)) and set(ids) >= set(first)
    assert "0 entries, unaltered" in back("audit", "verify")  # as it was before the erasure
    back.nightly()
    assert len(back.rows()) >= 20
    rows = [json.loads(line) for line in back("verify", "--json").splitlines()]
    assert [row["wrong"] for row in rows] == [[]] * 6
    assert min(row["checked"] for row in rows) > 0
    assert "holds data already" in back("restore", str(file), expect=4)

    shutil.rmtree(back.settings.home)
    assert "1 people were erased again" in back("restore", str(file), "--erased", str(home.settings.home / "erased.db"))
    assert back.rows() == []


@pytest.mark.parametrize("damage", ["cut", "changed", "no backup"])
def test_a_damaged_backup_is_refused_and_nothing_half_brought_back(home: Home, damage: str) -> None:
    home("ingest", "-", stdin=json.dumps(GOOD).encode())
    home("land")
    file = home.folder / "backup.tar.zst"
    home("backup", str(file))
    whole = file.read_bytes()
    middle = len(whole) // 2
    spoilt = {
        "cut": whole[:middle],
        "changed": whole[:middle] + bytes(8) + whole[middle + 8 :],
        "no backup": b"x" * 100,
    }
    file.write_bytes(spoilt[damage])
    shutil.rmtree(home.settings.home)
    told = home("restore", str(file), expect=4)
    assert "no whole backup" in told or "is damaged" in told
    assert not home.settings.home.exists()
    assert not list(home.folder.glob(".*restored*"))


def test_verify_finds_what_is_wrong(home: Home) -> None:
    with event_log(home.settings) as log:
        for number in range(40):
            one = {**GOOD, "id": f"00000000-0000-4000-8000-{number:012x}"}
            log.append(STATEMENTS, [Record(key_of(one), orjson.dumps(one), {"source": "t"})])
            if number % 20 == 19:
                home("land")
                time.sleep(0.01)
    home("ingest", "-", stdin=b'{"actor": 1}')
    home("land", PROFICIO_LAND__MAX_REJECT_SHARE="1")
    home("verify", "--no-rebuild")
    file = next(one for one in lake_of(home.settings).published() if one.last - one.first == 19)
    rows = lake_of(home.settings).read(file)
    with lake_of(home.settings).replacing(file) as writer:
        writer.write_table(rows.slice(1))
    assert "1 wrong: xapi.statements-" in home("verify", "--no-rebuild", expect=6)
    with lake_of(home.settings).replacing(file) as writer:
        writer.write_table(rows)
        writer.write_table(rows.slice(0, 1))
    assert "holds an offset twice" in home("verify", "--no-rebuild", expect=6)
    file.path.unlink()
    assert "xapi.statements-" in home("verify", "--no-rebuild", expect=6)
