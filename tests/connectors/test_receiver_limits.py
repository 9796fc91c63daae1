"""The xAPI receiver under strain: what it cuts off, whom it shuts out, and what it keeps when it is killed."""

import json
import resource
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.event_log.sqlite import SqliteEventLog
from connectors.receiver.intake_alone import IntakeAlone
from connectors.receiver.store import Search, StatementStore
from schemas.errors import StorageError
from schemas.records import STATEMENTS, Topic
from tests.receiver import Server, statement

FILES = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
SLOW = min(10_000, FILES - 1_000)  # connections


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


def was_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1_000) == b""
    except ConnectionResetError:
        return True


def test_connections_that_never_ask_are_cut_off_and_others_answered_meanwhile(tmp_path: Path) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    server = Server(tmp_path, PROFICIO_RECEIVER__HEAD_SECONDS="15")
    host, port = server.address.removeprefix("http://").split(":")
    begun = b"POST /xapi/statements HTTP/1.1\r\nHost: x\r\nX-Slow: "
    slow = []
    try:
        for number in range(SLOW):
            slow.append(socket.create_connection((host, int(port)), timeout=30))
            if number % 2:
                slow[-1].sendall(begun)
        with server.client() as lms:
            lms.timeout = httpx.Timeout(10)
            assert lms.post("/statements", json=statement()).status_code == 200
            time.sleep(3)  # between two requests of a connection less than head_seconds may pass
            assert lms.post("/statements", json=statement()).status_code == 200
        assert all(map(was_closed, slow))
    finally:
        for one in slow:
            one.close()
    assert "Traceback" not in server.stop()


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
    intake = IntakeAlone(log, store)
    authority = {"account": {"homePage": "https://example.org", "name": "lms"}}
    first = intake.submit([statement()], "lms", authority, "1.0.3")
    assert log.waiting.wait(30)
    through = intake.consistent_through()
    given_up = intake.submit([statement()], "lms", authority, "1.0.3")
    assert given_up.cancel()
    assert not first.cancel()
    third = intake.submit([statement()], "lms", authority, "1.0.3")
    log.let.set()
    taken = first.result(30), third.result(30)
    intake.settled().result(30)
    kept = [store.get(ids[0]) for ids in taken]
    assert all(one and one.stored > through for one in kept)
    intake.close()
    assert intake.consistent_through() > through
    assert len(store.search(Search())) == 2
    store.close()
    log.close()


class FullStore(StatementStore):
    """Refuses to keep anything while its disk is full."""

    full = True

    def add(self, statements: Any, read_to: Any = None) -> None:
        given = list(statements)
        if given and self.full:
            raise StorageError("the disk is full")
        super().add(given, read_to)


def test_while_the_store_cannot_write_nothing_more_is_taken_and_nothing_is_lost(tmp_path: Path) -> None:
    log, store = SqliteEventLog(tmp_path / "events.db"), FullStore(tmp_path / "receiver.db")
    log.create([Topic(STATEMENTS, 1)])
    intake = IntakeAlone(log, store)
    authority = {"account": {"homePage": "https://example.org", "name": "lms"}}
    [first] = intake.submit([statement()], "lms", authority, "1.0.3").result(30)  # the log has it
    with pytest.raises(StorageError):
        intake.settled().result(30)
    with pytest.raises(StorageError):
        intake.submit([statement()], "lms", authority, "1.0.3").result(30)
    store.full = False
    ends = time.monotonic() + 120
    while store.get(first) is None:
        assert time.monotonic() < ends
        time.sleep(0.05)
    intake.submit([statement()], "lms", authority, "1.0.3").result(30)
    intake.settled().result(30)
    intake.close()
    assert len(store.search(Search())) == 2
    store.close()
    log.close()


class FaultyStore(StatementStore):
    """Has a fault that one statement meets."""

    bad = ""

    def add(self, statements: Any, read_to: Any = None) -> None:
        given = list(statements)
        if any(one["id"] == self.bad for one, _, _ in given):
            raise KeyError("a fault of the store")
        super().add(given, read_to)


def test_a_statement_that_meets_a_fault_of_the_store_stops_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log, store = SqliteEventLog(tmp_path / "events.db"), FaultyStore(tmp_path / "receiver.db")
    log.create([Topic(STATEMENTS, 1)])
    intake = IntakeAlone(log, store)
    authority = {"account": {"homePage": "https://example.org", "name": "lms"}}
    sent = [statement() for _ in range(5)]
    store.bad = sent[2]["id"]
    assert intake.submit(sent, "lms", authority, "1.0.3").result(30) == [one["id"] for one in sent]
    intake.settled().result(30)
    assert [store.get(one["id"]) is not None for one in sent] == [True, True, False, True, True]
    assert store.bad in caplog.text
    intake.submit([statement()], "lms", authority, "1.0.3").result(30)
    intake.settled().result(30)
    intake.close()
    assert log.offsets(STATEMENTS)[0].end == 6
    store.close()
    (tmp_path / "receiver.db").unlink()
    again = FaultyStore(tmp_path / "receiver.db")  # lost, and read from the log at the next start
    again.bad = store.bad
    IntakeAlone(log, again).close()
    assert [again.get(one["id"]) is not None for one in sent] == [True, True, False, True, True]
    again.close()
    log.close()


def test_one_receiver_serves_a_folder(server: Server) -> None:
    told = server.home("serve", "--port", "0", expect=5)
    assert "Another receiver" in told
