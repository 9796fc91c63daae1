"""GitHub: payloads as GitHub publishes them, by webhook at a running receiver and by the REST API of a local server."""

import hmac
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.sources.github import App, GitHub, cursor_at, events
from schemas.errors import InputError, SettingsError, UnavailableError
from schemas.xapi import Statement, is_valid, parse_timestamp
from tests.http_server import REFUSALS, Answer, HttpServer
from tests.receiver import Server
from transforms.github import delivered

EXAMPLES = "@octokit/webhooks-examples@7.6.1"
REPOSITORY = "Codertocat/Hello-World"
SECRET = "a secret of a webhook"


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, dict[str, Any]]]:
    """Each event with a payload, of github.com and of every GitHub Enterprise Server that the package has."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not here, and the payloads come from it")
    folder = tmp_path_factory.mktemp("npm")
    subprocess.run(["npm", "install", "--silent", "--no-save", "--prefix", folder, EXAMPLES], check=True)
    files = (folder / "node_modules" / "@octokit" / "webhooks-examples").glob("*/index.json")
    found = [
        (event["name"], payload)
        for file in sorted(files)
        for event in json.loads(file.read_text("utf-8"))
        for payload in event["examples"]
    ]
    assert len(found) > 500
    return found


def payload(examples: list[tuple[str, dict[str, Any]]], event: str, action: str) -> dict[str, Any]:
    return next(one for name, one in examples if name == event and one.get("action") == action)


def verbs(statements: list[Statement]) -> list[str]:
    return sorted(one["verb"]["id"].rpartition("/")[2] for one in statements)


def test_every_payload_is_understood_and_bots_say_nothing(examples: list[tuple[str, dict[str, Any]]]) -> None:
    told: dict[str, list[Statement]] = {}
    for event, one in examples:
        made = delivered(event, one)
        assert all(is_valid(statement) and statement["id"] for statement in made), event
        assert [each["id"] for each in delivered(event, one)] == [each["id"] for each in made]
        told.setdefault(event, []).extend(made)
    assert {event for event, made in told.items() if made} == {
        "push", "pull_request", "issues", "release", "check_suite", "discussion", "discussion_comment",
    }  # fmt: skip
    assert all("[bot]" not in one["actor"]["name"] for made in told.values() for one in made)
    pushed = told["push"][0]
    assert pushed["actor"]["account"] == {"homePage": "https://github.com", "name": "Codertocat"}  # a noreply address
    assert pushed["object"]["id"].startswith(f"https://github.com/{REPOSITORY}/commit/")


def test_what_became_of_a_pull_request_is_told_of_its_author(examples: list[tuple[str, dict[str, Any]]]) -> None:
    closed = payload(examples, "pull_request", "closed")
    assert verbs(delivered("pull_request", closed)) == ["closed", "opened"]
    pull = {**closed["pull_request"], "merged_at": closed["pull_request"]["closed_at"], "merged": True}
    merged = delivered("pull_request", {**closed, "pull_request": pull})
    assert verbs(merged) == ["merged", "opened"]
    features = merged[1]["context"]["extensions"]["https://w3id.org/proficio/extensions/features"]
    assert features == ["state:merged", "language:Ruby"]
    review = payload(examples, "pull_request_review", "submitted")
    reviewer = {**review["review"]["user"], "login": "grace"}
    for state, expected in (("commented", ["reviewed"]), ("approved", ["reviewed", "was-reviewed"])):
        by_other = {**review["review"], "user": reviewer, "state": state}
        given = delivered("pull_request_review", {**review, "review": by_other})
        assert verbs(given) == expected
    assert given[0]["actor"]["name"] == "grace"
    assert given[1]["result"] == {"success": True}
    own = {**review["review"], "user": review["pull_request"]["user"]}
    assert delivered("pull_request_review", {**review, "review": own}) == []


class Receiving:
    """A receiver with the secret of a webhook."""

    def __init__(self, folder: Path) -> None:
        (folder / "secret").write_text(SECRET)
        self.server = Server(folder, PROFICIO_RECEIVER__GITHUB_SECRET_FILE=str(folder / "secret"))

    def deliver(self, event: str, body: bytes, delivery: str = "", signature: str = "") -> httpx.Response:
        signed = "sha256=" + hmac.new(SECRET.encode(), body, sha256).hexdigest()
        headers = {
            "X-GitHub-Event": event, "X-GitHub-Delivery": delivery or str(uuid4()),
            "X-Hub-Signature-256": signature or signed, "Content-Type": "application/json",
        }  # fmt: skip
        return httpx.post(f"{self.server.address}/webhooks/github", content=body, headers=headers)


@pytest.fixture(scope="module")
def receiving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiving]:
    one = Receiving(tmp_path_factory.mktemp("webhooks"))
    yield one
    assert "Traceback" not in one.server.stop()


def test_a_delivery_is_taken_once_and_kept(receiving: Receiving, examples: list[tuple[str, dict[str, Any]]]) -> None:
    body = json.dumps(payload(examples, "issues", "opened")).encode()
    answer = receiving.deliver("issues", body, "first")
    assert answer.status_code == 200, answer.text
    (statement_id,) = answer.json()["statements"]
    with receiving.server.client("auditor") as reader:
        kept = reader.get("/statements", params={"statementId": statement_id}).json()
    assert kept["authority"]["account"]["name"] == "github"
    assert receiving.deliver("issues", body, "first").status_code == 409
    assert receiving.deliver("issues", body, "another id, the same body").status_code == 409
    receiving.server.stop()
    receiving.server.start()
    assert receiving.deliver("issues", body, "first").status_code == 409
    receiving.server.home("land")
    assert [row["source"] for row in receiving.server.home.rows()] == ["github"]


def test_only_what_github_signed_is_believed(receiving: Receiving, examples: list[tuple[str, dict[str, Any]]]) -> None:
    body = json.dumps(payload(examples, "issues", "edited")).encode()
    unsigned = hmac.new(b"another secret", body, sha256).hexdigest()
    for signature in ("sha256=" + "0" * 64, "sha1=abc", "sha256=", f"sha256={unsigned}", unsigned):
        assert receiving.deliver("issues", body, signature=signature).status_code == 401
    assert receiving.deliver("issues", b"payload=%7B%7D").status_code == 400
    assert receiving.deliver("issues", b"[]").status_code == 422
    assert receiving.deliver("issues", b'{"action":"opened"}').status_code == 422
    assert receiving.deliver("issues", b'{"action":{}}').status_code == 422
    assert receiving.deliver("ping", b'{"zen":"x"}').json() == {"statements": []}
    assert httpx.post(f"{receiving.server.address}/webhooks/github", content=body).status_code == 401


class Api(HttpServer):
    """A GitHub with one repository: issues and pull requests by when they were updated, pages of two."""

    def __init__(self, examples: list[tuple[str, dict[str, Any]]]) -> None:
        super().__init__(self._answer)
        self.asked: list[tuple[str, str]] = []
        self.refuse: list[Answer] = []
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        closed = payload(examples, "pull_request", "closed")
        self.repository, self.pull = (
            closed["repository"],
            {**closed["pull_request"], "merged_at": "2026-03-01T00:00:00Z"},
        )
        issue = {**payload(examples, "issues", "opened")["issue"], "closed_by": {"login": "grace", "type": "User"}}
        self.issues = [{**issue, "number": 10 + n, "html_url": f"{issue['html_url']}{n}", "updated_at": f"2026-01-0{n // 2 + 1}T00:00:00Z",
                        "created_at": "2026-01-01T00:00:00Z", "closed_at": "2026-01-01T00:00:00Z", "assignees": []} for n in range(5)]  # fmt: skip
        self.issues.append({"number": self.pull["number"], "pull_request": {}, "updated_at": "2026-03-01T00:00:00Z"})
        review = payload(examples, "pull_request_review", "submitted")["review"]
        self.review = {
            **review,
            "state": "APPROVED",
            "user": {"login": "grace", "type": "User"},
            "submitted_at": "2026-02-28T00:00:00Z",
        }
        self.suite = payload(examples, "check_suite", "completed")["check_suite"]
        self.releases = [
            {**payload(examples, "release", "published")["release"], "published_at": "2026-03-02T00:00:00Z"}
        ]

    def _answer(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        parts, given = urlsplit(path), headers.get("Authorization", "")
        self.asked.append((path, given))
        if self.refuse:
            return self.refuse.pop(0)
        if parts.path == "/app/installations/7/access_tokens":
            public = self.key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            assert jwt.decode(given.removeprefix("Bearer "), public, ["RS256"])["iss"] == "42"
            return 201, {}, b'{"token":"of the installation","expires_at":"2099-01-01T00:00:00Z"}'
        if given not in ("Bearer good", "Bearer of the installation"):
            return 401, {}, b"{}"
        return self._of(parts.path.removeprefix(f"/repos/{REPOSITORY}"), parse_qs(parts.query))

    def _of(self, path: str, query: dict[str, list[str]]) -> Answer:
        number = self.pull["number"]
        whole = {
            "": self.repository, f"/pulls/{number}": self.pull, f"/pulls/{number}/reviews": [self.review],
            f"/commits/{self.pull['head']['sha']}/check-suites": {"check_suites": [self.suite]}, "/releases": self.releases,
        }  # fmt: skip
        if path in whole:
            return 200, {}, json.dumps(whole[path]).encode()
        since, first = query.get("since", [""])[0], int(query.get("page", ["1"])[0])
        left = [one for one in self.issues if not since or parse_timestamp(one["updated_at"]) >= parse_timestamp(since)]
        page = left[(first - 1) * 2 : first * 2]
        following = f"{self.url}/repos/{REPOSITORY}/issues?state=all&since={since}&page={first + 1}"
        link = {"Link": f'<{following}>; rel="next"'} if len(left) > first * 2 else {}
        return 200, link, json.dumps(page).encode()


@pytest.fixture
def api(examples: list[tuple[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setattr("connectors.sources.github._PAGE", 2)
    one = Api(examples)
    yield one
    one.close()


def read(
    api: Api, cursor: dict[str, Any] | None = None, **changes: Any
) -> list[tuple[Statement | None, dict[str, Any]]]:
    source = GitHub("hub", (REPOSITORY,), **{"access": "good", "url": api.url, **changes})
    return list(events((source,), cursor))


def statements(found: list[tuple[Statement | None, dict[str, Any]]]) -> list[Statement]:
    return [one for one, _ in found if one]


def test_a_repository_is_read_once_and_the_same_as_by_webhook(api: Api) -> None:
    found = read(api)
    made = statements(found)
    assert all(is_valid(one) for one in made)
    expected = [*["opened", "resolved"] * 5, "opened", "merged", "reviewed", "was-reviewed", "passed", "released"]
    assert verbs(made) == sorted(expected)
    by_webhook = delivered("pull_request", {"action": "closed", "repository": api.repository, "pull_request": api.pull})
    assert {one["id"]: one for one in by_webhook}.items() <= {one["id"]: one for one in made}.items()
    assert statements(read(api, found[-1][1])) == []
    api.issues.append({**api.issues[0], "number": 99, "html_url": "https://github.com/x", "updated_at": "2026-03-01T00:00:00Z",
                       "created_at": datetime.now(UTC).isoformat(), "closed_at": None})  # fmt: skip
    assert verbs(statements(read(api, found[-1][1]))) == ["opened"]  # of the moment that was read up to


def test_a_read_that_breaks_off_anywhere_loses_nothing(api: Api) -> None:
    whole = {one["id"] for one in statements(read(api))}
    for stop in range(1, len(whole) + 8):
        source = (GitHub("hub", (REPOSITORY,), "good", api.url),)
        taken = list(islice(events(source, None), stop))
        rest = list(events(source, json.loads(json.dumps(taken[-1][1]))))
        assert {one["id"] for one in statements([*taken, *rest])} == whole


def test_an_app_reads_with_tokens_of_its_installation(api: Api) -> None:
    pem = api.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    assert statements(read(api, access=App("42", "7", pem)))
    assert sum(path.endswith("access_tokens") for path, _ in api.asked) == 1
    with pytest.raises(SettingsError, match="no private key"):
        read(api, access=App("42", "7", "nonsense"))
    api.refuse = [(404, {}, b"{}")]
    with pytest.raises(SettingsError, match="gives the App 42 no token: 404"):
        read(api, access=App("42", "7", pem))


def test_rate_limits_are_waited_for_or_told(api: Api) -> None:
    soon = str(int(time.time()) + 1)
    api.refuse = [
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": soon}, b"{}"), (403, {"Retry-After": "1"}, b"secondary"),
        (429, {"Retry-After": "0"}, b""),
    ]  # fmt: skip
    started = time.monotonic()
    assert statements(read(api))
    assert time.monotonic() - started > 1
    api.refuse = [(403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 3000)}, b"{}")]
    with pytest.raises(UnavailableError, match=r"asks to wait [23],\d\d\d s"):
        read(api)


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        *REFUSALS,
        ((200, {}, b"[]"), InputError, "as GitHub does"),
    ],
)  # fmt: skip
def test_what_will_not_pass_is_told_and_no_secret_with_it(
    api: Api, answer: Answer, error: type[Exception], told: str
) -> None:
    api.refuse = [answer]
    with pytest.raises(error, match=told) as raised:
        read(api)
    assert "good" not in str(raised.value)
    assert len(api.asked) == 1


def test_one_repository_that_fails_does_not_stop_the_others(api: Api) -> None:
    source = GitHub("hub", ("gone/away", REPOSITORY), "good", api.url)
    found = []
    with pytest.raises(InputError, match="gone/away"):
        for one in events((source,), None):
            found.append(one)
    assert "released" in verbs(statements(found))


def test_a_read_can_begin_at_a_moment(api: Api) -> None:
    source = GitHub("hub", (REPOSITORY,), "good", api.url)
    found = list(events((source,), cursor_at((source,), parse_timestamp("2026-02-28T12:00:00Z"))))
    assert verbs(statements(found)) == ["merged", "released"]
