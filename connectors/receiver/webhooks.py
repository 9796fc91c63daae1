"""Webhooks of GitHub: deliveries are believed by their signature, taken once, and answered when they are durable."""

import hmac
import time
from dataclasses import dataclass
from hashlib import sha256

import orjson
from sqlalchemy import BigInteger, Column, MetaData, Table, Text

from connectors.database import Database, Where, insert_new, sql
from connectors.receiver.asking import Refused
from schemas.xapi import Statement
from transforms import github

_KEPT_SECONDS = 400 * 86_400
TABLES = MetaData()
_DELIVERIES = Table(
    "deliveries", TABLES, Column("what", Text, primary_key=True), Column("received_at", BigInteger, nullable=False)
)


class Deliveries:
    """What was delivered, by its id and by its signature: neither is taken a second time."""

    def __init__(self, where: Where) -> None:
        self._database = Database(where, TABLES)
        with self._database.writing() as connection:
            connection.execute(
                sql("delete from deliveries where received_at < :oldest"), {"oldest": int(time.time()) - _KEPT_SECONDS}
            )

    def seen(self, *what: str) -> bool:
        """Whether one of these was noted."""
        query = sql("select 1 from deliveries where what in :what limit 1", "what")
        with self._database.session() as connection:
            return connection.execute(query, {"what": what}).fetchone() is not None

    def note(self, *what: str) -> None:
        """Note these."""
        now = int(time.time())
        with self._database.writing() as connection:
            insert_new(connection, _DELIVERIES, [(one, now) for one in what])


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
