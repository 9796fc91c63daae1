"""The receiver asked anything at all: it answers, never with a fault of its own, and takes no statement that is not valid."""

import base64
import gzip
import hmac
import http.client
import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.http_server import Answer, HttpServer
from tests.receiver import VERSION, Server, statement
from tests.schemas.invalid_statements import GONE, INVALID

QUIET = settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
TOKEN = st.text(st.characters(codec="ascii", categories=("Lu", "Nd")), min_size=1, max_size=12)
PRINTABLE = st.text(st.characters(codec="latin-1", categories=("L", "N", "P", "S", "Zs")), max_size=60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=15,
)
VALUES = st.one_of(
    PRINTABLE, JSON.map(lambda one: json.dumps(one)), st.uuids().map(str), st.integers().map(str), st.booleans().map(str),
    st.sampled_from(["2026-01-01T00:00:00Z", "ids", "canonical", "exact", '{"mbox":"mailto:a@e.org"}', "http://e.org/v", "\x00", "%"]),
)  # fmt: skip
NAMES = st.sampled_from([
    "statementId", "voidedStatementId", "agent", "verb", "activity", "registration", "related_activities", "related_agents",
    "since", "until", "limit", "format", "attachments", "ascending", "after", "method", "content", "Authorization", "profileId",
])  # fmt: skip
PATHS = st.sampled_from([
    "/xapi/statements", "/xapi/statements", "/xapi/statements", "/xapi/about", "/xapi/activities/state", "/xapi/agents", "/health",
    "/oauth2/token", "/webhooks/github", "/xapi/statements/", "/xapi//statements", "/xapi/../receiver.db", "/xapi/%2e%2e/x", "/",
])  # fmt: skip
KINDS = st.sampled_from([
    "application/json", "application/json; charset=utf-8", "multipart/mixed; boundary=x", "multipart/mixed", "text/plain",
    "application/x-www-form-urlencoded", 'multipart/mixed; boundary="', "",
])  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "secret").write_text("a secret of a webhook")
    one = Server(folder, PROFICIO_RECEIVER__GITHUB_SECRET_FILE=str(folder / "secret"))
    yield one
    told = one.stop()
    assert "Traceback" not in told
    assert one.secrets["lms"] not in told


def valid(value: Any) -> bytes:
    """A statement with some part put in the place of another."""
    return json.dumps({**statement(), **value} if isinstance(value, dict) else [statement(), value]).encode()


BODIES = st.one_of(
    st.binary(max_size=200), JSON.map(lambda one: json.dumps(one).encode()), JSON.map(valid), st.just(gzip.compress(b"[]" * 99)),
    st.lists(JSON, max_size=3).map(lambda parts: b"--x\r\nContent-Type: application/json\r\n\r\n" + valid({}) + b"\r\n" + b"".join(
        b"--x\r\nX-Experience-API-Hash: %b\r\n\r\n%b\r\n" % (str(one).encode()[:20], str(one).encode()) for one in parts) + b"--x--"),
    st.dictionaries(NAMES, VALUES, max_size=4).map(lambda form: urlencode(form).encode()),
)  # fmt: skip


@QUIET
@given(
    method=st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH"]) | TOKEN, path=PATHS,
    parameters=st.dictionaries(NAMES | PRINTABLE, VALUES, max_size=4), body=BODIES, kind=KINDS,
    version=st.sampled_from(["1.0.3", "2.0.0", "1.0", "0.9", "", "nonsense"]), extra=st.dictionaries(
        st.sampled_from(["If-Match", "Accept-Language", "Content-Encoding", "Accept", "X-GitHub-Event", "X-Hub-Signature-256"]), PRINTABLE),
)  # fmt: skip
def test_no_request_meets_a_fault_of_the_receiver(
    server: Server, method: str, path: str, parameters: dict[str, str], body: bytes, kind: str, version: str, extra: dict[str, str]
) -> None:  # fmt: skip
    address = urlsplit(server.address)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
    basic = base64.b64encode(f"lms:{server.secrets['lms']}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "X-Experience-API-Version": version, "Content-Type": kind, **extra}
    connection.request(method, f"{path}?{urlencode(parameters)}" if parameters else path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    assert answer.status < 500 or answer.status == 501, (answer.status, content)
    assert b"Traceback" not in content
    if answer.status >= 400 and method != "HEAD" and path in ("/xapi/statements", "/oauth2/token"):
        assert answer.status == 405 or json.loads(content)["error"]


@QUIET
@given(
    which=st.sampled_from(INVALID), where=st.integers(0, 4),
    how=st.sampled_from(["alone", "batch", "put", "multipart", "alternate"]),
)  # fmt: skip
def test_no_statement_that_is_not_valid_is_taken_nor_any_beside_it(
    server: Server, which: tuple[str, str, str, Any], where: int, how: str
) -> None:
    _, _, key, value = which
    bad = {name: one for name, one in {**statement(), key: value}.items() if one is not GONE}
    beside = [statement() for _ in range(4)]
    batch = [*beside[:where], bad, *beside[where:]]
    with server.client() as lms:
        if how == "alone":
            answer = lms.post("/statements", json=bad)
        elif how == "put":
            answer = lms.put("/statements", params={"statementId": str(uuid4())}, json=bad)
        elif how == "multipart":
            content = b"--x\r\nContent-Type: application/json\r\n\r\n" + json.dumps(batch).encode() + b"\r\n--x--\r\n"
            answer = lms.post("/statements", content=content, headers={"Content-Type": "multipart/mixed; boundary=x"})
        elif how == "alternate":
            form = {"content": json.dumps(batch), **VERSION}
            answer = lms.post("/statements", params={"method": "POST"}, data=form)
        else:
            answer = lms.post("/statements", json=batch)
        assert answer.status_code == 400, (which, answer.text)
        for one in beside:
            assert lms.get("/statements", params={"statementId": one["id"]}).status_code == 404


@pytest.mark.parametrize("path", ["/xapi/statements", "/xapi/activities/state", "/xapi/activities/profile", "/xapi/agents",
                                  "/xapi/agents/profile", "/xapi/activities", "/oauth2/token", "/webhooks/github"])  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE", "HEAD"])
def test_without_credentials_nothing_is_served(server: Server, path: str, method: str) -> None:
    for headers in (VERSION, {**VERSION, "Authorization": "Basic " + base64.b64encode(b"lms:wrong").decode()}):
        answer = httpx.request(method, server.address + path, headers=headers, content=b"grant_type=client_credentials")
        assert answer.status_code in (401, 405), answer.text
    assert httpx.get(f"{server.address}/xapi/about").status_code == 200
    assert httpx.get(f"{server.address}/health").status_code == 200


def test_no_address_in_a_statement_or_a_delivery_is_ever_asked(server: Server) -> None:
    asked: list[str] = []

    def answer(path: str, headers: dict[str, str], body: bytes) -> Answer:
        asked.append(path)
        return 200, {}, b"x"

    inner = HttpServer(answer)
    attachment = {
        "usageType": f"{inner.url}/usage", "display": {"en": "a"}, "contentType": "text/plain", "length": 1,
        "sha2": sha256(b"x").hexdigest(), "fileUrl": f"{inner.url}/file",
    }  # fmt: skip
    one = statement(
        actor={"account": {"homePage": inner.url, "name": "ada"}}, attachments=[attachment],
        object={"id": f"{inner.url}/activity", "definition": {"moreInfo": f"{inner.url}/more"}},
    )  # fmt: skip
    with server.client() as lms:
        assert lms.post("/statements", json=one).status_code == 200
        read = lms.get("/statements", params={"statementId": one["id"], "attachments": "true", "format": "canonical"})
        assert read.status_code == 200
    delivery = json.dumps(
        {"repository": {"url": inner.url, "html_url": inner.url}, "ref": "refs/heads/main", "commits": []}
    )
    signature = "sha256=" + hmac.new(b"a secret of a webhook", delivery.encode(), sha256).hexdigest()
    headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": str(uuid4()), "X-Hub-Signature-256": signature}
    assert httpx.post(f"{server.address}/webhooks/github", content=delivery, headers=headers).status_code == 200
    inner.close()
    assert asked == []


def test_what_comes_compressed_is_not_unpacked(server: Server) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    with server.client() as lms:
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        assert lms.post("/statements", content=bomb, headers=headers).status_code == 400


def test_headers_and_logs_carry_nothing_that_a_statement_says(server: Server) -> None:
    content = b"x"
    hidden = "text/plain\r\nSet-Cookie: evil=1\r\n\r\nforged"
    attachment = {"usageType": "http://e.org/u", "display": {"en": "a"}, "contentType": hidden, "length": 1,
                  "sha2": sha256(content).hexdigest()}  # fmt: skip
    one = statement(attachments=[attachment], verb={"id": "http://e.org/v", "display": {"en": "\r\nWARNING forged"}})
    parts = b"--x\r\nContent-Type: application/json\r\n\r\n" + json.dumps(one).encode() + b"\r\n"
    parts += (
        b"--x\r\nContent-Transfer-Encoding: binary\r\nX-Experience-API-Hash: "
        + attachment["sha2"].encode()
        + b"\r\n\r\nx\r\n--x--"
    )
    with server.client() as lms:
        taken = lms.post("/statements", content=parts, headers={"Content-Type": "multipart/mixed; boundary=x"})
        assert taken.status_code == 400  # a contentType is a media type, so it can become a header of a part
        assert taken.json()["path"] == "/attachments/0/contentType"
        assert "set-cookie" not in taken.headers
        refused = lms.get("/statements", params={"format": "x\r\nSet-Cookie: evil=1"})
        assert refused.status_code == 400
        assert "set-cookie" not in refused.headers
