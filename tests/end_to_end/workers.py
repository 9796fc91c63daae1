"""Landing by many workers in one consumer group: how much faster, and exactly once while they are killed and paused.

python -m tests.end_to_end.workers [--statements 400000] [--faults 20] [--lake s3 --store-faults 0.1]
"""

import argparse
import json
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from flows.settings import EventLogSettings, LandSettings, Settings
from tests.broker import Broker
from tests.end_to_end.kills import landed_once, landed_so_far, lander, sent
from tests.object_store import ObjectStore
from tests.processes import until

_PARTITIONS = 8
_SESSION = 6.0  # seconds: the shortest that a broker grants


def landed_under_faults(
    folder: Path, statements: int, workers: int, faults: int, seed: int, store: ObjectStore | None = None
) -> dict[str, int]:
    """Land with so many workers while one after the other is killed, or paused for longer than its session and resumed."""
    random_bits = random.Random(seed)
    with _broker(folder / "kafka") as broker:
        files = 20 if store else 100  # for each fault; where requests fail, one takes a second or more
        settings = _settings(folder / "home", broker, max(100, statements // faults // files), store)
        ids: list[str] = []
        running: list[subprocess.Popen[bytes]] = []
        ended: list[int] = []
        for fault in range(faults):
            ids += sent(settings, statements // faults, random_bits)
            before = landed_so_far(settings)
            ended += [one.returncode for one in running if one.poll() is not None]
            running = [one for one in running if one.poll() is None]
            running += [lander(settings) for _ in range(workers - len(running))]
            until(lambda before=before: landed_so_far(settings) > before, 120)  # type: ignore[misc]  # in the middle of it
            assert landed_so_far(settings) < len(ids), "too few statements for a fault to meet any"
            one = random_bits.choice(running)
            if fault % 2:
                one.send_signal(signal.SIGKILL)
                one.wait()
                running.remove(one)
            else:
                one.send_signal(signal.SIGSTOP)
                time.sleep(_SESSION + 2)
                one.send_signal(signal.SIGCONT)
        ended += [one.wait(600) for one in [*running, lander(settings)]]
        assert not any(ended), f"workers that nobody killed ended with {ended}"
        return {
            "sent": len(ids),
            "landed": landed_once(settings, ids),
            "killed": faults // 2,
            "paused": faults - faults // 2,
        }


def throughput(folder: Path, statements: int, on_s3: bool = False) -> list[dict[str, float]]:
    """Statements a second by one, two and four workers, their starting included."""
    rows: list[dict[str, float]] = []
    for workers in (1, 2, 4):
        with _broker(folder / f"kafka-{workers}") as broker, _store(folder / f"s3-{workers}", on_s3) as store:
            settings = _settings(folder / f"home-{workers}", broker, 20_000, store)
            ids = sent(settings, statements, random.Random(workers))
            began = time.monotonic()
            running = [lander(settings) for _ in range(workers)]
            assert [one.wait() for one in running] == [0] * workers
            seconds = time.monotonic() - began
            landed_once(settings, ids)
        rows.append(
            {"workers": workers, "seconds": round(seconds, 1), "statements_a_second": round(statements / seconds)}
        )
        print(json.dumps(rows[-1]), flush=True)
    return rows


def _settings(home: Path, broker: Broker, batch: int, store: ObjectStore | None) -> Settings:
    log = EventLogSettings(kind="kafka", bootstrap_servers=broker.address, partitions=_PARTITIONS)
    land = LandSettings(batch_records=batch, group="land", session_seconds=_SESSION)
    return Settings(home=home, event_log=log, land=land, **(store.settings if store else {}))


@contextmanager
def _broker(folder: Path) -> Iterator[Broker]:
    started = Broker(folder)
    try:
        yield started
    finally:
        started.kill()


def _store(folder: Path, wanted: bool, faults: float = 0) -> AbstractContextManager[ObjectStore | None]:
    return ObjectStore(folder, faults) if wanted else nullcontext()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--statements", type=int, default=400_000)
    arguments.add_argument("--faults", type=int, default=20)
    arguments.add_argument("--lake", choices=["folder", "s3"], default="folder")
    arguments.add_argument("--store-faults", type=float, default=0.1, help="share of the requests to S3 that meet one")
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    given = arguments.parse_args()
    on_s3 = given.lake == "s3"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with _store(folder / "s3", on_s3, given.store_faults) as store:
            done = landed_under_faults(folder, given.statements, 3, given.faults, given.seed, store)
            print(json.dumps({**done, **({"requests": store.counts()} if store else {})}), flush=True)
        throughput(folder, given.statements, on_s3)
