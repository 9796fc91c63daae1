"""Several receivers, by hand: what was answered is there once whatever becomes of them, and how many statements they take.

python -m tests.end_to_end.receivers --faults 20
"""

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.several import Senders, cluster, disturb

_SECONDS = 30


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
    """Statements a second that four clients get answered in batches of 30, by one, two and three receivers."""
    rows: list[dict[str, Any]] = []
    for receivers in (1, 2, 3):
        with cluster(folder / str(receivers), receivers) as started, Senders(started.servers, 4, 30) as senders:
            time.sleep(3)
            before, began = len(senders.answered), time.monotonic()
            time.sleep(_SECONDS)
            rate = (len(senders.answered) - before) / (time.monotonic() - began)
        rows.append({"receivers": receivers, "statements_a_second": round(rate)})
        print(json.dumps(rows[-1]), flush=True)
    return rows


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--faults", type=int, default=20)
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "faults").mkdir()
        print(json.dumps(under_faults(folder / "faults", given.faults, given.seed)), flush=True)
        throughput(folder)
