"""Several receivers that share a PostgreSQL and a Kafka, each a process with a data folder of its own."""

import asyncio
import json
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from connectors.lti.store import LtiStore
from connectors.receiver.rates import counted_shared, parsed
from flows.opening import own_key, state
from flows.settings_file import load
from tests.processes import standing_still
from tests.receiver import Server, multipart, statement
from tests.several import Cluster, Senders, cluster, disturb

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def receivers(tmp_path_factory: pytest.TempPathFactory, kafka_can_run: None) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


def test_an_id_is_one_statement_whoever_takes_it(receivers: Cluster) -> None:
    """Two statements of one id are sent to both receivers at once: one is taken, and read back at once from the other."""
    pairs = [(statement(), receivers.servers[number % 2], receivers.servers[1 - number % 2]) for number in range(30)]

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
            for each in receivers.servers:
                with each.client() as lms:
                    kept = lms.get("/statements", params={"statementId": one["id"]}).json()
                assert kept["result"] == taken["result"]
    ids = receivers.logged()
    assert len(ids) == len(set(ids)) >= len(pairs)


def test_voiding_and_statements_about_statements_hold_across_receivers(receivers: Cluster) -> None:
    about, mail = statement(), f"mailto:{time.time_ns()}@example.org"
    about["actor"] = {"mbox": mail}
    ref = {"objectType": "StatementRef", "id": about["id"]}
    comment = statement(object=ref, verb={"id": "http://adlnet.gov/expapi/verbs/commented"})
    voiding = statement(object=ref, verb={"id": "http://adlnet.gov/expapi/verbs/voided"})
    with receivers.servers[0].client() as here, receivers.servers[1].client() as there:
        assert here.post("/statements", json=comment).status_code == 200
        assert there.post("/statements", json=about).status_code == 200
        found = here.get("/statements", params={"agent": f'{{"mbox":"{mail}"}}'}).json()["statements"]
        assert {one["id"] for one in found} == {comment["id"], about["id"]}
        assert here.post("/statements", json=voiding).status_code == 200
        assert there.get("/statements", params={"statementId": about["id"]}).status_code == 404
        assert there.get("/statements", params={"voidedStatementId": about["id"]}).status_code == 200
        through = there.get("/statements", params={"limit": 1})
        newest = through.json()["statements"][0]["stored"]
        assert through.headers["X-Experience-API-Consistent-Through"][:23] >= newest[:23]  # milliseconds


def test_credentials_tokens_attachments_and_rates_are_those_of_all(receivers: Cluster) -> None:
    with receivers.servers[0].client() as here, receivers.servers[1].client() as there:
        one = statement()
        assert here.post("/statements", **multipart(one, b"a page of work")).status_code == 200
        told = there.get("/statements", params={"statementId": one["id"], "attachments": "true"})
        assert b"a page of work" in told.content
    given = {"grant_type": "client_credentials"}
    token = httpx.post(
        f"{receivers.servers[0].address}/oauth2/token", auth=("lms", receivers.servers[0].secrets["lms"]), data=given
    )
    with receivers.servers[1].client() as there:
        there.auth = None
        there.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
        assert there.get("/statements").status_code == 200
    made = json.loads(receivers.servers[1].home("clients", "add", "brief", "--scope=read-own", "--json"))
    receivers.servers[0].secrets["brief"] = made["secret"]  # those of all
    for status, command in ((200, None), (401, ("clients", "revoke", "brief"))):
        if command:
            receivers.servers[0].home(*command)
        for each in receivers.servers:
            with each.client("brief") as client:
                assert client.get("/statements").status_code == status
    assert "already" in receivers.servers[0].home("clients", "add", "lms", expect=4)
    known = receivers.settings
    assert own_key(known, "pages.key") == own_key(load(receivers.servers[1].home.folder / "proficio.toml"), "pages.key")
    assert not (receivers.servers[0].home.settings.home / "receiver.db").exists()


def test_a_rate_is_counted_across_receivers_and_a_nonce_taken_once(receivers: Cluster) -> None:
    where = state(receivers.settings, "receiver.db")
    counted = [counted_shared(where, parsed("6/hour")) for _ in range(2)]

    async def ask() -> list[bool]:
        return await asyncio.gather(*(counted[number % 2]("eager") for number in range(16)), counted[0]("patient"))

    told = asyncio.run(ask())
    assert sum(told[:16]) == 6
    assert told[16]
    store = LtiStore(state(receivers.settings, "lti.db"))
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: store.take_nonce("nonce", time.time() + 60), range(16)))
    assert sum(taken) == 1


def test_while_the_server_stands_still_a_receiver_answers_what_does_not_ask_it(receivers: Cluster) -> None:
    one = receivers.another("tool", '[pages]\nurl = "https://tool.example.org"\n')
    with ThreadPoolExecutor(2) as pool:
        with standing_still(receivers.postgres):
            asked = [
                pool.submit(httpx.get, f"{one.address}/lti/{path}", timeout=120) for path in ("jwks", "login?iss=x")
            ]
            time.sleep(1)
            assert httpx.get(f"{one.address}/health", timeout=20).status_code == 200
            assert not any(each.done() for each in asked)
        assert [each.result().status_code for each in asked] == [200, 400]
    assert "Traceback" not in one.stop()


def test_what_was_answered_is_there_once_though_receivers_are_killed_and_stand_still(receivers: Cluster) -> None:
    chance, before = random.Random(7), set(receivers.logged())
    with Senders(receivers.servers) as senders:
        done = [disturb(receivers.servers, chance, senders) for _ in range(4)]
    assert set(done) == {"killed", "paused"}
    ids = receivers.logged()
    assert len(ids) == len(set(ids))
    assert len(senders.answered) > 100
    assert senders.answered <= set(ids) <= before | senders.sent
    for each in receivers.servers:
        with each.client("auditor") as auditor:
            told = [
                auditor.get("/statements", params={"statementId": one}).status_code
                for one in list(senders.answered)[:50]
            ]
        assert told == [200] * 50
