"""Runs `proficio` at once, as a process of its own: forked from one that has already imported what takes seconds to import.

Where it ends, forks end by themselves; it ends with the process that started it.
"""

import atexit
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import NoReturn

# Not Prefect: it reads its settings, which differ between tests, when it is imported.
_IMPORTED = (
    "flows.cli", "flows.land", "flows.estimate", "connectors.event_log.sqlite", "dbt.cli.main", "dbt.adapters.duckdb",
    "great_expectations", "pandas",
)  # fmt: skip
_COMPILED = "PROFICIO_COMPILED"
_ROOT = Path(__file__).parents[1]
_MESSAGE = 200_000  # bytes, more than an environment has


def run(arguments: Sequence[str], folder: Path, stdin: bytes = b"", **env: str) -> "subprocess.CompletedProcess[str]":
    """Run `proficio` in `folder`. Of this process's environment it has no settings but where what is compiled is kept."""
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("PROFICIO_") or key == _COMPILED
    }
    environment |= {"PYTHONPATH": str(_ROOT), **env}
    with TemporaryFile() as given, TemporaryFile() as stdout, TemporaryFile() as stderr:
        given.write(stdin)
        given.seek(0)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.connect(_address())
            told = json.dumps([arguments, str(folder), environment]).encode()
            socket.send_fds(connection, [told], [given.fileno(), stdout.fileno(), stderr.fileno()])
            code = int(connection.recv(_MESSAGE))
        stdout.seek(0)
        stderr.seek(0)
        return subprocess.CompletedProcess(arguments, code, stdout.read().decode(), stderr.read().decode())


@cache
def _address() -> str:
    """Where the server of this process listens, once it has begun to."""
    folder = TemporaryDirectory(prefix="proficio-test-")
    address = f"{folder.name}/commands"
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.command_server", address],
        cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert server.stdin and server.stdout
    atexit.register(folder.cleanup)
    atexit.register(server.stdin.close)
    assert server.stdout.readline() == b"listening\n"
    return address


def _serve(address: str) -> None:
    for name in _IMPORTED:
        import_module(name)
    gc.freeze()  # no collection of a fork looks through what was imported
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(address)
        server.listen()
        print("listening", flush=True)
        while sys.stdin not in select.select([server, sys.stdin], [], [])[0]:
            connection, _ = server.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                server.close()
                _answer(connection)
            connection.close()


def _answer(connection: socket.socket) -> NoReturn:
    """Run what is asked for in a fork, and tell how it ended."""
    told, files, _, _ = socket.recv_fds(connection, _MESSAGE, 3)
    child = os.fork()
    if child == 0:
        connection.close()
        _become(*json.loads(told), files)
    _, status = os.waitpid(child, 0)
    connection.send(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _become(arguments: list[str], folder: str, environment: dict[str, str], files: list[int]) -> NoReturn:
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["proficio", *arguments]
    from flows.cli import main

    code: int | str | None = 1
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
    # What ends a process, less taking apart all that was imported, which takes longer than most commands.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(code or 0))


if __name__ == "__main__":
    _serve(sys.argv[1])
    os._exit(0)
