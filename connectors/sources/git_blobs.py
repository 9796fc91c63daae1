"""Contents of files in a Git repository, by their object ids."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

MOST_BYTES = 2_000_000  # of a file that is read


class Blobs:
    """Two processes of `git cat-file` that are asked one object after the other: how large it is, and what it holds."""

    def __init__(self, sizes: "subprocess.Popen[bytes]", contents: "subprocess.Popen[bytes]") -> None:
        self._sizes, self._contents = sizes, contents

    def size(self, sha: str) -> int | None:
        """Bytes of a blob; None where it is not here, as in a shallow or partial clone."""
        header = _ask(self._sizes, sha)
        return int(header[2]) if len(header) == 3 and header[1] == b"blob" else None

    def read(self, sha: str, most: int = MOST_BYTES) -> bytes | None:
        """What a blob holds; None where it is not here or larger than `most`."""
        size = self.size(sha)
        if size is None or size > most:
            return None
        _ask(self._contents, sha)
        stream = cast(BinaryIO, self._contents.stdout)
        content = stream.read(size)
        stream.read(1)  # the line's end
        return content


@contextmanager
def blobs(command: list[str], environment: dict[str, str]) -> Iterator[Blobs]:
    """The blobs of the repository that `command` (git and its options) works in."""
    with (
        _running([*command, "cat-file", "--batch-check"], environment) as sizes,
        _running([*command, "cat-file", "--batch"], environment) as contents,
    ):
        yield Blobs(sizes, contents)


@contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _ask(process: "subprocess.Popen[bytes]", sha: str) -> list[bytes]:
    stdin, stdout = cast(BinaryIO, process.stdin), cast(BinaryIO, process.stdout)
    stdin.write(sha.encode() + b"\n")
    stdin.flush()
    return stdout.readline().split()


def pointer(content: bytes) -> bool:
    """Whether a file is a pointer of Git LFS (its specification: the first line names the version)."""
    return content.startswith((b"version https://git-lfs.github.com/spec/", b"version https://hawser.github.com/spec/"))
