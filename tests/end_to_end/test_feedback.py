"""End to end: what a learner does in an LMS comes back there as a rating, a message and a grade, while `stream` runs."""

import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest

from flows.opening import event_log, topics
from flows.settings import EventLogSettings, Settings
from tests.broker import Broker
from tests.lti import Platform
from tests.moodle import TOKEN, Moodle
from tests.pages import ACTIVITY, Served

_ROUNDS = 5
_MOST_SECONDS = 60
_SINKS = """
[[sinks.moodle]]
name = "campus"
url = "{url}"
token_file = "token"
messages = "rises"
policy = {{ consent = "assumed" }}
[[sinks.lti]]
name = "courses"
policy = {{ consent = "assumed" }}
"""


def statements(who: str) -> list[dict[str, Any]]:
    """Six exercises at Intermediate, all done well."""
    return [
        {
            "id": str(uuid4()),
            "actor": {"mbox": f"mailto:{who}@example.org", "name": who},
            "verb": {"id": "http://adlnet.gov/expapi/verbs/answered"},
            "object": {"id": ACTIVITY.format("data-literacy", "intermediate", number)},
            "result": {"success": True},
            "timestamp": f"2026-11-{number + 1:02d}T10:00:00Z",
        }
        for number in range(6)
    ]


def launched(platform: Platform, who: str) -> None:
    """A learner opens their page from their course."""
    with httpx.Client(timeout=30) as browser:
        asked = browser.get(
            f"{platform.tool}/lti/login",
            params={"iss": platform.url, "login_hint": who, "target_link_uri": f"{platform.tool}/me"},
        )
        cookie = asked.headers["set-cookie"].partition(";")[0]
        given = {key: value[0] for key, value in parse_qs(urlsplit(asked.headers["location"]).query).items()}
        token = platform.sign(platform.claims(given, sub=who, email=f"{who}@example.org"))
        answer = browser.post(
            f"{platform.tool}/lti/launch", data={"state": given["state"], "id_token": token}, headers={"Cookie": cookie}
        )
        assert answer.status_code == 303, answer.text


def _until(what: Any, seconds: float, process: "subprocess.Popen[bytes]") -> float:
    begun = time.monotonic()
    while not what():
        assert process.poll() is None, "stream ended"
        assert time.monotonic() - begun < seconds, "not in time"
        time.sleep(0.05)
    return time.monotonic() - begun


@pytest.mark.kafka
def test_what_is_done_in_the_lms_comes_back_as_rating_message_and_grade(tmp_path: Path, broker: Broker) -> None:
    settings = Settings(event_log=EventLogSettings(kind="kafka", bootstrap_servers=broker.address))
    with event_log(settings) as opened:
        opened.create(topics(settings))
    moodle = Moodle(["data-literacy"])
    (tmp_path / "token").write_text(TOKEN)
    served = Served(tmp_path, _SINKS.format(url=moodle.url), run=False, **broker.environment)
    people = [f"p{number}" for number in range(_ROUNDS)]
    for who in people:
        moodle.enrol(who)
        launched(served.platform, who)
    stream = served.home.start("stream", **broker.environment)
    times = []
    try:
        for turn, who in enumerate(["warming-up", *people]):
            if turn == 0:
                moodle.enrol(who)
            with served.client() as lms:
                assert lms.post("statements", json=statements(who)).status_code == 200
            limit = 300

            def told(who: str = who, turn: int = turn) -> bool:
                scored = turn == 0 or any(one["userId"] == who for one in served.platform.scores)
                return bool(moodle.rated(who, "data-literacy") and moodle.written_to(who) and scored)

            times.append(_until(told, limit, stream))
        assert {moodle.rated(who, "data-literacy") for who in people} == {"Intermediate"}
        assert [len(moodle.written_to(who)) for who in people] == [1] * _ROUNDS
        assert re.search("You reached Intermediate in Data literacy", moodle.written_to("p0")[0])
        assert sorted(one["userId"] for one in served.platform.scores) == sorted(people)
        assert {one["scoreGiven"] for one in served.platform.scores} == {2}
    finally:
        stream.send_signal(signal.SIGTERM)
        stream.wait(120)
        served.close()
        moodle.close()
    ordered = sorted(times[1:])
    print(
        f"from statement to rating, message and grade: median {ordered[len(ordered) // 2]:.1f} s, longest {ordered[-1]:.1f} s"
    )
    assert ordered[-1] < _MOST_SECONDS
