"""Processes and those that they started: found, made to stand still, kept running; and waiting for what they do."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx


def descendants(process: int) -> list[int]:
    """The processes that a process started, and those that they did."""
    found = [int(one) for path in Path(f"/proc/{process}/task").glob("*/children") for one in path.read_text().split()]
    return found + [one for child in found for one in descendants(child)]


@contextmanager
def standing_still(process: int) -> Iterator[None]:
    """Nothing of a process goes on while the block lasts."""
    stopped = [process, *descendants(process)]
    for one in stopped:
        os.kill(one, signal.SIGSTOP)
    try:
        yield
    finally:
        for one in stopped:
            os.kill(one, signal.SIGCONT)


class Kept:
    """A process that is started again when it ends, as systemd would."""

    def __init__(self, command: list[Any], environment: dict[str, str], output: Path) -> None:
        self._command, self._environment, self.starts = command, environment, 0
        self._output = output.open("ab")
        self.process: subprocess.Popen[bytes] | None = None
        self._stopped, self._starting = threading.Event(), threading.Lock()
        self.resume()

    def _keep(self) -> None:
        while process := self._start():
            process.wait()
            self._stopped.wait(1)

    def _start(self) -> "subprocess.Popen[bytes] | None":
        with self._starting:
            if self._stopped.is_set():
                return None
            self.starts += 1
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdout=self._output, stderr=self._output, start_new_session=True
            )
            return self.process

    def pause(self) -> None:
        """Kill it, and do not start it again until `resume`."""
        with self._starting:
            self._stopped.set()
        if self.process:
            with suppress(ProcessLookupError):  # it has ended by itself
                os.killpg(self.process.pid, signal.SIGKILL)
        self._thread.join()

    def resume(self) -> None:
        """Start it, and again whenever it ends."""
        self._stopped.clear()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let it end; nothing, where it has been stopped."""
        with self._starting:
            self._stopped.set()
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(120)
        self._thread.join()
        self._output.close()


def until(holds: Callable[[], bool], seconds: float) -> None:
    """Wait for something; a server that does not answer yet is waited for too. AssertionError where it takes longer."""
    ends = time.monotonic() + seconds
    while True:
        try:
            if holds():
                return
        except httpx.HTTPError:
            pass
        assert time.monotonic() < ends, "it did not come to that in time"
        time.sleep(0.3)
