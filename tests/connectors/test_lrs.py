"""Pulling from an LRS: from the receiver as it is, and from servers that misbehave."""

import json
import resource
import signal
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest

from connectors import http
from connectors.sources.lrs import Lrs, events
from schemas.errors import InputError, SettingsError, UnavailableError
from schemas.xapi import Statement, is_valid
from tests.home import Home
from tests.http_server import REFUSALS, Answer, HttpServer
from tests.ralph import AUTHORIZATION, PASSWORD, USERNAME, Ralph
from tests.receiver import VERSION, Server, statement


class Scripted(HttpServer):
    """Gives one answer after the other, and keeps what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__(self._next)
        self.url += "/xapi"
        self.asked: list[tuple[str, str | None]] = []
        self._left = list(answers)

    def _next(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        self.asked.append((path, headers.get("Authorization")))
        return self._left.pop(0) if len(self._left) > 1 else self._left[0]


@pytest.fixture
def scripted() -> Iterator[Callable[..., Scripted]]:
    made: list[Scripted] = []

    def make(*answers: Any) -> Scripted:
        made.append(Scripted(*answers))
        return made[-1]

    yield make
    for one in made:
        one.close()


def page(*statements: Statement, more: str = "", **headers: str) -> Answer:
    return 200, headers, json.dumps({"statements": list(statements), "more": more}).encode()


def stored(number: int) -> Statement:
    return statement(stored=f"2026-01-01T00:00:{number:02d}Z")


def read(
    server: Scripted, cursor: dict[str, Any] | None = None, **changes: Any
) -> list[tuple[Statement, dict[str, Any]]]:
    return list(events((Lrs("one", server.url, "me", "secret-word", **changes),), cursor))


def test_the_first_pull_brings_all_the_second_nothing_and_a_kill_loses_nothing(tmp_path: Path) -> None:
    server = Server(tmp_path / "server")
    sent = [statement() for _ in range(4_500)]
    with server.client() as lms:
        for start in range(0, len(sent), 500):
            lms.post("/statements", json=sent[start : start + 500], timeout=60).raise_for_status()
    home = Home(tmp_path / "home")
    (home.folder / "password").write_text(server.secrets["auditor"])
    toml = home.folder / "proficio.toml"
    toml.write_text(
        toml.read_text("utf-8") + f'\n[[sources.lrs]]\nname = "campus"\nurl = "{server.address}/xapi"\nusername = "auditor"\n'
        'password_file = "password"\npage = 100\n'
    )  # fmt: skip
    cursor = home.settings.home / "cursors" / "lrs.json"
    pulling = home.start("pull", "lrs")
    ends = time.monotonic() + 240
    while not cursor.exists() and time.monotonic() < ends:
        time.sleep(0.02)
    pulling.send_signal(signal.SIGKILL)
    pulling.wait()
    told = [json.loads(home("pull", "lrs", "--json"))["appended"] for _ in range(2)]
    assert 0 < told[0] < len(sent)
    assert told[1] == 0
    home("land")
    landed = [row["statement_id"] for row in home.rows()]
    assert set(landed) == {one["id"] for one in sent}
    with server.client() as lms:
        lms.post("/statements", json=statement()).raise_for_status()
    assert json.loads(home("pull", "lrs", "--json"))["appended"] == 1
    assert "lrs" in home("sources")
    server.home("clients", "revoke", "auditor")
    assert "401" in home("pull", "lrs", expect=3)
    assert server.secrets["auditor"] not in home("pull", "lrs", expect=3)
    server.stop()
    assert "campus" not in home("pull", "nowhere", expect=3)


def test_what_is_not_yet_consistent_is_asked_for_again_and_not_sent_twice(scripted: Callable[..., Scripted]) -> None:
    one, two, late = stored(1), stored(3), stored(2)
    through = {"X-Experience-API-Consistent-Through": "2026-01-01T00:00:01Z"}
    server = scripted(page(one, two, **through), page(late, two), page())
    first = read(server)
    assert [each["id"] for each, _ in first] == [one["id"], two["id"]]
    second = read(server, first[-1][1])
    assert [each["id"] for each, _ in second] == [late["id"]]
    assert "since=2026-01-01T00%3A00%3A01Z" in server.asked[1][0]
    assert read(server, second[-1][1]) == []


def test_a_server_that_is_busy_is_waited_for_as_long_as_it_asks(scripted: Callable[..., Scripted]) -> None:
    server = scripted((429, {"Retry-After": "1"}, b""), (503, {"Retry-After": "0"}, b""), page(stored(1)))
    started = time.monotonic()
    assert len(read(server)) == 1
    assert time.monotonic() - started >= 1
    with pytest.raises(UnavailableError, match="503"):
        read(scripted((503, {"Retry-After": "0"}, b"")), patience_seconds=0.3)


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        *REFUSALS,
        ((200, {}, b"[]"), InputError, "does not answer with statements"),
        ((200, {}, b'{"statements":[{}]}'), InputError, "does not answer with statements"),
        (page(stored(1), more="http://127.0.0.2/more"), InputError, "another host"),
    ],
)  # fmt: skip
def test_what_will_not_pass_is_told_and_no_secret_with_it(
    scripted: Callable[..., Scripted], answer: Answer, error: type[Exception], told: str
) -> None:
    server = scripted(answer)
    with pytest.raises(error, match=told) as raised:
        read(server)
    assert "secret-word" not in str(raised.value)
    assert len(server.asked) == 1


def test_an_answer_without_end_is_cut_off(scripted: Callable[..., Scripted], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_MOST_BYTES", 10_000)
    with pytest.raises(InputError, match="more than 10,000 bytes"):
        read(scripted((200, {}, b" " * 20_000)))


def test_what_unpacks_without_end_is_cut_off(scripted: Callable[..., Scripted]) -> None:
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join(packer.compress(b" " * 1_000_000) for _ in range(2_000)) + packer.flush()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="more than 50,000,000 bytes"):
        read(scripted((200, {"Content-Encoding": "gzip"}, bomb)))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 250_000  # KiB


def test_nobody_there_is_told() -> None:
    with pytest.raises(UnavailableError, match="does not answer"):
        list(events((Lrs("one", f"http://127.0.0.1:9/{uuid4()}", "me", "x", patience_seconds=0.3),), None))


def test_the_example_of_a_new_source_works(scripted: Callable[..., Scripted]) -> None:
    text = (Path(__file__).parents[2] / "docs" / "sources" / "README.md").read_text("utf-8")
    code = text.partition("```python\n")[2].partition("```")[0]
    assert code.count("\n") < 60
    forum: dict[str, Any] = {"__name__": "forum"}
    exec(compile(code, "README.md", "exec"), forum)
    posts = [{"id": n, "author": "ada", "title": "t", "created_at": "2026-01-01T00:00:00Z"} for n in (1, 2)]
    server = scripted((200, {}, json.dumps(posts).encode()), (200, {}, b"[]"))
    given = forum["Forum"](server.url, "token")
    found = list(forum["events"](given, None))
    assert [cursor for _, cursor in found] == [{"after": 1}, {"after": 2}]
    assert all(is_valid(one) for one, _ in found)
    assert server.asked[1][0].endswith("after=2&order=asc")
    assert server.asked[0][1] == "Bearer token"


def test_another_lrs_is_read_page_by_page_and_then_what_is_new(tmp_path: Path) -> None:
    ralph = Ralph(tmp_path)
    try:
        with httpx.Client(base_url=ralph.url, headers={**VERSION, "Authorization": AUTHORIZATION}) as client:

            def send(count: int) -> set[str]:
                # Ralph compares `since` with timestamps, not with when it stored: what is sent happens now.
                given = [statement(timestamp=datetime.now(UTC).isoformat()) for _ in range(count)]
                assert client.post("/statements", json=given).status_code == 200
                return {one["id"] for one in given}

            source = (Lrs("ralph", ralph.url, USERNAME, PASSWORD, page=7),)  # its file backend turns each page round
            sent = send(20)
            found = list(events(source, None))
            assert sorted(one["id"] for one, _ in found if one) == sorted(sent)
            assert all(one is None or is_valid(one) for one, _ in found)
            assert [one for one, _ in events(source, found[-1][1]) if one] == []
            new = send(3)
            assert {one["id"] for one, _ in events(source, found[-1][1]) if one} == new
            for stop in range(1, 20):  # broken off anywhere, the rest comes with the next read
                taken = list(islice(events(source, None), stop))
                rest = list(events(source, taken[-1][1]))
                assert {one["id"] for one, _ in [*taken, *rest] if one} == sent | new
            with pytest.raises(SettingsError, match="401|403"):
                list(events((Lrs("ralph", ralph.url, USERNAME, "wrong"),), None))
    finally:
        ralph.close()


@pytest.mark.parametrize("moments", [[1, 2, 2, 2, 3, 3, 4], [1, 1, 1, 1], [3, 1, 2, 2], [1, 2, 4, 3, 3, 3]])
def test_moments_that_several_share_and_pages_out_of_order_lose_nothing(moments: list[int]) -> None:
    kept = [stored(moment) for moment in moments]

    def answer(path: str, headers: dict[str, str], body: bytes) -> Answer:
        query = parse_qs(urlsplit(path).query)
        since, first = query.get("since", [""])[0], int(query.get("first", ["0"])[0])
        left = [one for one in kept if one["stored"] > since]  # exclusive (xAPI-Communication 2.1.3)
        more = f"/xapi/statements?first={first + 2}&since={since}" if len(left) > first + 2 else ""
        return page(*left[first : first + 2], more=more)

    server = HttpServer(answer)
    source = (Lrs("one", f"{server.url}/xapi", "me", "secret-word"),)
    for stop in range(1, len(kept) + 1):
        taken = list(islice(events(source, None), stop))
        rest = list(events(source, json.loads(json.dumps(taken[-1][1]))))
        assert {one["id"] for one, _ in [*taken, *rest] if one} == {one["id"] for one in kept}
        late = stored(max(moments))  # in the moment that was read last
        kept.append(late)
        assert late["id"] in {one["id"] for one, _ in events(source, rest[-1][1] if rest else taken[-1][1]) if one}
        kept.remove(late)
    server.close()
