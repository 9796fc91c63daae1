"""Mixed load under fire: clients write and read while receiver, broker and lander are killed at random.

Every statement that was answered 200 or 204 is in the lake once; of a request that was answered otherwise, or not at all, either
everything is there or nothing, and nothing where it was refused.

By hand, at full length:  python -m tests.end_to_end.mixed_load --minutes 30 --log kafka
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from flows.opening import event_log, topics
from flows.serve import clients
from flows.settings import EventLogSettings, Settings
from tests.broker import Broker, free_port
from tests.home import landed_ids
from tests.processes import Kept, until
from tests.receiver import VERSION

_PROFICIO = [sys.executable, "-m", "flows.cli"]
_WRITERS, _READERS = 3, 1
_PATIENCE = 240  # seconds, for what is slow


@dataclass
class Told:
    """What clients were told of the ids that they sent. `open` are requests whose answer never came."""

    answered: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    open: list[list[str]] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    enough: threading.Event = field(default_factory=threading.Event)


class Scene:
    """A receiver, a lander and perhaps a broker as processes, in one home."""

    def __init__(self, folder: Path, kafka: bool) -> None:
        self._broker = Broker(folder / "kafka") if kafka else None
        log = EventLogSettings()
        if self._broker:
            log = EventLogSettings(kind="kafka", bootstrap_servers=self._broker.address)
        self.settings = Settings(home=folder / "home", event_log=log)
        with event_log(self.settings) as opened:
            opened.create(topics(self.settings))
        self._secret = clients(self.settings).add("lms", frozenset({"write", "read-all"}))
        self._environment = {
            **os.environ, "PROFICIO_HOME": str(self.settings.home), **(self._broker.environment if self._broker else {}),
        }  # fmt: skip
        self._port = free_port()
        serve = [*_PROFICIO, "serve", "--port", str(self._port)]
        self._receiver = Kept(serve, self._environment, folder / "output")
        self._lander = Kept([*_PROFICIO, "land"], self._environment, folder / "output")
        self._faults = {
            "receiver": (self._receiver.pause, self._receiver.resume),
            "lander": (self._lander.pause, self._lander.resume),
            **({"broker": (self._broker.kill, self._broker.start)} if self._broker else {}),
        }
        self.next_victims: list[str] = []

    def client(self) -> httpx.Client:
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self._port}/xapi", auth=("lms", self._secret), headers=VERSION, timeout=120
        )

    def kill(self, chance: random.Random) -> str:
        """Kill one of the processes, and start it again."""
        if not self.next_victims:  # each once in a round, in any order
            self.next_victims = chance.sample(sorted(self._faults), k=len(self._faults))
        victim = self.next_victims.pop()
        fail, mend = self._faults[victim]
        fail()
        time.sleep(chance.random() * 2)
        mend()
        return victim

    def land(self) -> None:
        """Let the lander end, and land what it left, undisturbed."""
        self._lander.stop()
        subprocess.run([*_PROFICIO, "land"], env=self._environment, stdout=subprocess.DEVNULL, check=True)

    def close(self) -> None:
        self._lander.stop()
        self._receiver.stop()
        if self._broker:
            self._broker.kill()


def under_fire(folder: Path, seconds: float, kafka: bool, seed: int, least: int = 1_000) -> dict[str, Any]:
    """What was answered, landed and killed. AssertionError where something was lost, doubled or halved.

    Killed for so many seconds, and each at least once; then the load goes on until at least so many statements were answered, on a
    slow machine too.
    """
    told, chance, killed = Told(), random.Random(seed), Counter[str]()
    with closing(Scene(folder, kafka)) as scene:
        threads = [
            threading.Thread(target=_write, args=(scene, told, random.Random(seed + n))) for n in range(_WRITERS)
        ]
        threads += [threading.Thread(target=_read, args=(scene, told, random.Random(-seed))) for _ in range(_READERS)]
        for thread in threads:
            thread.start()
        try:
            ends = time.monotonic() + seconds
            while time.monotonic() < ends or scene.next_victims:  # the rest of a round
                _answered(told, len(told.answered) + 1)  # so that each meets a load
                time.sleep(2 + chance.random() * 6)
                killed[scene.kill(chance)] += 1
            _answered(told, least)
        finally:
            told.enough.set()
            for thread in threads:
                thread.join()
        scene.land()
        landed = landed_ids(scene.settings)
        _kept(scene, told)
    output = (folder / "output").read_text()
    assert "Traceback" not in output, output[-5000:]
    _judge(told, landed)
    return {
        "answered": len(told.answered), "landed": len(landed), "refused": len(told.refused), "requests_without_answer": len(told.open),
        "of_these_landed": sum(set(ids) <= set(landed) for ids in told.open), "killed": dict(killed), "statuses": dict(told.statuses),
    }  # fmt: skip


def _answered(told: Told, least: int) -> None:
    until(lambda: len(told.answered) >= least, _PATIENCE)


def _judge(told: Told, landed: list[str]) -> None:
    there = set(landed)
    assert not told.faults, told.faults[:3]
    assert len(landed) == len(there), f"{len(landed) - len(there)} statements landed twice"
    assert told.answered <= there, f"{len(told.answered - there)} statements that were answered are lost"
    assert not told.refused & there, f"{len(told.refused & there)} statements that were refused are there"
    halves = [ids for ids in told.open if 0 < len(there & set(ids)) < len(set(ids))]
    assert not halves, f"{len(halves)} requests that were not answered are there in part"
    assert there <= told.answered | {one for ids in told.open for one in ids}


def _write(scene: Scene, told: Told, chance: random.Random) -> None:
    """Requests of all kinds, one after the other. One that is not answered is sent again, or given up."""
    own: list[dict[str, Any]] = []  # answered
    with scene.client() as client:
        while not told.enough.is_set():
            batch = [statement(chance) for _ in range(chance.randint(1, 40))]
            kind = chance.choice(["post", "post", "post", "post", "put", "invalid", "conflict", "again"])
            if kind == "put":
                batch = batch[:1]
            elif kind == "invalid":
                batch.insert(chance.randrange(len(batch)), {**statement(chance), "verb": {}})
            elif kind == "conflict" and own:
                batch.append({**chance.choice(own), "object": {"id": "https://lms.example.org/another"}})
            elif kind == "again" and own:
                batch.append(chance.choice(own))
            fresh = [one for one in batch if one["id"] not in told.answered]
            status = _send(client, told, kind, batch, chance)
            ids = [str(one["id"]) for one in fresh]
            if status in (200, 204):
                told.answered.update(ids)
                own = [*own[-500:], *fresh]
            elif status in (400, 409):
                told.refused.update(ids)
            else:
                told.open.append(ids)


def _send(
    client: httpx.Client, told: Told, kind: str, batch: list[dict[str, Any]], chance: random.Random
) -> int | None:
    """The status, once there is one that says what became of the request; None where that is given up."""
    begun = time.monotonic()
    while True:
        try:
            if kind == "put":
                answer = client.put("/statements", params={"statementId": batch[0]["id"]}, json=batch[0])
            else:
                answer = client.post("/statements", json=batch)
            told.statuses[f"{kind} {answer.status_code}"] += 1
            if answer.status_code < 500:
                expected = {"invalid": {400}, "conflict": {200, 409}}.get(kind, {200, 204})
                if answer.status_code not in expected:
                    told.faults.append(f"{kind}: {answer.status_code} {answer.text}")
                return answer.status_code
            if answer.status_code != 503:
                told.faults.append(f"{kind}: {answer.status_code} {answer.text}")
        except httpx.TransportError as error:
            told.statuses[f"{kind} {type(error).__name__}"] += 1
        if chance.random() < 0.3 or (told.enough.is_set() and time.monotonic() > begun + _PATIENCE):
            return None
        time.sleep(0.5)


def _read(scene: Scene, told: Told, chance: random.Random) -> None:
    """Statements that were answered are read back, whatever was killed since."""
    with scene.client() as client:
        while not told.enough.is_set():
            time.sleep(0.2)
            answered = list(told.answered)
            parameters = (
                {"limit": "50"} if chance.random() < 0.5 or not answered else {"statementId": chance.choice(answered)}
            )
            try:
                answer = client.get("/statements", params=parameters)
            except httpx.TransportError:
                continue
            told.statuses[f"get {answer.status_code}"] += 1
            if answer.status_code not in (200, 503):
                told.faults.append(f"get {parameters}: {answer.status_code} {answer.text}")


def _kept(scene: Scene, told: Told) -> None:
    """The receiver, once it is up again, gives back what it answered."""
    with scene.client() as client:
        until(lambda: client.get("/about").is_success, _PATIENCE)
        for one in random.Random(0).sample(sorted(told.answered), min(300, len(told.answered))):
            answer = client.get("/statements", params={"statementId": one})
            if answer.status_code != 200:
                told.faults.append(f"{one}: {answer.status_code} {answer.text}")


def statement(chance: random.Random) -> dict[str, Any]:
    """One of many learners answers one of a few questions."""
    return {
        "id": str(UUID(int=chance.getrandbits(128), version=4)),
        "actor": {"mbox": f"mailto:learner{chance.randrange(997)}@example.org"},
        "verb": {"id": "http://adlnet.gov/expapi/verbs/answered"},
        "object": {"id": f"https://lms.example.org/data-literacy/beginner/{chance.randrange(12)}"},
        "result": {"success": chance.random() < 0.6},
        "timestamp": f"2026-01-{1 + chance.randrange(28):02d}T00:00:00Z",
    }


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--minutes", type=float, default=30)
    arguments.add_argument("--log", choices=["kafka", "sqlite"], default="kafka")
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        print(under_fire(Path(temporary), 60 * given.minutes, given.log == "kafka", given.seed))
