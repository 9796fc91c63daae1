"""A backup as one file: tar under Zstandard, with the hash of each file in a list at the end."""

import io
import json
import os
import sqlite3
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

import zstandard

from connectors.storage import storage_errors
from schemas.errors import InputError

_LIST = "backup.json"
_AT_ONCE = 1 << 20


class Archive:
    """An archive that is being written."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.hashes: dict[str, str] = {}

    def add(self, path: Path, name: str) -> None:
        """Add a file, which nobody writes meanwhile."""
        info = self._tar.gettarinfo(path, name)
        with path.open("rb") as file:
            reader = _Hashed(file)
            self._tar.addfile(info, reader)
        self.hashes[name] = reader.digest()

    def add_sqlite(self, path: Path, name: str) -> None:
        """Add a SQLite file as of one moment, while others write it."""
        copy = path.with_name(f"{path.name}.{os.getpid()}.copy")
        try:
            with closing(sqlite3.connect(path, timeout=60)) as source, closing(sqlite3.connect(copy)) as target:
                source.backup(target)
            copy.chmod(path.stat().st_mode)
            self.add(copy, name)
        finally:
            copy.unlink(missing_ok=True)


@contextmanager
def written(path: Path, about: Mapping[str, Any]) -> Iterator[Archive]:
    """An archive, for its owner alone to read. It has its name once it is whole; `about` goes into its list."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with (
                os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file,
                zstandard.ZstdCompressor(level=1).stream_writer(file, closefd=False) as compressed,
            ):
                with tarfile.open(fileobj=compressed, mode="w|") as tar:
                    archive = Archive(tar)
                    yield archive
                    told = json.dumps({**about, "files": archive.hashes}, indent=1).encode()
                    info = tarfile.TarInfo(_LIST)
                    info.size = len(told)
                    tar.addfile(info, io.BytesIO(told))
                compressed.flush(zstandard.FLUSH_FRAME)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def check(path: Path, into: Path | None = None) -> dict[str, Any]:
    """Read an archive to its end, and write its files `into` a folder where one is given. What its list says.

    InputError where it is damaged or cut, or a file is not as it was.
    """
    found: dict[str, str] = {}
    told: dict[str, Any] = {}
    try:
        with (
            path.open("rb") as file,
            zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as plain,
            tarfile.open(fileobj=plain, mode="r|") as tar,
        ):
            for member in tar:
                content = tar.extractfile(member)
                if content is None:
                    continue
                if member.name == _LIST:
                    told = json.loads(content.read())
                else:
                    found[member.name] = _copy(content, into and _inside(into, member.name), member.mode)
    except FileNotFoundError as error:
        raise InputError(f"There is no backup {path}.", "Give the file that proficio backup wrote.") from error
    except (tarfile.TarError, zstandard.ZstdError, EOFError, ValueError) as error:
        raise InputError(f"{path} is no whole backup: {error}.", "Take another one.") from error
    if not told:
        raise InputError(f"{path} is no whole backup: its list is missing.", "Take another one.")
    wrong = sorted(name for name in {*found, *told["files"]} if found.get(name) != told["files"].get(name))
    if wrong:
        raise InputError(f"{path} is damaged: {wrong[0]} is not as it was.", "Take another one.")
    return told


def _inside(folder: Path, name: str) -> Path:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"{name} lies outside")
    return path


def _copy(content: IO[bytes], path: Path | None, mode: int) -> str:
    reader = _Hashed(content)
    if path is None:
        while reader.read(_AT_ONCE):
            pass
        return reader.digest()
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            while piece := reader.read(_AT_ONCE):
                file.write(piece)
        path.chmod(mode)
    return reader.digest()


class _Hashed:
    """A file that is hashed as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._hash = file, sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self._hash.update(piece)
        return piece

    def digest(self) -> str:
        return self._hash.hexdigest()
