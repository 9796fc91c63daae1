"""Webhooks of GitHub: deliveries are believed by their signature, taken once, and answered when they are durable."""

import hmac
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Lock

import orjson

from connectors.receiver.asking import Refused
from schemas.errors import StorageError
from schemas.xapi import Statement
from transforms import github

_KEPT_SECONDS = 400 * 86_400
_SCHEMA = "create table if not exists deliveries (what text primary key, received_at integer not null)"


class Deliveries:
    """What was delivered, by its id and by its signature, in one SQLite file: neither is taken a second time."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, Lock()
        try:
            with closing(self._connect()) as connection, connection:
                connection.execute("pragma journal_mode = wal")
                connection.execute(_SCHEMA)
                connection.execute("delete from deliveries where received_at < ?", [int(time.time()) - _KEPT_SECONDS])
        except sqlite3.Error as error:
            raise self._error(error) from error

    def seen(self, *what: str) -> bool:
        """Whether one of these was noted."""
        asked = orjson.dumps(what).decode()
        query = "select 1 from deliveries where what in (select value from json_each(?)) limit 1"
        try:
            with self._lock, closing(self._connect()) as connection:
                return connection.execute(query, [asked]).fetchone() is not None
        except sqlite3.Error as error:
            raise self._error(error) from error

    def note(self, *what: str) -> None:
        """Note these."""
        now = int(time.time())
        try:
            with self._lock, closing(self._connect()) as connection, connection:
                connection.executemany("insert or ignore into deliveries values (?, ?)", [(one, now) for one in what])
        except sqlite3.Error as error:
            raise self._error(error) from error

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=60)

    def _error(self, error: Exception) -> StorageError:
        return StorageError(f"The deliveries in {self._path} cannot be read or written: {error}", "Check the disk.")


@dataclass(frozen=True)
class GitHubWebhook:
    """The secret that GitHub signs deliveries with, and what was delivered."""

    secret: str
    deliveries: Deliveries


def statements(webhook: GitHubWebhook, headers: dict[str, str], body: bytes) -> tuple[list[Statement], tuple[str, str]]:
    """The statements of a delivery, and what to note once they are durable. Refused where it is not GitHub's, or a replay.

    The signature is HMAC-SHA256 of the body (https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries).
    It does not cover the headers, so a replay under another delivery id is known by its signature.
    """
    given = headers.get("x-hub-signature-256", "")
    expected = "sha256=" + hmac.new(webhook.secret.encode(), body, sha256).hexdigest()
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise Refused(401, "X-Hub-Signature-256 is not the body's, by the secret that is set here")
    delivery, event = headers.get("x-github-delivery", ""), headers.get("x-github-event", "")
    if not delivery or not event:
        raise Refused(400, "a delivery has the headers X-GitHub-Delivery and X-GitHub-Event")
    names = (f"id {delivery[:100]}", f"signature {given}")
    if webhook.deliveries.seen(*names):
        raise Refused(409, "this delivery was received before")
    try:
        payload = orjson.loads(body)
        if not isinstance(payload, dict):
            raise TypeError
        return github.delivered(event, payload), names
    except orjson.JSONDecodeError:
        raise Refused(400, "the body is not JSON: set the webhook's content type to application/json") from None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Refused(422, f"the body is no payload of the event {event[:50]!r} as GitHub documents it") from None
