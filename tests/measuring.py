"""How long a command takes, and the most memory that it holds."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Measured(NamedTuple):
    """Seconds, and peak resident memory in MiB."""

    seconds: float
    peak: float


def proficio(home: Path, *arguments: str, stdin: Iterable[bytes] = (), **env: str) -> Measured:
    """`proficio …` on a home, in a process of its own, which must end well."""
    environment = {**os.environ, "PROFICIO_HOME": str(home), **env}
    started, peak = time.perf_counter(), 0.0
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", *arguments],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert process.stdin
    for piece in stdin:
        process.stdin.write(piece)
        peak = max(peak, peak_of(process.pid))
    process.stdin.close()
    while process.poll() is None:
        peak = max(peak, peak_of(process.pid))
        time.sleep(0.05)
    assert process.returncode == 0, arguments
    return Measured(time.perf_counter() - started, peak)


def peak_of(process: int) -> float:
    """Peak resident memory of a process so far, MiB. Linux counts it anew after exec; getrusage does not."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    return max((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")), default=0.0)
