"""Where the contents of attachments are kept, by their SHA-256: files of a folder, or rows on a server."""

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from sqlalchemy import Column, LargeBinary, MetaData, Table, Text

from connectors.database import Database, Where, insert_new, sql

TABLES = MetaData()
ATTACHMENTS = Table("attachments", TABLES, Column("sha2", Text, primary_key=True), Column("content", LargeBinary))


class Contents(Protocol):
    """Contents by their SHA-256, in small hexadecimal digits."""

    def keep(self, contents: Mapping[str, bytes]) -> None:
        """Keep contents, durably; what is there stays."""
        ...

    def get(self, name: str) -> bytes | None:
        """A content, where it is kept."""
        ...

    def remove(self, names: Iterable[str]) -> None:
        """Take contents out."""
        ...


class FolderContents:
    """See `Contents`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, contents: Mapping[str, bytes]) -> None:
        """See `Contents`."""
        for name, content in contents.items():
            path = self._folder / name
            if path.exists():
                continue
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).replace(path)

    def get(self, name: str) -> bytes | None:
        """See `Contents`."""
        path = self._folder / name
        return path.read_bytes() if name.isalnum() and path.is_file() else None

    def remove(self, names: Iterable[str]) -> None:
        """See `Contents`."""
        for name in names:
            (self._folder / name).unlink(missing_ok=True)


class SharedContents:
    """See `Contents`."""

    def __init__(self, where: Where) -> None:
        self._database = Database(where, TABLES)

    def keep(self, contents: Mapping[str, bytes]) -> None:
        """See `Contents`."""
        with self._database.writing() as connection:
            insert_new(connection, ATTACHMENTS, list(contents.items()))

    def get(self, name: str) -> bytes | None:
        """See `Contents`."""
        with self._database.session() as connection:
            query = sql("select content from attachments where sha2 = :name")
            found: bytes | None = connection.execute(query, {"name": name}).scalar_one_or_none()
        return found

    def remove(self, names: Iterable[str]) -> None:
        """See `Contents`."""
        with self._database.deleting() as connection:
            connection.execute(sql("delete from attachments where sha2 in :names", "names"), {"names": list(names)})
