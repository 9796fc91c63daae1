"""The receiver: statements a second that it answers 200, beside an LRS from PyPI and bare appends to the same event log."""

import base64
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from flows.opening import event_log
from flows.serve import clients
from flows.settings import Settings
from schemas.records import STATEMENTS, Record
from tests.ralph import AUTHORIZATION, Ralph

_BATCH, _CLIENTS, _BATCHES = 30, 4, 200


def speed(folder: Path, scale: int) -> list[dict[str, Any]]:
    """Four clients with keep-alive, batches of 30: the receiver, then Ralph. The same batches appended without HTTP.

    Ralph keeps statements in a file, which it does not flush to the disk, and reads whole for each request.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = Settings(home=folder / ".proficio")
    secret = clients(settings).add("bench", frozenset({"write"}))
    batches = [[batch() for _ in range(_BATCHES // scale)] for _ in range(_CLIENTS)]
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "flows.cli", "serve", "--port", "0"], cwd=folder, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PROFICIO_HOME": str(settings.home)},
    )  # fmt: skip
    assert process.stdout
    found = re.search(r"127.0.0.1:(\d+)", process.stdout.readline())
    assert found
    authorization = "Basic " + base64.b64encode(f"bench:{secret}".encode()).decode()
    own, waits = sent([int(found[1])], "/xapi/statements", authorization, batches)
    process.terminate()
    process.wait()
    ralph = Ralph(folder / "ralph")
    theirs, their_waits = sent([ralph.port], "/xAPI/statements", AUTHORIZATION, batches)
    ralph.close()
    bare = _bare(settings, [body for bodies in batches for body in bodies])
    statements = _BATCH * sum(map(len, batches))
    load = f"{_CLIENTS} clients, batches of {_BATCH}, {statements:,} in all"
    return [
        {"what": f"receiver, {load}, statements/s", "figure": statements / own, "bar": "", "met": True},
        {"what": "p99 of a request, ms", "figure": 1000 * statistics.quantiles(waits, n=100)[98], "bar": "", "met": True},
        {"what": "Ralph on a file, the same, statements/s", "figure": statements / theirs, "bar": "", "met": True},
        {"what": "p99 of a request to Ralph, ms", "figure": 1000 * statistics.quantiles(their_waits, n=100)[98], "bar": "", "met": True},
        {"what": "receiver / Ralph", "figure": theirs / own, "bar": ">= 10", "met": theirs / own >= 10},
        {"what": "bare append to the event log, statements/s", "figure": statements / bare, "bar": "", "met": True},
        {"what": "receiver / bare append", "figure": bare / own, "bar": "", "met": True},
    ]  # fmt: skip


def sent(ports: Sequence[int], path: str, authorization: str, batches: list[list[bytes]]) -> tuple[float, list[float]]:
    """The seconds that it took clients to send their batches, all at once and each to one of the ports, and those of each request."""
    waits: list[float] = []
    threads = [
        threading.Thread(target=_send, args=(port, path, authorization, bodies, waits))
        for port, bodies in zip(cycle(ports), batches, strict=False)
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(waits) == sum(map(len, batches))
    return time.perf_counter() - started, waits


def batch() -> bytes:
    return orjson.dumps(
        [
            {
                "id": str(uuid4()),
                "actor": {"account": {"homePage": "https://lms.example.org", "name": f"learner{number}"}},
                "verb": {"id": "http://adlnet.gov/expapi/verbs/answered", "display": {"en": "answered"}},
                "object": {"id": f"https://lms.example.org/quiz/{number}", "definition": {"name": {"en": f"Question {number}"}}},
                "result": {"success": number % 3 > 0, "score": {"scaled": 0.5}},
                "context": {"contextActivities": {"parent": [{"id": "https://lms.example.org/quiz"}]}},
                "timestamp": "2026-01-01T00:00:00Z",
            }
            for number in range(_BATCH)
        ]
    )  # fmt: skip


def _send(port: int, path: str, authorization: str, bodies: list[bytes], waits: list[float]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {
        "Authorization": authorization, "X-Experience-API-Version": "1.0.3", "Content-Type": "application/json",
    }  # fmt: skip
    for body in bodies:
        started = time.perf_counter()
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        told = answer.read()
        assert answer.status == 200, told
        waits.append(time.perf_counter() - started)


def _bare(settings: Settings, bodies: list[bytes]) -> float:
    records = [
        [Record("k", json.dumps(one).encode(), {"source": "b"}) for one in orjson.loads(body)] for body in bodies
    ]
    with event_log(settings) as log:
        started = time.perf_counter()
        for each in records:
            log.append(STATEMENTS, each)
        return time.perf_counter() - started
