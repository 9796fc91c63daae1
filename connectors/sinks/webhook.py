"""Levels that changed, as CloudEvents 1.0 in JSON, posted to an address and signed as Standard Webhooks 1.0 has it."""

import base64
import hmac
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from connectors.http import Pace, api
from schemas.errors import InputError
from transforms.level_events import level_event


@dataclass(frozen=True)
class Webhook:
    """One address that hears of changes, and the secret that it checks signatures with."""

    name: str
    url: str
    secret: str
    pace: Pace = field(default_factory=Pace)


def deliver(settings: Webhook, changes: Iterable[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Post one event for each change, in their order."""
    with api(settings.url, pace=settings.pace) as remote:
        for change in changes:
            event_id, body = level_event(change, settings.name)
            try:
                remote.send(body, _headers(settings.secret, event_id, body))
                yield change, None
            except InputError as refusal:  # 400 and the like: this one is not wanted, the next may be
                yield change, str(refusal)


def _headers(secret: str, event_id: str, body: bytes) -> dict[str, str]:
    """The headers of https://www.standardwebhooks.com: the signature is of id, timestamp (seconds since 1970) and body."""
    moment = str(int(time.time()))
    signed = hmac.new(secret.encode(), f"{event_id}.{moment}.".encode() + body, sha256).digest()
    return {
        "Content-Type": "application/cloudevents+json; charset=utf-8",
        "webhook-id": event_id,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }
