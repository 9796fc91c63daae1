"""Erasing and exporting a person while statements go on arriving: nothing names them any more, and nobody else loses anything."""

import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import duckdb
import pyarrow.parquet as pq
import pytest

from connectors import audit, consents
from connectors.lti.store import Context, LtiStore
from flows.opening import erased, event_log, topics
from flows.settings import Settings
from flows.settings_file import load
from schemas.records import LEVELS, REJECTED, STATEMENTS
from tests.broker import Broker
from tests.home import GOOD, Home
from tests.processes import until
from tests.receiver import Server, multipart

ADA, GRACE = {"mbox": "mailto:ada@example.org", "name": "Ada"}, {"mbox": "mailto:grace@example.org"}
ADA_AT_LMS = {"account": {"homePage": "https://lms.example.org", "name": "4711"}}
SHA1 = hashlib.sha1(b"mailto:ada@example.org").hexdigest()
TRACES = ["ada@example.org", "ADA@example.org", SHA1, "lms.example.org|4711", '"name":"4711"', '"name": "4711"']


def done(number: int, actor: dict[str, Any], **more: Any) -> dict[str, Any]:
    thing = {"id": f"https://lms.example.org/data-literacy/intermediate/{number % 7}"}
    return {**GOOD, "id": str(uuid4()), "actor": actor, "object": thing, **more}


def texts(path: Path) -> Iterator[str]:
    """What a file holds, whatever its format: its bytes, and for Parquet and DuckDB its rows."""
    yield path.read_bytes().decode("utf-8", errors="replace")
    if path.suffix == ".parquet":
        yield json.dumps(pq.read_table(path, partitioning=None).to_pylist(), default=str, ensure_ascii=False)
    if path.suffix == ".duckdb":
        with duckdb.connect(str(path), read_only=True) as connection:
            for schema, table in connection.execute("select schema_name, table_name from duckdb_tables()").fetchall():
                yield str(connection.execute(f'from "{schema}"."{table}"').fetchall())


def naming(folder: Path, words: list[str]) -> dict[str, list[str]]:
    """The files under a folder that hold one of some words."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            whole = "\n".join(texts(path))
            if hits := [word for word in words if word in whole]:
                found[str(path.relative_to(folder))] = hits
    return found


@pytest.fixture(params=[pytest.param("sqlite", marks=pytest.mark.slow), pytest.param("kafka", marks=pytest.mark.kafka)])
def server(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("PROFICIO_LAND__MAX_REJECT_SHARE", "1")
    monkeypatch.setenv("PROFICIO_HOME", str(tmp_path / "home" / ".proficio"))
    broker = None
    if request.param == "kafka":
        request.getfixturevalue("kafka_can_run")
        broker = Broker(tmp_path / "kafka")
        monkeypatch.setenv("PROFICIO_EVENT_LOG__KIND", "kafka")
        monkeypatch.setenv("PROFICIO_EVENT_LOG__BOOTSTRAP_SERVERS", broker.address)
    with event_log(load(None)) as log:
        log.create(topics(load(None)))
    one = Server(tmp_path / "home", **environment())
    yield one
    assert "Traceback" not in one.stop()
    if broker:
        broker.kill()


def environment() -> dict[str, str]:
    """What the commands are to see of the settings: `Home` passes on nothing of proficio's by itself."""
    return {name: value for name, value in os.environ.items() if name.startswith("PROFICIO_")}


class Writer:
    """Others go on working: statements of theirs, one request after the other, each answered."""

    def __init__(self, server: Server) -> None:
        self.answered: list[str] = []
        self._server, self._stopping = server, threading.Event()
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    def _write(self) -> None:
        number = 0
        with self._server.client("other") as client:
            while not self._stopping.is_set():
                number += 1
                one = done(number, {"mbox": f"mailto:p{number % 9}@example.org"})
                if client.post("/statements", json=[one]).status_code == 200:
                    self.answered.append(one["id"])
                time.sleep(0.05)

    def stop(self) -> list[str]:
        self._stopping.set()
        self._thread.join()
        return self.answered


def test_a_person_is_exported_and_erased_while_statements_arrive(server: Server, tmp_path: Path) -> None:  # noqa: PLR0915 - one story
    home, given = server.home, environment()
    table = home.folder / "people.csv"
    table.write_text("account,person\nada@example.org,1\nhttps://lms.example.org|4711,1\n")
    given["PROFICIO_IDENTITY__TABLE"] = str(table)
    settings = load(None).model_copy(update={"home": home.folder / ".proficio"})
    content = b"Ada's work"
    group = {"objectType": "Group", "member": [ADA, GRACE]}
    graded = done(
        3, GRACE, context={"instructor": ADA_AT_LMS, "extensions": {"https://x.org/by": "seen by ada@example.org"}}
    )
    theirs = [done(1, ADA), done(2, ADA_AT_LMS), done(4, {"mbox_sha1sum": SHA1}), done(5, group)]
    others = [
        graded,
        done(6, GRACE, object={"objectType": "Agent", **ADA}),
        done(7, {"account": {"homePage": "https://other.example.org", "name": "4711"}}),
    ]
    with server.client() as client:
        assert client.post("/statements", json=[*theirs, *others]).status_code == 200
        with_file = multipart(done(8, ADA), content)
        assert client.post("/statements", **with_file).status_code == 200
    broken = json.dumps({"actor": ADA, "verb": {"id": "answered"}, "object": {"id": "x"}})
    home("ingest", "-", stdin=broken.encode(), **given)
    consents.say(settings.home / "consents.db", "mailto:ada@example.org", "*", True, "the command line")
    LtiStore(settings.home / "lti.db").note_launch(
        Context("https://lms.example.org", "1", "course"), "4711", ["https://lms.example.org|4711"], True
    )
    home("run", **given)
    assert naming(settings.home, TRACES), "there is nothing to be erased"

    told = home("person", "export", "ada@example.org", "--to", str(tmp_path / "ada"), **given)
    assert "Traceback" not in told
    exported = {path.name: path.read_text() for path in (tmp_path / "ada").glob("*.*")}
    assert {json.loads(line)["id"] for line in exported["statements.ndjson"].splitlines()} >= {
        one["id"] for one in theirs
    }
    assert {json.loads(line)["id"] for line in exported["mentions.ndjson"].splitlines()} == {
        one["id"] for one in others[:2]
    }
    assert "grace" not in "".join(exported.values())
    assert (tmp_path / "ada" / "attachments" / hashlib.sha256(content).hexdigest()).read_bytes() == content
    assert json.loads(exported["person.json"])["lti"][0]["sub"] == "4711"
    assert "answered" in exported["dead_letters.ndjson"]

    person = json.loads(exported["person.json"])["person"]
    landed = len(home.rows())
    stream = home.start("stream", **given)
    writer = Writer(server)
    until(lambda: len(home.rows()) > landed, 300)
    erased = json.loads(home("person", "erase", "https://lms.example.org|4711", "--yes", "--json", **given))
    assert erased["left"] == []
    assert erased["statements"] == 4 and erased["statements_changed"] == 3 and erased["dead_letters"] == 1
    assert erased["attachments"] == 1
    names = [*TRACES, person, str(UUID(person))]
    late = [done(9, ADA), done(10, ADA_AT_LMS)]
    with server.client() as client:
        assert client.post("/statements", json=late).json() == [one["id"] for one in late]
        assert client.get("/statements", params={"statementId": late[0]["id"]}).status_code == 404
        assert client.get("/statements", params={"statementId": theirs[0]["id"]}).status_code == 404
        kept = client.get("/statements", params={"statementId": graded["id"]}).json()
        assert kept["context"]["instructor"]["account"]["name"] == "erased"
    home("ingest", "-", stdin=json.dumps(done(11, ADA)).encode(), **given)
    time.sleep(4)
    answered = writer.stop()
    stream.send_signal(signal.SIGINT)
    assert stream.wait(120) == 0
    home.nightly(**given)
    table.unlink()  # as the command asked for: the person has none but their own accounts now
    assert names_left(settings, names) == {}
    with event_log(load(None).model_copy(update={"home": settings.home})) as log:
        records = {
            record.place if topic != LEVELS else record.key: f"{record.key} {record.value!r} {record.headers}"
            for topic in (STATEMENTS, REJECTED, LEVELS)
            for partition, offsets in log.offsets(topic).items()
            for record in log.read(topic, partition, *offsets)
        }
    left = [one for one in records.values() if any(word in one for word in names if not word.startswith('"name"'))]
    assert all(one.startswith(f"{person}|") and " None " in one for one in left), left  # tombstones: Kafka removes them
    assert not left or given["PROFICIO_EVENT_LOG__KIND"] == "kafka"
    ids = [row["statement_id"] for row in home.rows()]
    assert len(ids) == len(set(ids))
    assert set(ids) == {*answered, *(one["id"] for one in others), theirs[3]["id"]}
    assert json.loads(home("status", "--json", **environment()))["dropped"] == 3
    assert "unaltered" in home("audit", "verify")


def names_left(settings: Settings, names: list[str]) -> dict[str, list[str]]:
    """Files that name the person; another's account of the same bare name stays where it is."""
    return naming(settings.home, [name for name in names if not name.startswith('"name"')])


def test_an_altered_audit_log_is_noticed(home: Home) -> None:
    path = home.settings.home / "audit.jsonl"
    for number in range(3):
        audit.note(path, "export", statements=number)
    assert "3 entries, unaltered" in home("audit", "verify")
    lines = path.read_text().splitlines()
    for changed in (
        [lines[0], lines[1].replace('"statements": 1', '"statements": 7'), lines[2]], [lines[0], lines[2]],
        [lines[0], lines[2], lines[1]], [lines[0], "no JSON", lines[2]],
    ):  # fmt: skip
        path.write_text("\n".join(changed) + "\n")
        assert "line 2: the entry is not as it was written" in home("audit", "verify", expect=6)
    path.write_text(lines[0] + "\nno JSON\n")
    audit.note(path, "export")  # what somebody spoilt keeps nobody from working, and stays told
    assert "line 2: the entry is not as it was written" in home("audit", "verify", expect=6)


def test_who_was_erased_can_come_again(home: Home) -> None:
    settings = home.settings
    erased(settings).note(["mailto:ada@example.org"])
    home("ingest", "-", stdin=json.dumps(done(1, ADA)).encode())
    home("ingest", "-", stdin=json.dumps(done(1, {"mbox_sha1sum": SHA1})).encode())
    assert json.loads(home("status", "--json"))["dropped"] == 2
    assert "was not erased" in home("person", "admit", "grace@example.org", expect=4)
    home("person", "admit", "ada@example.org")
    home("ingest", "-", stdin=json.dumps(done(2, ADA)).encode())
    home("land")
    assert len(home.rows()) == 1


def test_erasing_asks_first_and_knows_who_is_nobody(home: Home) -> None:
    assert "This cannot be undone" in home("person", "erase", "ada@example.org", expect=1, stdin=b"n\n")
    assert "No person has the key" in home("person", "erase", "0" * 32, "--yes", expect=4)
    for word in ("ada", "a", "Ada Lovelace", "4711", "e"):
        assert f"{word} is no account" in home("person", "erase", word, "--yes", expect=4)
    home.settings.spark_home.mkdir()
    assert "nobody is erased from there yet" in home("person", "erase", "grace@example.org", "--yes", expect=4)
    home.settings.spark_home.rmdir()
    assert not (home.settings.home / "erased.db").exists()
    assert "Nothing is held on" in home("person", "export", "ada@example.org", "--to", "x", expect=4)
