"""A real S3 API server as a process: moto's. What it answers can be refused, lost or late, and is written down.

As a process of its own:  python -m tests.object_store PORT LOG FAULTS SEED CARELESS
"""

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
from obstore.store import S3Store

from connectors.lake.stores import store_of
from tests.broker import free_port

BUCKET = "learning"
TIMEOUT = 2  # seconds that its clients wait


class ObjectStore:
    """Starts on construction, with an empty bucket, and ends with its block. `faults` is the share of requests that meet one;
    a careless one lets a name be made twice.
    """

    def __init__(self, folder: Path, faults: float = 0, seed: int = 1, careless: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "requests.ndjson"
        with (folder / "moto.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.object_store", *map(str, [self.port, self._log, faults, seed, int(careless)])],
                stdout=log, stderr=log, cwd=Path(__file__).parents[1],
            )  # fmt: skip
        ends = time.monotonic() + 240
        while True:
            try:
                httpx.put(f"{self.url}/{BUCKET}", timeout=5).raise_for_status()
                return
            except httpx.HTTPError:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.1)

    @property
    def settings(self) -> dict[str, Any]:
        """What settings say of a lake in it."""
        return {"lake": f"s3://{BUCKET}/lake", "lake_options": self.options}

    @property
    def options(self) -> dict[str, str]:
        """What `lake_options` are for it."""
        return {
            "endpoint": self.url, "region": "us-east-1", "access_key_id": "a", "secret_access_key": "b",
            "allow_http": "true", "timeout": f"{TIMEOUT}s",
        }  # fmt: skip

    def store(self, prefix: str, url: str = "") -> S3Store:
        opened = store_of(f"s3://{BUCKET}/{prefix}", {**self.options, "endpoint": url or self.url})
        assert isinstance(opened, S3Store)
        return opened

    def requests(self) -> list[dict[str, Any]]:
        """What was asked of it, in order: method, path, query, bytes answered, fault."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def counts(self) -> dict[str, int]:
        """How many requests there were, by the fault that each met."""
        return dict(Counter(one["fault"] or "none" for one in self.requests()))

    def __enter__(self) -> "ObjectStore":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


class _Faulty:
    """Stands before a WSGI application; some of what is asked goes wrong, as networks and busy stores do."""

    def __init__(self, served: Any, log: Path, share: float, seed: int, careless: bool) -> None:
        self._served, self._log, self._share, self._careless = served, log.open("a", buffering=1), share, careless
        self._random = random.Random(seed)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if self._careless:
            environ.pop("HTTP_IF_NONE_MATCH", None)
        names_one_object = environ["PATH_INFO"].count("/") > 1 or environ["REQUEST_METHOD"] == "GET"
        meets = names_one_object and self._random.random() < self._share
        fault = self._random.choice(["refused", "lost", "late", "slow"]) if meets else ""
        if fault == "late":  # done when nobody waits for it any more
            time.sleep(TIMEOUT + 1)
        if fault == "slow":
            time.sleep(TIMEOUT / 2)
        answer = b"<Error><Code>SlowDown</Code></Error>"
        if fault in ("refused", "lost"):
            if fault == "lost":  # done, and not told
                b"".join(self._served(environ, lambda *_: None))
            start_response("503 Slow Down", [("Content-Type", "application/xml")])
        else:
            answer = b"".join(self._served(environ, start_response))
        told = {
            "method": environ["REQUEST_METHOD"], "path": environ["PATH_INFO"], "query": environ["QUERY_STRING"],
            "bytes": len(answer), "fault": fault,
        }  # fmt: skip
        self._log.write(json.dumps(told) + "\n")
        return [answer]


def _serve(port: int, log: Path, faults: float, seed: int, careless: bool) -> None:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import run_simple

    application = _Faulty(DomainDispatcherApplication(create_backend_app), log, faults, seed, careless)
    run_simple("127.0.0.1", port, application, threaded=True)  # type: ignore[arg-type]


if __name__ == "__main__":
    _serve(int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), sys.argv[5] == "1")
