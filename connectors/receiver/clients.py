"""Who may use the receiver: clients with a secret, of which only a hash is kept, and what each may do."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from secrets import token_urlsafe
from threading import Lock

from schemas.errors import InputError, StorageError

SCOPES = ("write", "read-own", "read-all")
_SCHEMA = """
create table if not exists clients (
    name text primary key, secret_hash text not null, scopes text not null, created_at text not null, revoked_at text
)
"""


@dataclass(frozen=True)
class Client:
    """A client by name, and its scopes (of `SCOPES`)."""

    name: str
    scopes: frozenset[str]
    created_at: str = ""
    revoked_at: str | None = None


class Clients:
    """The clients in one SQLite file. Secrets are 256 random bits, so that a plain SHA-256 of one cannot be guessed back."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        with self._errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=60, check_same_thread=False)
            self._connection.execute("pragma journal_mode = wal")
            self._connection.execute(_SCHEMA)

    def add(self, name: str, scopes: frozenset[str]) -> str:
        """Add a client; its secret, which is told this once. InputError for a name that is taken or cannot be."""
        if not name or not name.isascii() or not name.isprintable() or ":" in name or len(name) > 100:
            raise InputError(
                f"{name!r} cannot be a client's name.", "Use up to 100 printable ASCII characters without a colon."
            )
        if not scopes or not scopes <= set(SCOPES):
            raise InputError(f"Scopes are some of {', '.join(SCOPES)}.", "Give --scope once for each.")
        secret = token_urlsafe(32)
        with self._transaction() as connection:
            try:
                connection.execute(
                    "insert into clients values (?, ?, ?, ?, null)",
                    (name, _hash(secret), " ".join(sorted(scopes)), datetime.now(UTC).isoformat(timespec="seconds")),
                )
            except sqlite3.IntegrityError:
                raise InputError(f"There is a client {name!r} already.", "Choose another name.") from None
        return secret

    def all(self) -> list[Client]:
        """Every client, those revoked too."""
        with self._transaction() as connection:
            rows = connection.execute(
                "select name, scopes, created_at, revoked_at from clients order by name"
            ).fetchall()
        return [Client(name, frozenset(scopes.split()), created, revoked) for name, scopes, created, revoked in rows]

    def revoke(self, name: str) -> None:
        """Take away a client's access, at once and for good. InputError where there is none of that name."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._transaction() as connection:
            changed = connection.execute(
                "update clients set revoked_at = ? where name = ? and revoked_at is null", (now, name)
            ).rowcount
        if not changed:
            raise InputError(f"There is no client {name!r} to revoke.", "See: proficio clients list.")

    def find(self, name: str) -> Client | None:
        """The client of that name, where it was not revoked."""
        with self._transaction() as connection:
            row = connection.execute(
                "select scopes from clients where name = ? and revoked_at is null", (name,)
            ).fetchone()
        return Client(name, frozenset(row[0].split())) if row else None

    def verified(self, name: str, secret: str) -> Client | None:
        """The client of that name, where the secret is its own; compared in constant time."""
        with self._transaction() as connection:
            row = connection.execute(
                "select secret_hash, scopes from clients where name = ? and revoked_at is null", (name,)
            ).fetchone()
        kept, scopes = row or (_hash(""), "")
        return Client(name, frozenset(scopes.split())) if compare_digest(kept, _hash(secret)) and row else None

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._errors(), self._lock, self._connection:
            yield self._connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.OperationalError, OSError) as error:
            raise StorageError(
                f"The clients in {self._path} cannot be read or written: {error}", "Check the disk."
            ) from error


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
