"""What the tool knows of platforms: registrations, its own keys, users and contexts that were launched."""

import json
import time
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import groupby
from operator import itemgetter
from secrets import token_urlsafe
from typing import Any, NamedTuple
from uuid import uuid4

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import Column, Double, Integer, MetaData, Table, Text
from sqlalchemy.types import TypeEngine

from connectors.database import Database, Where, found, insert_new, sql

ANY_DEPLOYMENT = "*"
INVITATION_SECONDS = 86_400
_READY_SECONDS = 86_400  # a new key is published so long before it signs: platforms keep key sets for a while
_KEY_BITS = 2048
_OF_PLATFORM = "issuer = :issuer and client_id = :client_id"
_OF_CONTEXT = f"{_OF_PLATFORM} and context = :context"
TABLES = MetaData()


def _table(name: str, key: str, rest: str = "", **others: TypeEngine[Any]) -> Table:
    """A table of text columns, the first of which are the key, and of others."""
    keys = [Column(one, Text, primary_key=True) for one in key.split()]
    texts = [Column(one, Text) for one in rest.split()]
    return Table(name, TABLES, *keys, *texts, *(Column(one, kind) for one, kind in others.items()))


_PLATFORMS = Table(
    "platforms", TABLES, Column("issuer", Text, primary_key=True), Column("client_id", Text, primary_key=True),
    Column("name", Text), Column("auth_url", Text), Column("token_url", Text), Column("jwks_url", Text),
    Column("token_audience", Text), Column("trust_email", Integer), Column("deployments", Text),
)  # fmt: skip
_KEYS = _table("keys", "kid", "pem", made_at=Double())
_NONCES = _table("nonces", "nonce", expires_at=Double())
_INVITATIONS = _table("invitations", "secret", expires_at=Double())
_ACCOUNTS = _table("accounts", "account issuer client_id sub")
_CONTEXTS = _table("contexts", "issuer client_id context", "title line_items_url memberships_url")
_ENROLMENTS = _table("enrolments", "issuer client_id context sub")
_LINE_ITEMS = _table("line_items", "issuer client_id context resource", "url")
# A launch from a link without grades or members does not take back what another link of the course offered.
_NOTE_CONTEXT = """
insert into contexts (issuer, client_id, context, title, line_items_url, memberships_url)
values (:issuer, :client_id, :context, :title, :line_items_url, :memberships_url)
on conflict (issuer, client_id, context) do update set title = excluded.title,
    line_items_url = coalesce(nullif(excluded.line_items_url, ''), contexts.line_items_url),
    memberships_url = coalesce(nullif(excluded.memberships_url, ''), contexts.memberships_url)
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
    """What is known, in a file or on a server. Many threads may have one store."""

    def __init__(self, where: Where) -> None:
        self._database = Database(where, TABLES)

    def register(self, platform: Platform) -> None:
        """Add a platform, or replace what was known of it."""
        row = {
            **asdict(platform),
            "trust_email": int(platform.trust_email),
            "deployments": json.dumps(platform.deployments),
        }
        with self._database.writing() as connection:
            connection.execute(sql(f"delete from platforms where {_OF_PLATFORM}"), row)  # noqa: S608
            connection.execute(_PLATFORMS.insert(), row)

    def remove(self, issuer: str, client_id: str) -> bool:
        """Forget a platform and all that was launched from it; whether there was one."""
        given = {"issuer": issuer, "client_id": client_id}
        with self._database.deleting() as connection:
            for table in ("accounts", "contexts", "enrolments", "line_items"):
                connection.execute(sql(f"delete from {table} where {_OF_PLATFORM}"), given)  # noqa: S608
            return connection.execute(sql(f"delete from platforms where {_OF_PLATFORM}"), given).rowcount > 0  # noqa: S608

    def platforms(self) -> list[Platform]:
        """All platforms."""
        with self._database.session() as connection:
            rows = connection.execute(_PLATFORMS.select().order_by("issuer", "client_id")).mappings().all()
        return [Platform(**{**row, "deployments": tuple(json.loads(row["deployments"]))}) for row in rows]

    def find(self, issuer: str, client_id: str | None) -> Platform | None:
        """The platform of an issuer, and of a client id where the issuer has several."""
        found = [one for one in self.platforms() if one.issuer == issuer and client_id in (None, "", one.client_id)]
        return found[0] if len(found) == 1 else None

    def invite(self) -> str:
        """A secret with which one platform may register itself, within a day."""
        secret = token_urlsafe(32)
        with self._database.writing() as connection:
            given = {"secret": _hash(secret), "expires_at": time.time() + INVITATION_SECONDS}
            connection.execute(_INVITATIONS.insert(), given)
        return secret

    def take_invitation(self, secret: str) -> bool:
        """Whether an invitation holds; it does once."""
        query = sql("delete from invitations where secret = :secret and expires_at > :now")
        with self._database.writing() as connection:
            return connection.execute(query, {"secret": _hash(secret), "now": time.time()}).rowcount > 0

    def take_nonce(self, nonce: str, expires_at: float) -> bool:
        """Whether a nonce was never taken before."""
        with self._database.writing() as connection:
            connection.execute(sql("delete from nonces where expires_at < :now"), {"now": time.time()})
            return insert_new(connection, _NONCES, [(nonce, expires_at)]) > 0

    def published_keys(self) -> list[Key]:
        """The keys that are published, newest first; one is made where there is none."""
        with self._database.session() as connection:
            rows = list(found(connection, sql("select kid, pem from keys order by made_at desc, kid")))
        return [Key(*row) for row in rows] or [self.add_key()]

    def signing_key(self) -> Key:
        """The newest key that was published long enough, else the oldest."""
        self.published_keys()
        query = sql(
            "select kid, pem from keys "
            "order by made_at <= :ready desc, case when made_at <= :ready then -made_at else made_at end"
        )
        with self._database.session() as connection:
            row = next(found(connection, query, {"ready": time.time() - _READY_SECONDS}))
        return Key(*row)

    def add_key(self) -> Key:
        """Make a further key, which signs from tomorrow on."""
        private = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        key = Key(str(uuid4()), pem)
        with self._database.writing() as connection:
            connection.execute(_KEYS.insert(), {**key._asdict(), "made_at": time.time()})
        return key

    def drop_keys(self) -> int:
        """Withdraw the keys that are older than the signing one; how many."""
        query = sql("delete from keys where made_at < (select made_at from keys where kid = :kid)")
        signing = self.signing_key().kid
        with self._database.deleting() as connection:
            return connection.execute(query, {"kid": signing}).rowcount

    def note_launch(self, context: Context, sub: str, accounts: list[str], learns: bool) -> None:
        """Note who launched from which course, the accounts that they are known by, and whether they learn there."""
        platform = (context.issuer, context.client_id)
        with self._database.writing() as connection:
            connection.execute(sql(_NOTE_CONTEXT), context._asdict())
            insert_new(connection, _ACCOUNTS, [(account, *platform, sub) for account in dict.fromkeys(accounts)])
            if learns:
                insert_new(connection, _ENROLMENTS, [(*platform, context.context, sub)])

    def forget(self, accounts: list[str]) -> None:
        """Take out the users whom one of these accounts is of, with all that is known of them."""
        query = sql("select distinct issuer, client_id, sub from accounts where account in :accounts", "accounts")
        if not self._database.exists():
            return
        with self._database.deleting() as connection:
            users = connection.execute(query, {"accounts": accounts}).mappings().all()
            for table in ("accounts", "enrolments"):
                for user in users:
                    connection.execute(sql(f"delete from {table} where {_OF_PLATFORM} and sub = :sub"), dict(user))  # noqa: S608

    def known_of(self, accounts: list[str]) -> list[dict[str, Any]]:
        """What is known of the users whom one of these accounts is of: who they are on which platform, and in which courses."""
        query = sql(
            "select distinct account, issuer, client_id, sub, context, title "
            "from accounts left join enrolments using (issuer, client_id, sub) "
            "left join contexts using (issuer, client_id, context) where account in :accounts",
            "accounts",
        )
        if not self._database.exists():
            return []
        with self._database.session() as connection:
            return [dict(row) for row in connection.execute(query, {"accounts": accounts}).mappings()]

    def context(self, issuer: str, client_id: str, context: str) -> Context | None:
        """A course that was launched from."""
        query = sql(f"select * from contexts where {_OF_CONTEXT}")  # noqa: S608
        with self._database.session() as connection:
            row = next(found(connection, query, {"issuer": issuer, "client_id": client_id, "context": context}), None)
        return Context(*row) if row else None

    def learners(self, context: Context) -> list[tuple[str, list[str]]]:
        """Who opened their page from a course to learn: their id there, and the accounts that they are known by."""
        query = sql(
            "select sub, account from enrolments join accounts using (issuer, client_id, sub) "  # noqa: S608
            f"where {_OF_CONTEXT} order by sub, account"
        )
        with self._database.session() as connection:
            rows = list(found(connection, query, context._asdict()))
        return [(sub, [account for _, account in some]) for sub, some in groupby(rows, key=itemgetter(0))]

    def graded_accounts(self) -> list[str]:
        """The accounts of all who learn in a course with line items."""
        query = sql(
            "select distinct account from accounts join enrolments using (issuer, client_id, sub) "
            "join contexts using (issuer, client_id, context) where contexts.line_items_url <> ''"
        )
        with self._database.session() as connection:
            return [str(account) for (account,) in connection.execute(query)]

    def graded_in(self, accounts: list[str]) -> list[tuple[Context, str]]:
        """The courses with line items in which someone with these accounts learns, each with who they are there."""
        query = sql(
            "select distinct contexts.*, enrolments.sub from accounts "
            "join enrolments using (issuer, client_id, sub) join contexts using (issuer, client_id, context) "
            "where contexts.line_items_url <> '' and accounts.account in :accounts",
            "accounts",
        )
        with self._database.session() as connection:
            rows = list(found(connection, query, {"accounts": accounts}))
        return [(Context(*row[:6]), str(row[6])) for row in rows]

    def line_item(self, context: Context, resource: str) -> str | None:
        """The address of a line item that is known."""
        query = sql(f"select url from line_items where {_OF_CONTEXT} and resource = :resource")  # noqa: S608
        with self._database.session() as connection:
            row = connection.execute(query, {**context._asdict(), "resource": resource}).fetchone()
        return str(row[0]) if row else None

    def note_line_item(self, context: Context, resource: str, url: str) -> None:
        """Keep the address of a line item."""
        query = sql(
            "insert into line_items values (:issuer, :client_id, :context, :resource, :url) "
            "on conflict (issuer, client_id, context, resource) do update set url = excluded.url"
        )
        with self._database.writing() as connection:
            connection.execute(query, {**context._asdict(), "resource": resource, "url": url})


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def as_json(platform: Platform) -> dict[str, Any]:
    """A platform as plain values."""
    return {
        "issuer": platform.issuer, "client_id": platform.client_id, "name": platform.name,
        "deployments": " ".join(platform.deployments), "trust_email": platform.trust_email,
    }  # fmt: skip
