"""Several receivers, by hand: what was answered is there once whatever becomes of them, and how many statements they take.

python -m tests.end_to_end.receivers --faults 20
"""

import argparse
import base64
import json
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import quantiles
from typing import Any

from tests.benchmarks.receiver import batch, sent
from tests.several import Senders, cluster, disturb

_CLIENTS, _BATCHES = 8, 100


def under_faults(folder: Path, faults: int, seed: int) -> dict[str, Any]:
    """Three receivers, killed and paused one after another while four clients send: counts, once all sets are equal."""
    chance, done = random.Random(seed), Counter[str]()
    with cluster(folder, 3) as started:
        with Senders(started.servers) as senders:
            for _ in range(faults):
                time.sleep(chance.uniform(0.3, 1.5))
                done[disturb(started.servers, chance, senders)] += 1
        ids = started.logged()
        assert len(ids) == len(set(ids)), "a statement stands twice in the event log"
        assert senders.answered <= set(ids) <= senders.sent
        for each in started.servers:
            with each.client("auditor") as auditor:
                for one in list(senders.answered)[-200:]:
                    assert auditor.get("/statements", params={"statementId": one}).status_code == 200
    return {"receivers": 3, **done, "answered": len(senders.answered), "in the log": len(ids), "seed": seed}


def throughput(folder: Path) -> list[dict[str, Any]]:
    """Statements a second that clients get answered in batches of 30, by one receiver with files, and by one, two and three that share."""
    rows: list[dict[str, Any]] = []
    for receivers in (0, 1, 2, 3):
        with cluster(folder / str(receivers), receivers or 1, shared=receivers > 0) as started:
            authorization = "Basic " + base64.b64encode(f"lms:{started.servers[0].secrets['lms']}".encode()).decode()
            ports = [int(one.address.rpartition(":")[2]) for one in started.servers]
            sent(ports, "/xapi/statements", authorization, [[batch()] for _ in ports])
            batches = [[batch() for _ in range(_BATCHES)] for _ in range(_CLIENTS)]
            seconds, waits = sent(ports, "/xapi/statements", authorization, batches)
        rows.append({
            "receivers": receivers or "one, with files", "statements_a_second": round(30 * _BATCHES * _CLIENTS / seconds),
            "p99_ms": round(1000 * quantiles(waits, n=100)[98]),
        })  # fmt: skip
        print(json.dumps(rows[-1]), flush=True)
    return rows


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--faults", type=int, default=20)
    arguments.add_argument("--only", choices=["faults", "throughput"])
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.only != "throughput":
            print(json.dumps(under_faults(folder / "faults", given.faults, given.seed)), flush=True)
        if given.only != "faults":
            throughput(folder)
