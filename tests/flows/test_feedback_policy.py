"""What is told when: hysteresis, floors, quiet hours, approval, what broke off; on published levels, without a pipeline."""

import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from connectors import sinks
from connectors.sinks import Change, Sink
from flows.feedback import Told, approve, due, feedback, forget
from flows.settings import Settings
from flows.sink_settings import SinksSettings, WebhookSettings
from flows.sink_states import sink_state
from flows.sinks import listed
from schemas.errors import InputError, ProficioError, SettingsError, UnavailableError
from schemas.policy import Policy
from tests.home import Home
from tests.levels import START, level, publish_levels

WHO = "mailto:ada@example.org"


class Heard(list[tuple[str, int | None]]):
    """A sink that hears: (account's competency, level). `fails` is raised, or `hangs` waited for, before it hears."""

    fails: Exception | None = None
    hangs: threading.Event | None = None

    def deliver(self, of: Any, changes: Iterable[Change]) -> Iterator[tuple[Change, str | None]]:
        for change in changes:
            if self.hangs:
                self.hangs.wait(10)
            if self.fails:
                raise self.fails
            self.append((change["competency"], change["reported_level"]))
            yield change, None


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    one = Heard()
    monkeypatch.setitem(sinks.SINKS, "webhook", Sink(one.deliver, at_once=2))
    return one


def told_by(folder: Path, *names: str, **policy: Any) -> Settings:
    (folder / "secret").write_text("secret")
    hooks = tuple(
        WebhookSettings(name=name, url="http://x", secret_file=folder / "secret", policy={"consent": "assumed", **policy})
        for name in names or ("hr",)
    )  # fmt: skip
    return Settings(home=folder / "home", sinks=SinksSettings(webhook=hooks))


def tell(settings: Settings, days: float, *rows: dict[str, Any]) -> Told:
    publish_levels(settings, rows)
    return feedback(settings, now=START + timedelta(days=days))[1]


def test_a_change_is_told_once_it_is_certain_enough(heard: Heard, tmp_path: Path) -> None:
    settings = told_by(tmp_path, certainty=0.7)
    tell(settings, 0, level(WHO, 2, 0.55))  # the first is told as it is
    tell(settings, 1, level(WHO, 3, 0.65))
    tell(settings, 2, level(WHO, 2, 0.55))
    assert [one for _, one in heard] == [2]
    tell(settings, 3, level(WHO, 3, 0.7))
    tell(settings, 4, level(WHO, 2, 0.9, p_at_least_3=0.35))  # level 3 is possible still
    assert [one for _, one in heard] == [2, 3]
    tell(settings, 5, level(WHO, 2, 0.9, p_at_least_3=0.25))
    tell(settings, 6, level(WHO, 4, 0.65, p_at_least_3=0.9))  # surely 3, perhaps 4
    assert [one for _, one in heard] == [2, 3, 2, 3]


def test_criteria_hold_back_what_is_told(heard: Heard, tmp_path: Path) -> None:
    settings = told_by(tmp_path)
    tell(settings, 0, level(WHO, 4, 0.9, reported_level=2))
    tell(settings, 1, level(WHO, 4, 0.9, reported_level=3))
    tell(settings, 2, level(WHO, 4, 0.9, reported_level=1))
    assert [one for _, one in heard] == [2, 3, 1]


def test_a_change_has_to_hold_for_days_or_for_evidence(heard: Heard, tmp_path: Path) -> None:
    settings = told_by(tmp_path, hold_days=7, hold_evidence=3)
    tell(settings, 0, level(WHO, 1, pieces=5))
    assert tell(settings, 1, level(WHO, 3, pieces=6)).waiting == {"held": 1}
    assert tell(settings, 4, level(WHO, 2, pieces=7)).waiting == {"held": 1}  # of both turns, 2 held all the time
    assert tell(settings, 7.9, level(WHO, 3, pieces=7)).waiting == {"held": 1}
    assert tell(settings, 8, level(WHO, 3, pieces=7)).told == 1
    assert heard[-1][1] == 2
    assert tell(settings, 9, level(WHO, 3, pieces=8)).waiting == {"held": 1}
    assert tell(settings, 10, level(WHO, 2, pieces=9)).waiting == {}  # back: what held is forgotten
    assert tell(settings, 11, level(WHO, 3, pieces=10)).waiting == {"held": 1}
    assert tell(settings, 12, level(WHO, 3, pieces=12)).waiting == {"held": 1}
    assert tell(settings, 12.1, level(WHO, 3, pieces=13)).told == 1
    assert [one for _, one in heard] == [1, 2, 3]


def test_decreases_are_told_to_whom_they_are_to_be_told(heard: Heard, tmp_path: Path) -> None:
    settings = told_by(tmp_path, decreases=False)
    tell(settings, 0, level(WHO, 3))
    assert tell(settings, 1, level(WHO, 1)).waiting == {}
    tell(settings, 2, level(WHO, 4))
    assert [one for _, one in heard] == [3, 4]


def test_too_little_evidence_is_not_spoken_of_and_what_is_withdrawn_is_taken_back(heard: Heard, tmp_path: Path) -> None:
    settings = told_by(tmp_path, minimum_evidence_count=5, minimum_evidence_weight=3)
    assert tell(settings, 0, level(WHO, 2, pieces=4)).told == 0
    assert tell(settings, 0, level(WHO, 2, pieces=9, evidence_weight=2.0)).told == 0
    assert tell(settings, 1, level(WHO, 2, pieces=5)).told == 1
    assert tell(settings, 2, level(WHO, 2, pieces=5, insufficient_evidence=True, stale=True)).withdrawn == 0  # it faded
    assert tell(settings, 3, level(WHO, 2, pieces=1, insufficient_evidence=True)).withdrawn == 1  # it was voided
    assert tell(settings, 4, level(WHO, 2, pieces=5)).told == 1
    assert tell(settings, 5, level("mailto:bob@example.org", 1)).withdrawn == 1  # the person is gone
    assert [one for _, one in heard] == [2, None, 2, 1, None] or [one for _, one in heard] == [2, None, 2, None, 1]


def test_quiet_hours_are_of_the_time_zone(heard: Heard, tmp_path: Path) -> None:
    settings = told_by(tmp_path, quiet_hours="22:00-07:00", time_zone="Asia/Tokyo")
    publish_levels(settings, [level(WHO, 2)])
    night = datetime(2026, 1, 1, 13, 0, tzinfo=UTC)  # 22:00 in Tokyo
    assert feedback(settings, now=night)[1].waiting == {"quiet hours": 1}
    assert feedback(settings, now=night + timedelta(hours=8, minutes=59))[1].told == 0
    assert feedback(settings, now=night + timedelta(hours=9))[1].told == 1
    assert Policy(quiet_hours="12:00-13:00").is_quiet(datetime(2026, 1, 1, 12, 30, tzinfo=UTC))
    assert not Policy(quiet_hours="12:00-13:00").is_quiet(datetime(2026, 1, 1, 13, 0, tzinfo=UTC))


def test_a_reviewer_may_stand_between(heard: Heard, tmp_path: Path) -> None:
    settings = told_by(tmp_path, approval=True)
    bob = "mailto:bob@example.org"
    publish_levels(settings, [level(WHO, 2), level(bob, 3)])
    assert feedback(settings)[1].waiting == {"to be approved": 2}
    person = next(row["person"] for row in due(settings) if row["sink"] == "hr" and row["reported_level"] == 3)
    assert approve(settings, "hr", person) == {"hr": 1}
    publish_levels(settings, [level(WHO, 2), level(bob, 4)])  # another level than was approved
    assert feedback(settings)[1].waiting == {"to be approved": 2}
    assert approve(settings, None, None) == {"hr": 2}
    assert feedback(settings)[1].told == 2
    with pytest.raises(SettingsError, match="there are: hr"):
        approve(settings, "nobody", None)


def test_what_broke_off_is_told_again_even_where_the_level_is_back(heard: Heard, tmp_path: Path) -> None:
    settings = told_by(tmp_path, hold_days=3)
    tell(settings, 0, level(WHO, 2))
    tell(settings, 1, level(WHO, 3))
    heard.fails = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        tell(settings, 5, level(WHO, 3))
    heard.fails = None
    tell(settings, 5, level(WHO, 2))  # nobody knows whether 3 was heard
    assert [one for _, one in heard] == [2, 2]
    tell(settings, 5, level(WHO, 2))
    assert [one for _, one in heard] == [2, 2]


def test_a_sink_that_fails_or_hangs_delays_no_other_and_is_left_in_peace(heard: Heard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    broken = Heard()
    broken.fails = UnavailableError("it is away")
    monkeypatch.setitem(
        sinks.SINKS, "webhook", Sink(lambda of, rows: (broken if of.name == "broken" else heard).deliver(of, rows))
    )
    settings = told_by(tmp_path, "broken", "hr")
    publish_levels(settings, [level(WHO, 2)])
    with pytest.raises(UnavailableError, match="away"):
        feedback(settings, beside=True)
    assert [one for _, one in heard] == [2]
    assert sink_state(settings, "broken")["failures"] == 1
    assert [one.sink for one in feedback(settings, beside=True)] == ["competency.levels", "hr"]  # it is not asked
    with pytest.raises(UnavailableError, match="away"):
        feedback(settings)  # by hand it is
    broken.fails, broken.hangs = None, threading.Event()
    publish_levels(settings, [level(WHO, 3)])
    running = threading.Thread(target=feedback, args=(settings,))
    running.start()
    for _ in range(100):
        if len(heard) == 2:
            break
        running.join(0.1)
    assert [one for _, one in heard] == [2, 3]
    assert running.is_alive()
    broken.hangs.set()
    running.join()
    assert sink_state(settings, "broken")["failures"] == 0


def test_a_secret_that_is_missing_stops_its_sink_alone(heard: Heard, tmp_path: Path) -> None:
    settings = told_by(tmp_path, "broken", "hr")
    broken = settings.sinks.webhook[0].model_copy(update={"secret_file": tmp_path / "missing"})
    sinks_of = SinksSettings(webhook=(broken, settings.sinks.webhook[1]))
    settings = settings.model_copy(update={"sinks": sinks_of})
    publish_levels(settings, [level(WHO, 2)])
    with pytest.raises(SettingsError, match="missing cannot be read"):
        feedback(settings)
    assert [one for _, one in heard] == [2]
    assert [row["sink"] for row in due(settings)] == ["broken"]


def test_it_is_told_once_more_what_was_told_since(heard: Heard, tmp_path: Path) -> None:
    settings = told_by(tmp_path)
    tell(settings, 0, level(WHO, 2))
    tell(settings, 5, level(WHO, 2), level(WHO, 3, competency="ethics-bias"))
    forget(settings, START + timedelta(days=3))
    tell(settings, 6, level(WHO, 2), level(WHO, 3, competency="ethics-bias"))
    assert heard == [("data-literacy", 2), ("ethics-bias", 3), ("ethics-bias", 3)]


@pytest.mark.parametrize(
    ("policy", "words"),
    [({"certainty": 1.2}, "certainty"), ({"quiet_hours": "22-7"}, "quiet_hours"), ({"time_zone": "Mars"}, "Europe/Berlin"), ({"x": 1}, "x")],
)  # fmt: skip
def test_a_wrong_policy_is_told(tmp_path: Path, policy: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Policy(**policy)
    with pytest.raises(SettingsError, match=f"sinks.webhook hr.*{words}"):
        listed(told_by(tmp_path, **policy))


def test_two_sinks_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProficioError, match="Several sinks are called hr"):
        feedback(told_by(tmp_path, "hr", "hr"))


def test_the_commands_say_who_waits_for_what(home: Home) -> None:
    (home.folder / "secret").write_text("secret")
    with (home.folder / "proficio.toml").open("a") as file:
        file.write('\n[[sinks.webhook]]\nname = "hr"\nurl = "http://127.0.0.1:9"\nsecret_file = "secret"\npatience_seconds = 0\n'
                   'policy = { approval = true }\n')  # fmt: skip
    publish_levels(home.settings, [level(WHO, 2)])
    assert "no consent" in home("feedback", "--dry-run")
    assert "hr: 0 levels were told, 0 taken back, 0 refused, 1 no consent." in home("feedback")
    assert "1 no consent" in home("status")
    assert "may hear" in home("consent", "ada@example.org", "--sink", "hr")
    assert "1 to be approved" in home("feedback")
    assert "hr: 1 levels are approved" in home("feedback", "--approve", "--person", "ada@example.org")
    assert "does not answer" in home("feedback", expect=5)
    assert "failed 1 times" in home("status")
    assert "may not hear" in home("consent", "ada@example.org", "--withdraw")
    assert "1 no consent" in home("feedback", "--sink", "hr", "--since", "2026-01-01")
    assert "There is no sink x" in home("consent", "ada@example.org", "--sink", "x", expect=3)
    with pytest.raises(InputError):
        feedback(home.settings.model_copy(update={"home": home.folder / "empty"}))
