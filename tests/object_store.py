"""A real S3 API server as a process: moto's. What it answers can be delayed, broken off or refused by what stands before it."""

import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import httpx
from obstore.store import S3Store

from tests.broker import free_port

BUCKET = "learning"


class ObjectStore:
    """Starts on construction, with an empty bucket."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        with (folder / "moto.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)], stdout=log, stderr=log
            )
        ends = time.monotonic() + 60
        while True:
            try:
                httpx.put(f"{self.url}/{BUCKET}", timeout=2).raise_for_status()
                return
            except httpx.HTTPError:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.1)

    def store(self, prefix: str, url: str = "") -> S3Store:
        return S3Store(
            BUCKET, prefix=prefix, endpoint=url or self.url, region="us-east-1", access_key_id="a", secret_access_key="b",
            client_options={"allow_http": True, "timeout": "2s"},
            retry_config={"max_retries": 5, "backoff": {"init_backoff": timedelta(milliseconds=50), "max_backoff": timedelta(milliseconds=500)}},
        )  # fmt: skip

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
