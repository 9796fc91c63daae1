"""The xAPI receiver as a process of its own, asked over HTTP."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from connectors.event_log.sqlite import SqliteEventLog
from connectors.receiver.intake import Intake
from connectors.receiver.store import Search, StatementStore
from schemas.records import STATEMENTS, Topic
from tests.conftest import SHARED
from tests.home import GOOD, Home

VERSION = {"X-Experience-API-Version": "1.0.3"}
VOIDED = "http://adlnet.gov/expapi/verbs/voided"


class Server:
    """`proficio serve` in a home of its own."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.environment = environment
        self.home = Home(folder)
        self.secrets = {
            name: json.loads(self.home("clients", "add", name, *(f"--scope={one}" for one in scopes), "--json"))["secret"]
            for name, scopes in {"lms": ["write", "read-own"], "auditor": ["read-all"], "other": ["write", "read-own"]}.items()
        }  # fmt: skip
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "flows.cli", "serve", "--port", "0"], cwd=self.home.folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **self.environment},
        )  # fmt: skip
        assert self.process.stdout
        told = self.process.stdout.readline()
        address = re.search(r"http://[\d.:]+", told)
        assert address, told + self.process.stdout.read()
        self.address = address[0]

    def client(self, name: str = "lms", **headers: str) -> httpx.Client:
        return httpx.Client(
            base_url=f"{self.address}/xapi", auth=(name, self.secrets[name]), headers={**VERSION, **headers}
        )

    def stop(self, how: signal.Signals = signal.SIGINT) -> str:
        self.process.send_signal(how)
        told = self.process.communicate(timeout=30)[0]
        return str(told)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    one = Server(tmp_path_factory.mktemp("receiver"))
    yield one
    assert "Traceback" not in one.stop()


def statement(**changes: Any) -> dict[str, Any]:
    return {**GOOD, "id": str(uuid4()), **changes}


def test_nobody_is_served_without_credentials(server: Server) -> None:
    with httpx.Client(base_url=server.address, headers=VERSION) as nobody:
        assert nobody.get("/xapi/about").json()["version"] == ["1.0.3", "2.0.0"]
        for path in ("/xapi/statements", "/xapi/activities/state"):
            for credentials in (None, ("lms", "wrong"), ("nobody", ""), ("lms", "")):
                answer = nobody.get(path, auth=credentials) if credentials else nobody.get(path)
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"].startswith("Basic")
    with server.client("auditor") as reader:
        assert reader.post("/statements", json=statement()).status_code == 403
        assert reader.get("/activities/state").status_code == 501


def test_what_moodle_sends_is_taken_as_it_is(server: Server) -> None:
    path = SHARED / "fixtures" / "moodle-logstore-request.json"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    sent = json.loads(path.read_text("utf-8"))
    with server.client() as lms:
        answer = lms.post("/statements", json=sent["body"], headers={"Content-Type": "application/json"})
        assert answer.status_code == 200, answer.text
        assert len(answer.json()) == len(sent["body"])
        kept = lms.get("/statements", params={"statementId": answer.json()[0]}).json()
    assert kept["verb"] == sent["body"][0]["verb"]
    assert kept["authority"]["account"]["name"] == "lms"


def test_a_statement_is_kept_once_and_another_under_its_id_is_a_conflict(server: Server) -> None:
    one = statement()
    del one["timestamp"]
    with server.client() as lms:
        assert lms.put("/statements", params={"statementId": one["id"]}, json=one).status_code == 204
        assert lms.put("/statements", params={"statementId": one["id"]}, json=one).status_code == 204
        assert lms.post("/statements", json=[one]).json() == [one["id"]]
        other = {**one, "result": {"success": False}}
        fresh = statement()
        assert lms.post("/statements", json=[fresh, other]).status_code == 409
        assert lms.get("/statements", params={"statementId": fresh["id"]}).status_code == 404
        assert lms.put("/statements", params={"statementId": str(uuid4())}, json=one).status_code == 400
        kept = lms.get("/statements", params={"statementId": one["id"]})
        assert kept.json()["result"] == one["result"]
        assert kept.headers["etag"]
        assert kept.headers["x-experience-api-version"] == "1.0.3"
        assert lms.head("/statements", params={"statementId": one["id"]}).status_code == 200


def test_a_batch_is_taken_whole_or_not_at_all(server: Server) -> None:
    good, bad = statement(), statement(actor={})
    with server.client() as lms:
        answer = lms.post("/statements", json=[good, bad])
        assert answer.status_code == 400
        assert answer.json()["clause"].startswith("xAPI-Data")
        assert lms.get("/statements", params={"statementId": good["id"]}).status_code == 404
        assert lms.post("/statements", json=[good, good]).status_code == 400
        assert lms.post("/statements", json=[]).json() == []


def test_statements_are_found_by_every_filter(server: Server) -> None:
    registration, activity = str(uuid4()), f"https://lms.example.org/{uuid4()}"
    team = {"objectType": "Group", "account": {"homePage": "https://lms.example.org", "name": str(uuid4())},
            "member": [{"mbox": "mailto:member@example.org"}]}  # fmt: skip
    about = {"id": activity}
    context = {"registration": registration, "contextActivities": {"parent": {"id": f"{activity}/course"}},
               "instructor": {"mbox": f"mailto:{registration}@example.org"}}  # fmt: skip
    first = statement(actor=team, object=about)
    second = statement(object=about, context=context)
    third = statement(object=about, verb={"id": f"{activity}/verb"})
    with server.client() as lms:
        for one in (first, second, third):
            lms.post("/statements", json=one).raise_for_status()

        def found(**parameters: Any) -> list[str]:
            answer = lms.get("/statements", params=parameters)
            assert answer.status_code == 200, answer.text
            return [one["id"] for one in answer.json()["statements"]]

        assert found(activity=activity) == [third["id"], second["id"], first["id"]]
        assert found(activity=activity, ascending="true") == [first["id"], second["id"], third["id"]]
        assert found(activity=activity, verb=f"{activity}/verb") == [third["id"]]
        assert found(registration=registration) == [second["id"]]
        assert found(activity=f"{activity}/course") == []
        assert found(activity=f"{activity}/course", related_activities="true") == [second["id"]]
        instructor = json.dumps(context["instructor"])
        assert found(agent=instructor) == []
        assert found(agent=instructor, related_agents="true") == [second["id"]]
        assert found(agent=json.dumps({key: team[key] for key in ("objectType", "account")})) == [first["id"]]
        assert found(agent=json.dumps(team["member"][0]), activity=activity) == [first["id"]]
        stored = lms.get("/statements", params={"statementId": second["id"]}).json()["stored"]
        assert found(activity=activity, since=stored) == [third["id"]]
        assert found(activity=activity, until=stored) == [second["id"], first["id"]]
        kept = lms.get("/statements", params={"statementId": second["id"]}).json()
        assert kept["context"]["contextActivities"]["parent"] == [{"id": f"{activity}/course"}]

        page = lms.get("/statements", params={"activity": activity, "limit": 2}).json()
        assert len(page["statements"]) == 2
        rest = httpx.get(server.address + page["more"], headers=VERSION, auth=("lms", server.secrets["lms"])).json()
        assert [one["id"] for one in rest["statements"]] == [first["id"]]
        assert rest["more"] == ""
        bare = lms.get("/statements", params={"activity": activity, "format": "ids", "verb": GOOD["verb"]["id"]}).json()
        assert bare["statements"][0]["actor"] == {"mbox": GOOD["actor"]["mbox"]}
    with server.client("other") as other:
        assert other.get("/statements", params={"activity": activity}).json()["statements"] == []
        assert other.get("/statements", params={"statementId": first["id"]}).status_code == 404
    with server.client("auditor") as auditor:
        assert len(auditor.get("/statements", params={"activity": activity}).json()["statements"]) == 3


def test_voided_statements_are_no_more_but_by_their_own_parameter(server: Server) -> None:
    one = statement(object={"id": f"https://lms.example.org/{uuid4()}"})
    voiding = statement(verb={"id": VOIDED}, object={"objectType": "StatementRef", "id": one["id"]})
    again = statement(verb={"id": VOIDED}, object={"objectType": "StatementRef", "id": voiding["id"]})
    with server.client() as lms:
        for each in (voiding, one, again):  # the voiding one may come first
            lms.post("/statements", json=each).raise_for_status()
        assert lms.get("/statements", params={"statementId": one["id"]}).status_code == 404
        assert lms.get("/statements", params={"voidedStatementId": one["id"]}).json()["id"] == one["id"]
        assert lms.get("/statements", params={"voidedStatementId": voiding["id"]}).status_code == 404
        ids = [
            each["id"] for each in lms.get("/statements", params={"activity": one["object"]["id"]}).json()["statements"]
        ]
        assert ids == [again["id"], voiding["id"]]  # what is about a statement is found by its terms


@pytest.mark.parametrize(
    ("parameters", "headers"),
    [
        ({"unknown": "1"}, {}), ({"statementId": "x"}, {}), ({"statementId": str(uuid4()), "limit": "1"}, {}), ({"limit": "-1"}, {}),
        ({"statementId": str(uuid4()), "voidedStatementId": str(uuid4())}, {}), ({"agent": "{"}, {}), ({"agent": '{"name":"x"}'}, {}),
        ({"verb": "no iri"}, {}), ({"since": "yesterday"}, {}), ({"ascending": "maybe"}, {}), ({"format": "pretty"}, {}),
        ({"since": "2026-02-30T00:00:00Z"}, {}), ({"registration": "1"}, {}), ({}, {"X-Experience-API-Version": "0.95"}),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused(server: Server, parameters: dict[str, str], headers: dict[str, str]) -> None:
    with server.client(**headers) as lms:
        answer = lms.get("/statements", params=parameters)
    assert answer.status_code == 400
    assert answer.json()["error"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1]",
        b'{"a":1,"a":2}',
        b"\xff",
        b"null",
        b'[{"actor":',
        b"[" * 3000,
        b'[],"b":[1]',
        b'[{"a":"\\ud800"}]',
    ],
)
def test_a_body_that_is_no_statement_is_refused(server: Server, body: bytes) -> None:
    with server.client() as lms:
        assert lms.post("/statements", content=body, headers={"Content-Type": "application/json"}).status_code == 400
        assert lms.post("/statements", content=body, headers={"Content-Type": "text/plain"}).status_code == 400


def test_the_alternate_syntax_is_that_of_the_specification(server: Server) -> None:
    one = statement()
    form = {"statementId": one["id"], "content": json.dumps(one), "Content-Type": "application/json", **VERSION}
    with httpx.Client(base_url=server.address, auth=("lms", server.secrets["lms"])) as bare:
        assert bare.post("/xapi/statements?method=PUT", data=form).status_code == 204
        got = bare.post("/xapi/statements?method=GET", data={"statementId": one["id"], **VERSION})
        assert got.json()["id"] == one["id"]
        assert bare.post("/xapi/statements?method=PUT&x=1", data=form).status_code == 400
        assert bare.get("/xapi/statements").status_code == 400  # no version
        newer = {**form, "X-Experience-API-Version": "2.0.0"}
        assert bare.post("/xapi/statements?method=PUT", data=newer).status_code == 400


def test_attachments_come_and_go_in_parts(server: Server) -> None:
    content = b"line\r\n--not-an-edge\r\n\x00\xff"
    sha2 = sha256(content).hexdigest()
    one = statement(attachments=[{"usageType": "https://example.org/u", "display": {"en": "x"},
                                  "contentType": "application/octet-stream", "length": len(content), "sha2": sha2}])  # fmt: skip

    def body(told: str, statements: Any) -> bytes:
        return (
            b"--edge\r\nContent-Type: application/json\r\n\r\n" + json.dumps(statements).encode()
            + b"\r\n--edge\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n"
            + f"X-Experience-API-Hash: {told}\r\n\r\n".encode() + content + b"\r\n--edge--\r\n"
        )  # fmt: skip

    kind = {"Content-Type": "multipart/mixed; boundary=edge"}
    with server.client() as lms:
        assert lms.post("/statements", json=one).status_code == 400
        assert lms.post("/statements", content=body("0" * 64, one), headers=kind).status_code == 400
        assert lms.post("/statements", content=body(sha2, statement()), headers=kind).status_code == 400
        answer = lms.post("/statements", content=body(sha2, one), headers=kind)
        assert answer.status_code == 200, answer.text
        got = lms.get("/statements", params={"statementId": one["id"], "attachments": "true"})
        assert got.headers["content-type"].startswith("multipart/mixed")
        assert content in got.content


def test_bodies_that_are_too_large_are_cut_off(server: Server) -> None:
    with server.client() as lms:
        answer = lms.post("/statements", content=b"[" + b" " * 20_000_001, headers={"Content-Type": "application/json"})
        assert answer.status_code == 413
        large = statement(result={"response": "x" * 999_000})
        assert lms.post("/statements", json=[statement(), large]).status_code == 413

        def endless() -> Iterator[bytes]:
            for _ in range(30):
                yield b" " * 1_000_000

        assert (
            lms.post("/statements", content=endless(), headers={"Content-Type": "application/json"}).status_code == 413
        )


def test_a_body_that_never_ends_is_cut_off(tmp_path: Path) -> None:
    server = Server(tmp_path, PROFICIO_RECEIVER__BODY_SECONDS="1")

    def slow() -> Iterator[bytes]:
        for _ in range(40):
            yield b" "
            time.sleep(0.1)

    with server.client() as lms:
        assert lms.post("/statements", content=slow(), headers={"Content-Type": "application/json"}).status_code == 408
    server.stop()


def test_a_client_that_asks_too_much_is_told_when_to_come_again(tmp_path: Path) -> None:
    server = Server(tmp_path, PROFICIO_RECEIVER__RATE="3/minute")
    with server.client("auditor") as auditor, server.client() as lms:
        assert [auditor.get("/statements").status_code for _ in range(4)] == [200, 200, 200, 429]
        assert 0 < int(auditor.get("/statements").headers["retry-after"]) <= 60
        assert lms.get("/statements").status_code == 200
    server.stop()


def test_a_client_that_was_revoked_is_shut_out_at_once(server: Server) -> None:
    server.secrets["gone"] = json.loads(server.home("clients", "add", "gone", "--json"))["secret"]
    with server.client("gone") as gone:
        assert gone.get("/statements").status_code == 200
        server.home("clients", "revoke", "gone")
        assert gone.get("/statements").status_code == 401
    assert "gone" in server.home("clients", "list")
    assert "no client 'gone'" in server.home("clients", "revoke", "gone", expect=4)
    assert server.secrets["gone"] not in "".join(
        path.read_bytes().decode("latin-1") for path in server.home.folder.rglob("receiver.db*")
    )


def test_what_was_answered_is_landed_once_though_the_receiver_is_killed(tmp_path: Path) -> None:
    server, answered, sent = Server(tmp_path), set[str](), set[str]()

    def send() -> None:
        with server.client() as lms:
            while server.process.poll() is None:
                batch = [statement() for _ in range(20)]
                sent.update(one["id"] for one in batch)
                try:
                    if lms.post("/statements", json=batch).status_code == 200:
                        answered.update(one["id"] for one in batch)
                except httpx.HTTPError:
                    return

    for number in range(3):
        threads = [threading.Thread(target=send) for _ in range(3)]
        for thread in threads:
            thread.start()
        threads[0].join(timeout=1.5 + number / 3)
        server.stop(signal.SIGKILL)
        for thread in threads:
            thread.join()
        server.start()
    with server.client("auditor") as auditor:
        assert all(
            auditor.get("/statements", params={"statementId": one}).status_code == 200 for one in list(answered)[:20]
        )
    server.stop()
    server.home("land")
    landed = [row["statement_id"] for row in server.home.rows()]
    assert len(answered) > 100
    assert answered <= set(landed) <= sent
    assert all(row["source"] == "lms" for row in server.home.rows())


class SlowLog(SqliteEventLog):
    """Appends only once it is let."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.create([Topic(STATEMENTS, 1)])
        self.waiting, self.let = threading.Event(), threading.Event()

    def append(self, topic: str, records: Any) -> int:
        self.waiting.set()
        assert self.let.wait(30)
        return super().append(topic, records)


def test_what_is_being_written_is_not_called_consistent_and_who_gives_up_stops_nobody(tmp_path: Path) -> None:
    log, store = SlowLog(tmp_path / "events.db"), StatementStore(tmp_path / "receiver.db")
    intake = Intake(log, store)
    authority = {"account": {"homePage": "https://example.org", "name": "lms"}}
    first = intake.submit([statement()], "lms", authority, "1.0.3")
    assert log.waiting.wait(30)
    through = intake.consistent_through()
    given_up = intake.submit([statement()], "lms", authority, "1.0.3")
    assert given_up.cancel()
    assert not first.cancel()
    third = intake.submit([statement()], "lms", authority, "1.0.3")
    log.let.set()
    kept = [store.get(ids[0]) for ids in (first.result(30), third.result(30))]
    assert all(one and one.stored > through for one in kept)
    intake.close()
    assert intake.consistent_through() > through
    assert len(store.search(Search())) == 2
    store.close()
    log.close()
