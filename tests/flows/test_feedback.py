"""Feedback: each changed level is told once, whatever is killed when."""

import base64
import hmac
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest

from connectors.ledger import Ledger
from flows import erasing
from flows.feedback import Told, due, feedback, refused
from flows.opening import event_log
from flows.persons import person_of
from flows.publish import publish_live
from flows.settings import Settings
from flows.sink_settings import SinksSettings, WebhookSettings
from schemas.errors import InputError, SettingsError, UnavailableError
from schemas.records import LEVELS
from tests.graded import CALIBRATION, answered, voiding
from tests.home import GOOD, Home
from tests.http_server import Answer, HttpServer
from tests.pipeline import Pipeline


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return Pipeline.at(tmp_path_factory.mktemp("feedback"), CALIBRATION)


def take(pipeline: Pipeline, statements: list[dict[str, Any]]) -> None:
    pipeline.take(statements)
    publish_live(pipeline.settings)


def told(pipeline: Pipeline) -> list[tuple[str, dict[str, Any] | None]]:
    """Every record of the topic, in the order of appending within a partition."""
    with event_log(pipeline.settings) as log:
        return [
            (str(record.key), orjson.loads(record.value) if record.value else None)
            for partition, offsets in log.offsets(LEVELS).items()
            for record in log.read(LEVELS, partition, *offsets)
        ]


def test_what_changed_is_told_once_and_what_is_gone_is_taken_back(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = [
        answered(n, person, "data-literacy", 2, 1, n)
        for person in range(3)
        for n in range(10 * person, 10 * person + 6)
    ]
    take(pipeline, pieces)
    assert len(due(pipeline.settings)) == 3
    assert told(pipeline) == []  # a dry run tells nothing
    with monkeypatch.context() as killed:  # between the record and the ledger
        killed.setattr(Ledger, "note", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            feedback(pipeline.settings)
    assert feedback(pipeline.settings) == [Told(LEVELS, 3)]
    assert feedback(pipeline.settings) == [Told(LEVELS)]
    records = told(pipeline)
    assert len({key for key, _ in records}) == 3
    first = records[0][1]
    assert first
    assert first["level"] >= 2
    assert len(first["p_at_least"]) == 4
    assert first["competency"] == "data-literacy"
    take(pipeline, [answered(100 + n, 0, "data-literacy", 4, 1, 300 + n, activity=10 + n) for n in range(20)])
    [change] = due(pipeline.settings)
    assert change["reported_level"] > change["told_level"]
    assert feedback(pipeline.settings) == [Told(LEVELS, 1)]
    take(pipeline, [voiding(900 + n, one["id"]) for n, one in enumerate(pieces[-6:])])
    assert feedback(pipeline.settings) == [Told(LEVELS, 0, 1)]
    newest = dict(told(pipeline))
    assert sum(value is None for value in newest.values()) == 1


def test_more_levels_than_fit_at_once_are_told_piece_by_piece(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.ledger._AT_ONCE", 3)
    take(
        pipeline,
        [
            answered(1000 + 10 * person + n, 50 + person, "programming-skills", 2, 1, n)
            for person in range(10)
            for n in range(6)
        ],
    )
    before = len(told(pipeline))
    expected = len(due(pipeline.settings))
    assert expected >= 10
    assert feedback(pipeline.settings) == [Told(LEVELS, expected)]
    assert len(told(pipeline)) == before + expected


def test_it_is_a_command_and_says_what_is_missing(home: Home, tmp_path: Path) -> None:
    assert "Run proficio estimate" in home("feedback", expect=4)
    lines = [{**GOOD, "object": {"id": f"https://lms.example.org/data-literacy/intermediate/{n}"}} for n in range(6)]
    home("ingest", "-", stdin=b"\n".join(map(orjson.dumps, lines)))
    for step in ("land", "estimate", "publish"):
        home(step)
    assert "data-literacy" in home("feedback", "--dry-run")
    assert "competency.levels: 1 levels were told, 0 taken back, 0 refused" in home("feedback")
    assert "Nothing is to be told" in home("feedback", "--dry-run")


def test_without_levels_there_is_nothing_to_tell(pipeline: Pipeline, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no published levels"):
        feedback(pipeline.settings.model_copy(update={"home": tmp_path}))


class Listener:
    """Hears webhooks as https://www.standardwebhooks.com describes it; `refuse` is what it answers first."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.refuse: list[Answer] = []
        self._server = HttpServer(self._hear)
        self.url, self.close = f"{self._server.url}/levels", self._server.close

    def _hear(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        assert path == "/levels"
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.new(SECRET.encode(), signed, sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        assert abs(time.time() - int(headers["webhook-timestamp"])) < 60
        assert headers["Content-Type"].startswith("application/cloudevents+json")
        self.events.append(orjson.loads(body))
        return self.refuse.pop(0) if self.refuse else (204, {}, b"")


SECRET = "a secret of a webhook"


def listening(to: Listener, settings: Settings, name: str, patience: float = 30) -> Settings:
    """The settings with a webhook to a listener."""
    secret = settings.home / "secret"
    secret.write_text(SECRET)
    hook = WebhookSettings(
        name=name, url=to.url, secret_file=secret, patience_seconds=patience, policy={"consent": "assumed"}
    )
    return settings.model_copy(update={"sinks": SinksSettings(webhook=(hook,))})


def test_a_webhook_hears_each_change_signed_and_once(pipeline: Pipeline) -> None:
    listener = Listener()
    take(
        pipeline,
        [answered(5000 + 10 * p + n, 80 + p, "ethics-bias", 2, 1, n, activity=n) for p in range(4) for n in range(6)],
    )
    hr = listening(listener, pipeline.settings, "hr")
    listener.refuse = [(503, {"Retry-After": "0"}, b""), (204, {}, b""), (400, {}, b"not this one")]
    [_, told_now] = feedback(hr)
    expected = told_now.told + told_now.refused
    assert told_now.refused == 1
    assert len({one["id"] for one in listener.events}) == expected
    assert len(listener.events) == expected + 1  # the first one came twice, with one id
    assert listener.events[0] == listener.events[1]
    first = listener.events[0]
    assert (first["specversion"], first["type"]) == ("1.0", "org.w3id.proficio.level.changed")
    assert first["data"]["told_level"] is None
    assert first["subject"] == f"{first['data']['person']}|{first['data']['competency']}"
    assert "not this one" in refused(hr)[0]["reason"]
    listener.events.clear()
    assert feedback(hr)[1] == Told("hr", waiting={"refused before": 1})  # neither what it heard nor what it refused
    assert listener.events == []
    # One that does not answer stops no other, and hears the rest later.
    late = listening(listener, pipeline.settings, "late", patience=0)
    listener.refuse = [(204, {}, b""), (204, {}, b""), (500, {}, b"")]
    take(pipeline, [answered(5500 + n, 80, "ethics-bias", 4, 1, 300 + n, activity=10 + n) for n in range(20)])
    with pytest.raises(UnavailableError, match="500"):
        feedback(late)
    assert [one["sink"] for one in due(late)].count(LEVELS) == 0
    heard = {one["id"] for one in listener.events[:2]}
    listener.events.clear()
    assert feedback(late)[1].told == expected - 2
    assert not heard & {one["id"] for one in listener.events}
    listener.refuse = [(401, {}, b"")]
    with pytest.raises(SettingsError, match="401") as raised:
        feedback(listening(listener, pipeline.settings, "wrong"))
    assert SECRET not in str(raised.value)
    listener.refuse = [(302, {"Location": "http://127.0.0.2/"}, b"")]
    with pytest.raises(SettingsError, match="sends on to"):
        feedback(listening(listener, pipeline.settings, "moved"))
    listener.close()


def test_who_is_being_erased_is_told_of_no_more(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by feedback beside it either, while the marts hold them still."""
    listener = Listener()
    hr = listening(listener, pipeline.settings, "people")
    take(pipeline, [answered(9000 + n, 90, "ethics-bias", 2, 1, n, activity=n) for n in range(6)])
    feedback(hr)
    assert listener.events
    listener.events.clear()
    remade = erasing.made_anew

    def beside(*given: Any) -> None:
        feedback(hr)
        remade(*given)

    monkeypatch.setattr(erasing, "made_anew", beside)
    done = erasing.erase(hr, person_of(hr, "mailto:p90@example.org"))
    listener.close()
    assert listener.events == []
    assert (done.told, done.left) == (("people",), ())
    assert not [key for key, value in told(pipeline) if value and key.startswith(done.person)]
