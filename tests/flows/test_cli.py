"""The command line as its users meet it: every command, every kind of bad input, exit codes, no traceback."""

import base64
import gzip
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from kafka import KafkaAdminClient
from typer.testing import CliRunner

from connectors import warehouse
from flows.cli import app
from flows.opening import lake_of
from schemas.records import LEVELS, REJECTED, STATEMENTS
from tests import disk
from tests.broker import Broker
from tests.home import GOOD, Home

COMMANDS = [
    *"init doctor ingest pull land estimate publish run stream replay compact backup restore verify quality metrics feedback sources levels rejected status demo".split(),
    *("evaluate", "calibrate", "align test", "align suggest", "explain", "gaps", "next", "report"),
    *(f"framework {name}" for name in ("check", "show", "roles", "import", "export")),
    *("person export", "person erase", "person admit", "audit list", "audit verify", "lake copy", "state copy"),
]


def test_from_a_statement_to_a_level(home: Home) -> None:
    lines = [json.dumps({**GOOD, "timestamp": f"2026-01-{day:02d}T00:00:00Z"}) for day in range(1, 11)]
    assert "10 statements" in home("ingest", "-", stdin="\n".join(lines).encode())
    assert "10 statements landed" in home("land")
    assert "from nothing" in home("estimate", "--test")
    assert "mart_levels 14" in home("publish", "--test")
    rows = [json.loads(line) for line in home("levels", "ada@example.org", "--json").splitlines()]
    mine = {row["competency"]: row for row in rows}
    assert len(mine) == 14
    assert set(mine["data-literacy"]) >= {
        "person", "competency", "level", "p_at_least", "ability_mean", "ability_sd", "evidence_weight",
        "last_evidence_at", "stale",
    }  # fmt: skip
    assert mine["data-literacy"]["level"] >= 2
    assert len(mine["data-literacy"]["p_at_least"]) == 4
    assert mine["data-literacy"]["ability_mean"] > mine["collaboration"]["ability_mean"] > 0
    assert "Data literacy" in home("levels", "Ada")
    told = json.loads(home("status", "--json"))
    assert (told["received"], told["backlog"], told["rejected"]) == (10, 0, 0)
    assert [run["run"] for run in told["runs"]] == ["estimate", "land"]
    assert json.loads(home("compact", "--json")) == {"merged": 0, "created": 0}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command: str) -> None:
    told = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "200"}).output
    assert "Example:" in told
    assert f"proficio {command}" in told


def test_doctor_finds_all_well_and_says_what_is_not(home: Home) -> None:
    told = [json.loads(line) for line in home("doctor", "--json").splitlines()]
    assert {row["part"] for row in told} >= {
        "Python",
        "event log",
        "topics",
        "data folder",
        "dbt project",
        "Prefect API",
        "disk room",
    }
    assert {row["state"] for row in told} == {"good"}
    told = home(
        "doctor", expect=5, PROFICIO_EVENT_LOG__KIND="kafka", PROFICIO_EVENT_LOG__BOOTSTRAP_SERVERS="127.0.0.1:9"
    )
    assert "wrong" in told
    assert "bootstrap_servers" in told.replace("\n", "")
    assert "PREFECT_API_URL" in home("doctor", expect=5, PREFECT_API_URL="http://127.0.0.1:9/api")


BAD_LINES = {
    "invalid UTF-8": b'{"actor": "\xff\xfe"}',
    "duplicate keys": b'{"actor": {"mbox": "mailto:a@e.org"}, "actor": {"mbox": "mailto:b@e.org"}}',
    "NaN": b'{"result": {"score": {"raw": NaN}}}',
    "a lone surrogate": b'{"actor": {"name": "\\ud800"}}',
    "2,000 nested levels": b'{"a":' * 2000 + b"1" + b"}" * 2000,
    "no JSON": b"actor,verb,object",
    "a line of 50 MB": b'{"a": "' + b"x" * 50_000_000 + b'"}',
}


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES.keys())
def test_a_bad_line_is_told_with_its_place_and_the_good_ones_are_taken(home: Home, line: bytes) -> None:
    good = json.dumps(GOOD).encode()
    (home.folder / "file.ndjson").write_bytes(good + b"\n" + line + b"\n" + good.replace(b"ada@", b"alan@") + b"\n")
    told = home("ingest", "file.ndjson", expect=4)
    assert "2 statements" in told
    assert "proficio rejected" in told
    letters = [json.loads(one) for one in home("rejected", "--json").splitlines()]
    assert [letter["origin"] for letter in letters] == ["file.ndjson:2"]
    assert letters[0]["reason"]
    home("land")
    assert len(home.rows()) == 2


def test_a_byte_order_mark_is_no_fault(home: Home) -> None:
    (home.folder / "file.ndjson").write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD).encode())
    home("ingest", "file.ndjson")
    home("land")
    assert len(home.rows()) == 1


def test_a_timestamp_without_a_zone_is_refused_at_landing(home: Home) -> None:
    home("ingest", "-", stdin=json.dumps({**GOOD, "timestamp": "2026-01-01T00:00:00"}).encode())
    assert "1 rejected" in home("land")
    assert "time zone" in home("rejected", COLUMNS="300")
    assert home.rows() == []


def test_dead_letters_are_filtered_and_exported_whole(home: Home) -> None:
    no_verb = json.dumps({name: value for name, value in GOOD.items() if name != "verb"}).encode()
    home("ingest", "-", "--source", "lms", stdin=b"{broken\xff\n" + json.dumps(GOOD).encode(), expect=4)
    home("ingest", "-", "--source", "other", stdin=no_verb)
    home("land")

    def found(*options: str) -> list[str]:
        return [json.loads(one)["source"] for one in home("rejected", "--json", *options).splitlines()]

    assert sorted(found()) == ["lms", "other"]
    assert found("--source", "lms") == ["lms"]
    assert found("--clause", "xAPI-Data 2.") == ["other"]
    assert found("--since", "2999-01-01") == []
    assert len(found("--since", "2026-01-01")) == 2
    assert "2 are in" in home("rejected", "--export", "refused.ndjson")
    exported = [json.loads(one) for one in (home.folder / "refused.ndjson").read_bytes().splitlines()]
    originals = {one["source"]: one.get("original", one.get("original_base64")) for one in exported}
    assert originals == {"lms": base64.b64encode(b"{broken\xff").decode(), "other": no_verb.decode()}
    assert "cannot" in home("rejected", "--export", "missing/refused.ndjson", expect=7)


def test_files_that_are_empty_missing_or_break_off(home: Home) -> None:
    (home.folder / "empty").write_bytes(b"")
    assert "holds no statements" in home("ingest", "empty", expect=4)
    assert "cannot be read" in home("ingest", "missing", expect=4)
    packed = gzip.compress(b"\n".join(json.dumps({**GOOD, "n": os.urandom(8).hex()}).encode() for _ in range(3000)))
    (home.folder / "file.gz").write_bytes(packed[:-5000])
    assert "breaks off" in home("ingest", "file.gz", expect=4)
    told = json.loads(home("status", "--json"))
    assert 1000 < told["received"] < 3000


def test_settings_that_are_wrong_are_told_with_what_was_meant(home: Home) -> None:
    file = home.folder / "proficio.toml"
    file.write_text("[land]\nbatch_record = 5\n")
    told = home("land", expect=3)
    assert "land.batch_record" in told
    assert "did you mean batch_records?" in told
    file.write_text("[land]\nbatch_records = 'many'\n")
    assert "land.batch_records" in home("status", expect=3)
    file.write_text("[land\n")
    assert "not valid TOML" in home("status", expect=3)
    file.write_text("[event_log]\npassword = 'secret'\n")
    told = home("status", expect=3)
    assert "PROFICIO_EVENT_LOG__PASSWORD" in told
    file.write_text("[land]\nrepairs_off = ['nothing']\n")
    assert "nothing" in home("land", expect=3)
    assert "no settings file" in home("--config", "other.toml", "status", expect=3)
    assert "PROFICIO_CONFIG" in home("status", PROFICIO_CONFIG="other.toml", expect=3)
    (home.folder / "other.toml").write_text("[land]\nbatch_recrods = 5\n")
    assert "land.batch_recrods" in home("status", PROFICIO_CONFIG="other.toml", expect=3)
    file.write_text("")
    assert "land.batch_records" in home("status", expect=3, PROFICIO_LAND__BATCH_RECORDS="many")


def test_git_paths_and_sources_that_are_wrong(home: Home) -> None:
    assert "no Git repository" in home("pull", "git", str(home.folder), expect=4)
    assert "There is no source" in home("pull", "svn", expect=3)
    assert "git has nothing to read" in home("pull", "git", expect=3)


def test_a_broker_that_is_down_and_a_person_nobody_knows(home: Home) -> None:
    kafka = {"PROFICIO_EVENT_LOG__KIND": "kafka", "PROFICIO_EVENT_LOG__BOOTSTRAP_SERVERS": "127.0.0.1:9",
             "PROFICIO_EVENT_LOG__DELIVERY_SECONDS": "1"}  # fmt: skip
    assert "127.0.0.1:9" in home("ingest", "-", stdin=json.dumps(GOOD).encode(), expect=5, **kafka)
    assert "127.0.0.1:9" in home("land", expect=5, **kafka)
    assert "No levels are published" in home("levels", expect=4)
    error = json.loads(home("levels", "--json", expect=4))
    assert error["exit_code"] == 4
    assert error["hint"]


@pytest.mark.kafka
def test_a_missing_topic_is_told(home: Home, broker: Broker) -> None:
    kafka = broker.environment
    admin = KafkaAdminClient(bootstrap_servers=broker.address)
    there = {STATEMENTS, REJECTED, LEVELS} & set(admin.list_topics())
    if there:  # from a test before this one
        admin.delete_topics(list(there))
    admin.close()
    assert "xapi.statements does not exist" in home("land", expect=5, **kafka)
    assert "xapi.statements" in home("init", **kafka)
    home("land", **kafka)


def test_a_damaged_file_in_the_lake_is_named_and_nothing_is_lost(home: Home) -> None:
    home("ingest", "-", stdin=json.dumps(GOOD).encode())
    home("land")
    file = lake_of(home.settings).published()[0].path
    whole = file.read_bytes()
    file.write_bytes(whole[:-30])
    assert file.name in home("estimate", expect=7)
    file.unlink()
    home("land")
    home("estimate")
    assert len(home.rows()) == 1


@pytest.mark.skipif(not disk.CAN_MOUNT, reason="a small tmpfs needs root")
def test_a_full_disk_stops_in_time_and_loses_nothing(home: Home, tmp_path: Path) -> None:
    lines = b"\n".join(
        json.dumps(
            {
                **GOOD,
                "id": f"00000000-0000-4000-8000-{n:012d}",
                "context": {"extensions": {"https://e.org/x": os.urandom(600).hex()}},
            }
        ).encode()
        for n in range(6000)
    )
    home("ingest", "-", stdin=lines)
    with disk.mounted(home.settings.lake_folder, "size=2m"):
        assert "No space left" in home("land", expect=7)
        assert not list(home.settings.lake_folder.rglob("*.tmp"))
        disk.resize(home.settings.lake_folder, "100m")
        home("land")
        rows = [row["statement_id"] for row in home.rows()]
        assert len(rows) == len(set(rows)) == 6000


@pytest.mark.skipif(not disk.CAN_MOUNT, reason="a small tmpfs needs root")
def test_where_dbt_finds_no_room_is_told_and_made_good(home: Home) -> None:
    home("ingest", "-", stdin=json.dumps(GOOD).encode())
    home("land")
    with disk.mounted(home.settings.home / "dbt", "size=100k"):  # too small for the project, then for what dbt writes
        assert "No space left" in home("estimate", expect=7)
        disk.resize(home.settings.home / "dbt", "1400k")
        assert "No space left" in home("estimate", expect=7)
        disk.resize(home.settings.home / "dbt", "100m")
        home("estimate")
    assert len(warehouse.rows(home.settings.warehouse, "select * from mart_evidence")) == 1


@pytest.mark.skipif(not disk.CAN_MOUNT, reason="mounting needs root")
def test_a_read_only_lake_is_told(home: Home) -> None:
    home("ingest", "-", stdin=json.dumps(GOOD).encode())
    with disk.mounted(home.settings.lake_folder, "size=2m,ro"):
        assert "cannot be written" in home("land", expect=7)
    home("land")
    assert len(home.rows()) == 1


def test_rules_are_tried_and_proposed(home: Home) -> None:
    unknown = {
        **GOOD, "object": {"id": "https://lms.example.org/mod/7", "definition": {"name": {"en": "Introduction to working in teams"},
        "description": {"en": "Work with peers on shared tasks"}}},
    }  # fmt: skip
    viewed = {**GOOD, "verb": {"id": "http://id.tincanapi.com/verb/viewed"}}
    rated = {
        **GOOD, "verb": {"id": "https://w3id.org/proficio/verbs/rated"},
        "object": {"id": "https://example.org/competencies/ethics-bias/levels/advanced"},
    }  # fmt: skip
    lines = [json.dumps(one) for one in (GOOD, unknown, unknown | {"timestamp": "2026-01-02T00:00:00Z"}, viewed, rated)]
    (home.folder / "s.ndjson").write_text("\n".join([*lines, '{"actor": {}}']))
    told = json.loads(home("align", "test", "s.ndjson", "--json"))
    assert (told["statements"], told["rejected"]) == (5, 1)
    assert {(one["rule_name"], one["evidence"]) for one in told["rules"]} == {
        ("cohort/data-literacy/intermediate", 1), ("rated/ethics-bias/advanced", 1), ("seen", 0),
    }  # fmt: skip
    assert [(one["reason"], one["statements"]) for one in told["unaligned"]] == [("no rule", 2), ("no weight", 1)]
    assert "no rule" in home("align", "test", "s.ndjson")
    assert not home.rows()

    assert "proficio run" in home("align", "suggest", expect=4)
    home("ingest", "s.ndjson")
    home.nightly()
    proposed = yaml.safe_load(home("align", "suggest"))
    assert [(one["competency"], one["level"]) for one in proposed] == [("collaboration", "beginner")]
    proposal = json.loads(home("align", "suggest", "--json"))
    assert proposal["activity_id"] == "https://lms.example.org/mod/7"
    assert 0 < proposal["confidence"] <= 1


def test_a_proposal_can_be_taken_as_it_is(home: Home) -> None:
    unknown = {
        **GOOD,
        "object": {"id": "https://lms.example.org/mod/7", "definition": {"name": {"en": "Working in teams"}}},
    }
    (home.folder / "s.ndjson").write_text(json.dumps(unknown))
    home("ingest", "s.ndjson")
    home.nightly()
    assert "Nothing is known" in home("levels", "ada@example.org", expect=4)
    folder = home.folder / "framework"
    shutil.copytree(Path(__file__).parents[2] / "schemas" / "generative_ai", folder)
    rules = folder / "alignment.yaml"
    rules.write_text(rules.read_text("utf-8") + home("align", "suggest"), "utf-8")
    toml = home.folder / "proficio.toml"
    toml.write_text(toml.read_text("utf-8").replace("[estimate]", '[estimate]\nframework = "framework"'), "utf-8")
    home.nightly()
    levels = [json.loads(line) for line in home("levels", "ada@example.org", "--json").splitlines()]
    assert {one["competency"] for one in levels if one["evidence_count"]} == {"collaboration"}


def test_sources_tell_how_their_last_pull_ended(home: Home) -> None:
    toml = home.folder / "proficio.toml"
    toml.write_text(
        toml.read_text("utf-8").replace(
            "[sources.git]", '[sources.git]\nrepositories = ["https://ada:word@127.0.0.1:9/x.git"]', 1
        )
    )
    told = {one["source"]: one for one in map(json.loads, home("sources", "--json").splitlines())}
    assert set(told) == {"git", "github", "kaggle", "lrs", "moodle"}
    assert (told["git"]["configured"], told["git"]["state"], told["git"]["lag_seconds"]) == (True, "never read", None)
    assert told["git"]["settings"]["repositories"] == ["https://127.0.0.1:9/x"]
    home("pull", "git", expect=5)
    assert "word" not in home("sources", "--json")
    assert "failed: git clone" in home("sources", "--json")
    (home.folder / "repository").mkdir()
    subprocess.run(["git", "init", "--quiet", home.folder / "repository"], check=True)
    toml.write_text(
        toml.read_text("utf-8").replace("https://ada:word@127.0.0.1:9/x.git", str(home.folder / "repository"))
    )
    home("pull")
    [git] = [one for one in map(json.loads, home("sources", "--json").splitlines()) if one["source"] == "git"]
    assert git["state"] == "read"
    assert 0 <= git["lag_seconds"] < 60
