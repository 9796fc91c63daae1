"""Who may use the receiver: clients with a secret, of which only a hash is kept, and what each may do."""

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from hmac import compare_digest
from secrets import token_urlsafe

from sqlalchemy import Column, MetaData, Table, Text

from connectors.database import Database, Where, found, insert_new, sql
from schemas.errors import InputError

SCOPES = ("write", "read-own", "read-all")
TABLES = MetaData()
_CLIENTS = Table(
    "clients", TABLES, Column("name", Text, primary_key=True), Column("secret_hash", Text, nullable=False),
    Column("scopes", Text, nullable=False), Column("created_at", Text, nullable=False), Column("revoked_at", Text),
)  # fmt: skip


@dataclass(frozen=True)
class Client:
    """A client by name, and its scopes (of `SCOPES`)."""

    name: str
    scopes: frozenset[str]
    created_at: str = ""
    revoked_at: str | None = None


class Clients:
    """The clients. Secrets are 256 random bits, so that a plain SHA-256 of one cannot be guessed back."""

    def __init__(self, where: Where) -> None:
        self._database = Database(where, TABLES, kept_open=True)

    def add(self, name: str, scopes: frozenset[str]) -> str:
        """Add a client; its secret, which is told this once. InputError for a name that is taken or cannot be."""
        if not name or not name.isascii() or not name.isprintable() or ":" in name or len(name) > 100:
            raise InputError(
                f"{name!r} cannot be a client's name.", "Use up to 100 printable ASCII characters without a colon."
            )
        if not scopes or not scopes <= set(SCOPES):
            raise InputError(f"Scopes are some of {', '.join(SCOPES)}.", "Give --scope once for each.")
        secret, now = token_urlsafe(32), datetime.now(UTC).isoformat(timespec="seconds")
        row = (name, _hash(secret), " ".join(sorted(scopes)), now, None)
        with self._database.writing() as connection:
            if not insert_new(connection, _CLIENTS, [row]):
                raise InputError(f"There is a client {name!r} already.", "Choose another name.")
        return secret

    def all(self) -> list[Client]:
        """Every client, those revoked too."""
        query = sql("select name, scopes, created_at, revoked_at from clients order by name")
        with self._database.session() as connection:
            rows = list(found(connection, query))
        return [Client(name, frozenset(scopes.split()), created, revoked) for name, scopes, created, revoked in rows]

    def revoke(self, name: str) -> None:
        """Take away a client's access, at once and for good. InputError where there is none of that name."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        query = sql("update clients set revoked_at = :now where name = :name and revoked_at is null")
        with self._database.writing() as connection:
            changed = connection.execute(query, {"now": now, "name": name}).rowcount
        if not changed:
            raise InputError(f"There is no client {name!r} to revoke.", "See: proficio clients list.")

    def find(self, name: str) -> Client | None:
        """The client of that name, where it was not revoked."""
        row = self._standing(name)
        return Client(name, frozenset(row[1].split())) if row else None

    def verified(self, name: str, secret: str) -> Client | None:
        """The client of that name, where the secret is its own; compared in constant time."""
        row = self._standing(name)
        kept, scopes = row or (_hash(""), "")
        return Client(name, frozenset(scopes.split())) if compare_digest(kept, _hash(secret)) and row else None

    def close(self) -> None:
        """Release the file."""
        self._database.close()

    def _standing(self, name: str) -> tuple[str, str] | None:
        query = sql("select secret_hash, scopes from clients where name = :name and revoked_at is null")
        with self._database.session() as connection:
            row = connection.execute(query, {"name": name}).fetchone()
        return (row[0], row[1]) if row else None


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
