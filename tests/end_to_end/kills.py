"""Exactly once under fire: the lander is killed at random places, a Kafka broker too; every statement lands once.

By hand, at full size:  python -m tests.end_to_end.kills --statements 200000 --kills 20 --log kafka [--lake s3 --faults 0.1]
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from uuid import UUID

import orjson

from flows.opening import event_log, lake_of, topics
from flows.settings import EventLogSettings, LandSettings, Settings
from schemas.records import STATEMENTS, Record
from tests.broker import Broker
from tests.home import landed_ids
from tests.object_store import ObjectStore


def statement(number: int, random_bits: random.Random) -> dict[str, object]:
    return {
        "id": str(UUID(int=random_bits.getrandbits(128), version=4)),
        "actor": {"mbox": f"mailto:learner{number % 997}@example.org"},
        "verb": {"id": "http://adlnet.gov/expapi/verbs/answered"},
        "object": {"id": f"https://lms.example.org/data-literacy/beginner/{number % 12}"},
        "result": {"success": number % 3 > 0},
        "timestamp": f"2026-01-{1 + number % 28:02d}T00:00:00Z",
    }


def sent(settings: Settings, statements: int, random_bits: random.Random) -> list[str]:
    """Append so many statements to the event log, whose topics are made; their ids."""
    ids = []
    with event_log(settings) as log:
        log.create(topics(settings))
        for start in range(0, statements, 5000):
            batch = [statement(number, random_bits) for number in range(start, min(start + 5000, statements))]
            ids += [str(one["id"]) for one in batch]
            log.append(STATEMENTS, [Record(one["actor"]["mbox"], orjson.dumps(one), {}) for one in batch])  # type: ignore[index]
    return ids


def lander(settings: Settings) -> subprocess.Popen[bytes]:
    """`proficio land`, running."""
    environment = {
        **os.environ,
        "PROFICIO_HOME": str(settings.home),
        "PROFICIO_LAKE": settings.lake,
        "PROFICIO_LAKE_OPTIONS": json.dumps(settings.lake_options),
        "PROFICIO_EVENT_LOG__KIND": settings.event_log.kind,
        "PROFICIO_EVENT_LOG__BOOTSTRAP_SERVERS": settings.event_log.bootstrap_servers,
        "PROFICIO_LAND__BATCH_RECORDS": str(settings.land.batch_records),
        "PROFICIO_LAND__GROUP": settings.land.group,
        "PROFICIO_LAND__SESSION_SECONDS": str(settings.land.session_seconds),
    }
    return subprocess.Popen([sys.executable, "-m", "flows.cli", "land"], env=environment, stdout=subprocess.DEVNULL)


def landed_so_far(settings: Settings) -> int:
    """How many records the files of the lake account for."""
    return sum(file.last - file.first + 1 for file in lake_of(settings).published())


def landed_once(settings: Settings, ids: list[str]) -> int:
    """How many landed, which are those that were sent, each once."""
    landed = landed_ids(settings)
    assert len(landed) == len(set(landed)), f"{len(landed) - len(set(landed))} statements landed twice"
    assert set(landed) == set(ids), f"{len(set(ids) - set(landed))} statements were lost"
    return len(landed)


def landed_under_fire(
    home: Path, statements: int, kills: int, broker: Broker | None, seed: int, store: ObjectStore | None = None
) -> dict[str, int]:
    """Append statements, land them while killing, in a folder or a store; how many were sent, landed, and what the kills met."""
    random_bits = random.Random(seed)
    log_settings = EventLogSettings(kind="kafka", bootstrap_servers=broker.address) if broker else EventLogSettings()
    batch = max(100, statements // kills // 20)  # of the 20 for each kill, it comes within the first 8
    land = LandSettings(batch_records=batch)
    settings = Settings(home=home, event_log=log_settings, land=land, **(store.settings if store else {}))
    ids = sent(settings, statements, random_bits)
    restarts = {kills // 3, 2 * kills // 3} if broker else set()
    in_the_middle = 0
    for kill in range(kills):
        place = landed_so_far(settings) + random_bits.randrange(batch, 8 * batch)
        running = lander(settings)
        while running.poll() is None and landed_so_far(settings) < place:
            time.sleep(0.01)
        in_the_middle += running.poll() is None
        if kill in restarts and broker:
            broker.kill()
            time.sleep(random_bits.random())
            broker.start()
        time.sleep(random_bits.random() * 0.05)
        running.send_signal(signal.SIGKILL)
        running.wait()
        if kill == kills // 2:
            lake_of(settings).compact()
    assert lander(settings).wait() == 0, "the undisturbed landing failed"
    return {"sent": len(ids), "landed": landed_once(settings, ids), "kills": kills, "kills_in_the_middle": in_the_middle,
            "broker_restarts": len(restarts)}  # fmt: skip


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--statements", type=int, default=200_000)
    arguments.add_argument("--kills", type=int, default=20)
    arguments.add_argument("--log", choices=["kafka", "sqlite"], default="kafka")
    arguments.add_argument("--lake", choices=["folder", "s3"], default="folder")
    arguments.add_argument("--faults", type=float, default=0.1, help="share of the requests to S3 that meet one")
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        started = Broker(Path(folder) / "kafka") if given.log == "kafka" else None
        try:
            with ObjectStore(Path(folder) / "s3", given.faults) if given.lake == "s3" else nullcontext() as store:
                print(
                    landed_under_fire(Path(folder) / "home", given.statements, given.kills, started, given.seed, store)
                )
                print("requests:", store.counts() if store else "none")
        finally:
            if started:
                started.kill()
