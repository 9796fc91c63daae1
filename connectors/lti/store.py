"""What the tool knows of platforms: registrations, its own keys, users and contexts that were launched, in one SQLite file."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from typing import Any, NamedTuple
from uuid import uuid4

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.storage import storage_errors

ANY_DEPLOYMENT = "*"
INVITATION_SECONDS = 86_400
_READY_SECONDS = 86_400  # a new key is published so long before it signs: platforms keep key sets for a while
_KEY_BITS = 2048
_SETUP = """
create table if not exists platforms (
    issuer text, client_id text, name text, auth_url text, token_url text, jwks_url text, token_audience text,
    trust_email integer, deployments text, primary key (issuer, client_id)
);
create table if not exists keys (kid text primary key, pem text, made_at real);
create table if not exists nonces (nonce text primary key, expires_at real);
create table if not exists invitations (secret text primary key, expires_at real);
create table if not exists accounts (
    account text, issuer text, client_id text, sub text, primary key (account, issuer, client_id, sub)
);
create table if not exists contexts (
    issuer text, client_id text, context text, title text, line_items_url text, memberships_url text,
    primary key (issuer, client_id, context)
);
create table if not exists enrolments (
    issuer text, client_id text, context text, sub text, primary key (issuer, client_id, context, sub)
);
create table if not exists line_items (
    issuer text, client_id text, context text, resource text, url text, primary key (issuer, client_id, context, resource)
);
"""


# A launch from a link without grades or members does not take back what another link of the course offered.
_NOTE_CONTEXT = """
insert into contexts values (?, ?, ?, ?, ?, ?) on conflict do update set title = excluded.title,
    line_items_url = coalesce(nullif(excluded.line_items_url, ''), line_items_url),
    memberships_url = coalesce(nullif(excluded.memberships_url, ''), memberships_url)
"""


@dataclass(frozen=True)
class Platform:
    """A registered platform. `deployments` are those it may launch from; `trust_email`: its mail addresses name persons."""

    issuer: str
    client_id: str
    name: str
    auth_url: str
    token_url: str
    jwks_url: str
    token_audience: str = ""
    trust_email: bool = False
    deployments: tuple[str, ...] = ()

    def has(self, deployment: str) -> bool:
        """Whether it may launch from a deployment."""
        return deployment in self.deployments or ANY_DEPLOYMENT in self.deployments


class Context(NamedTuple):
    """A course of a platform, with the addresses of its line items and memberships ("" where it offers none)."""

    issuer: str
    client_id: str
    context: str
    title: str = ""
    line_items_url: str = ""
    memberships_url: str = ""


class Key(NamedTuple):
    """A key of the tool: its id, PEM of the private key."""

    kid: str
    pem: str


class LtiStore:
    """The file. Connections are opened for each use: many threads may have one store."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
        with self._opened() as connection:
            connection.execute("pragma journal_mode = wal")
            connection.executescript(_SETUP)

    def register(self, platform: Platform) -> None:
        """Add a platform, or replace what was known of it."""
        with self._opened() as connection:
            connection.execute(
                "insert or replace into platforms values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (platform.issuer, platform.client_id, platform.name, platform.auth_url, platform.token_url, platform.jwks_url,
                 platform.token_audience, int(platform.trust_email), json.dumps(platform.deployments)),
            )  # fmt: skip

    def remove(self, issuer: str, client_id: str) -> bool:
        """Forget a platform and all that was launched from it; whether there was one."""
        with self._opened() as connection:
            for table in ("accounts", "contexts", "enrolments", "line_items"):
                connection.execute(f"delete from {table} where issuer = ? and client_id = ?", (issuer, client_id))  # noqa: S608
            done = connection.execute("delete from platforms where issuer = ? and client_id = ?", (issuer, client_id))
            return done.rowcount > 0

    def platforms(self) -> list[Platform]:
        """All platforms."""
        with self._opened() as connection:
            connection.row_factory = sqlite3.Row
            rows = connection.execute("select * from platforms order by issuer, client_id").fetchall()
        return [Platform(**{**row, "deployments": tuple(json.loads(row["deployments"]))}) for row in map(dict, rows)]

    def find(self, issuer: str, client_id: str | None) -> Platform | None:
        """The platform of an issuer, and of a client id where the issuer has several."""
        found = [one for one in self.platforms() if one.issuer == issuer and client_id in (None, "", one.client_id)]
        return found[0] if len(found) == 1 else None

    def invite(self) -> str:
        """A secret with which one platform may register itself, within a day."""
        secret = token_urlsafe(32)
        with self._opened() as connection:
            connection.execute(
                "insert into invitations values (?, ?)", (_hash(secret), time.time() + INVITATION_SECONDS)
            )
        return secret

    def take_invitation(self, secret: str) -> bool:
        """Whether an invitation holds; it does once."""
        with self._opened() as connection:
            done = connection.execute(
                "delete from invitations where secret = ? and expires_at > ?", (_hash(secret), time.time())
            )
            return done.rowcount > 0

    def take_nonce(self, nonce: str, expires_at: float) -> bool:
        """Whether a nonce was never taken before."""
        with self._opened() as connection:
            connection.execute("delete from nonces where expires_at < ?", (time.time(),))
            return connection.execute("insert or ignore into nonces values (?, ?)", (nonce, expires_at)).rowcount > 0

    def published_keys(self) -> list[Key]:
        """The keys that are published, newest first; one is made where there is none."""
        with self._opened() as connection:
            rows = connection.execute("select kid, pem from keys order by made_at desc, kid").fetchall()
        return [Key(*row) for row in rows] or [self.add_key()]

    def signing_key(self) -> Key:
        """The newest key that was published long enough, else the oldest."""
        self.published_keys()
        with self._opened() as connection:
            row = connection.execute(
                "select kid, pem from keys order by made_at <= ? desc, case when made_at <= ? then -made_at else made_at end",
                (time.time() - _READY_SECONDS, time.time() - _READY_SECONDS),
            ).fetchone()
        return Key(*row)

    def add_key(self) -> Key:
        """Make a further key, which signs from tomorrow on."""
        private = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        key = Key(str(uuid4()), pem)
        with self._opened() as connection:
            connection.execute("insert into keys values (?, ?, ?)", (*key, time.time()))
        return key

    def drop_keys(self) -> int:
        """Withdraw the keys that are older than the signing one; how many."""
        signing = self.signing_key().kid
        with self._opened() as connection:
            return connection.execute(
                "delete from keys where made_at < (select made_at from keys where kid = ?)", (signing,)
            ).rowcount

    def note_launch(self, context: Context, sub: str, accounts: list[str], learns: bool) -> None:
        """Note who launched from which course, the accounts that they are known by, and whether they learn there."""
        with self._opened() as connection:
            connection.execute(_NOTE_CONTEXT, context)
            for account in accounts:
                connection.execute("insert or ignore into accounts values (?, ?, ?, ?)", (account, *context[:2], sub))
            if learns:
                connection.execute("insert or ignore into enrolments values (?, ?, ?, ?)", (*context[:3], sub))

    def forget(self, accounts: list[str]) -> None:
        """Take out the users whom one of these accounts is of, with all that is known of them."""
        with self._opened() as connection:
            users = connection.execute(
                "select distinct issuer, client_id, sub from accounts where account in (select value from json_each(?))",
                (json.dumps(accounts),),
            ).fetchall()
            for table in ("accounts", "enrolments"):
                connection.executemany(f"delete from {table} where issuer = ? and client_id = ? and sub = ?", users)  # noqa: S608

    def known_of(self, accounts: list[str]) -> list[dict[str, Any]]:
        """What is known of the users whom one of these accounts is of: who they are on which platform, and in which courses."""
        with self._opened() as connection:
            connection.row_factory = sqlite3.Row
            rows = connection.execute(
                "select distinct accounts.*, context, title from accounts left join enrolments using (issuer, client_id, sub) "
                "left join contexts using (issuer, client_id, context) where account in (select value from json_each(?))",
                (json.dumps(accounts),),
            ).fetchall()
        return [dict(row) for row in rows]

    def context(self, issuer: str, client_id: str, context: str) -> Context | None:
        """A course that was launched from."""
        with self._opened() as connection:
            row = connection.execute(
                "select * from contexts where issuer = ? and client_id = ? and context = ?",
                (issuer, client_id, context),
            ).fetchone()
        return Context(*row) if row else None

    def learners(self, context: Context) -> list[tuple[str, list[str]]]:
        """Who opened their page from a course to learn: their id there, and the accounts that they are known by."""
        with self._opened() as connection:
            rows = connection.execute(
                "select sub, json_group_array(account) from enrolments join accounts using (issuer, client_id, sub) "
                "where issuer = ? and client_id = ? and context = ? group by sub", context[:3],
            ).fetchall()  # fmt: skip
        return [(str(sub), json.loads(accounts)) for sub, accounts in rows]

    def graded_accounts(self) -> list[str]:
        """The accounts of all who learn in a course with line items."""
        with self._opened() as connection:
            rows = connection.execute(
                "select distinct account from accounts join enrolments using (issuer, client_id, sub) "
                "join contexts using (issuer, client_id, context) where contexts.line_items_url <> ''"
            ).fetchall()
        return [str(account) for (account,) in rows]

    def graded_in(self, accounts: list[str]) -> list[tuple[Context, str]]:
        """The courses with line items in which someone with these accounts learns, each with who they are there."""
        with self._opened() as connection:
            rows = connection.execute(
                "select distinct contexts.*, enrolments.sub from accounts "
                "join enrolments using (issuer, client_id, sub) join contexts using (issuer, client_id, context) "
                "where contexts.line_items_url <> '' and accounts.account in (select value from json_each(?))",
                (json.dumps(accounts),),
            ).fetchall()
        return [(Context(*row[:6]), str(row[6])) for row in rows]

    def line_item(self, context: Context, resource: str) -> str | None:
        """The address of a line item that is known."""
        with self._opened() as connection:
            row = connection.execute(
                "select url from line_items where issuer = ? and client_id = ? and context = ? and resource = ?",
                (*context[:3], resource),
            ).fetchone()
        return str(row[0]) if row else None

    def note_line_item(self, context: Context, resource: str, url: str) -> None:
        """Keep the address of a line item."""
        with self._opened() as connection:
            connection.execute(
                "insert or replace into line_items values (?, ?, ?, ?, ?)", (*context[:3], resource, url)
            )

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=30)) as connection, connection:
            connection.execute("pragma secure_delete = on")
            yield connection


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def as_json(platform: Platform) -> dict[str, Any]:
    """A platform as plain values."""
    return {
        "issuer": platform.issuer, "client_id": platform.client_id, "name": platform.name,
        "deployments": " ".join(platform.deployments), "trust_email": platform.trust_email,
    }  # fmt: skip
