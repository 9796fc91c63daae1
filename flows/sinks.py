"""The sinks of the settings: whom feedback tells, by which policy, and how."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from pydantic import ValidationError

from connectors.event_log import EventLog
from connectors.http import Pace
from connectors.lti.store import LtiStore
from connectors.sinks import SINKS, Change
from connectors.sinks.lrs import LrsSink
from connectors.sinks.lti import LtiSink
from connectors.sinks.moodle import MoodleSink
from connectors.sinks.webhook import Webhook
from flows.opening import definitions, secret
from flows.settings import LrsSinkSettings, LtiSinkSettings, MoodleSinkSettings, Settings, SinkSettings, WebhookSettings
from schemas.errors import SettingsError
from schemas.policy import EVERYTHING, Policy
from schemas.records import LEVELS
from transforms.level_records import level_record

_RECORDS_AT_ONCE = 10_000
PATIENCE_BESIDE = 5.0  # seconds that a sink is waited for where others wait behind it


class Teller(NamedTuple):
    """A sink as it is told: see connectors.sinks.Sink; `title` is what learners see it called."""

    name: str
    kind: str
    policy: Policy
    deliver: Callable[[Iterable[Change]], Iterator[tuple[Change, str | None]]]
    personal: bool = False
    at_once: int = _RECORDS_AT_ONCE
    title: str = ""


def topic(log: EventLog) -> Teller:
    """The topic competency.levels, which is told everything, at once."""
    return Teller(LEVELS, "topic", EVERYTHING, partial(_append, log))


def tellers(settings: Settings, patiently: bool = True) -> list[Teller]:
    """The sinks that the settings name. SettingsError where two have one name or a policy is wrong."""
    found = []
    for kind, sink in SINKS.items():
        for one in getattr(settings.sinks, kind):
            patience = one.patience_seconds if patiently else min(one.patience_seconds, PATIENCE_BESIDE)
            of = _OF[kind](settings, one, Pace(one.timeout_seconds, patience, one.per_second))
            found.append(
                Teller(
                    one.name, kind, _policy(settings, kind, one), partial(sink.deliver, of), sink.personal, sink.at_once
                )
            )
    names = [one.name for one in found]
    if twice := {name for name in names if names.count(name) > 1 or name == LEVELS}:
        raise SettingsError(f"Several sinks are called {', '.join(sorted(twice))}.", "Give each a name of its own.")
    return found


def sink_named(settings: Settings, name: str) -> Teller:
    """One of the sinks. SettingsError where there is none of that name."""
    sinks = tellers(settings)
    found = next((one for one in sinks if one.name == name), None)
    if found is None:
        known = ", ".join(one.name for one in sinks) or "none"
        raise SettingsError(f"There is no sink {name}; there are: {known}.", "Name one of the settings' sinks.")
    return found


def level_names(settings: Settings) -> tuple[str, ...]:
    """The names of the levels, first what is below the lowest."""
    names = [level.name for level in definitions(settings).framework.levels]
    return (f"Below {names[0]}", *names)


def _policy(settings: Settings, kind: str, one: SinkSettings) -> Policy:
    try:
        return Policy(**{**settings.feedback.policy.model_dump(), **one.policy})
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise SettingsError(
            f"sinks.{kind} {one.name}: its policy is wrong: {wrong}.", "See docs/feedback.md."
        ) from None


def _webhook(settings: Settings, one: WebhookSettings, pace: Pace) -> Webhook:  # noqa: ARG001 - one of _OF
    key = secret(one.secret_file, "sinks.webhook.secret_file")
    return Webhook(one.name, one.url, key, pace)


def _moodle(settings: Settings, one: MoodleSinkSettings, pace: Pace) -> MoodleSink:
    token = secret(one.token_file, "sinks.moodle.token_file")
    return MoodleSink(
        one.name, one.url, token, level_names(settings), one.framework, one.account, one.courses, one.messages,
        one.overwrite_ratings, settings.pages.url, pace,
    )  # fmt: skip


def _lrs(settings: Settings, one: LrsSinkSettings, pace: Pace) -> LrsSink:
    password = secret(one.password_file, "sinks.lrs.password_file")
    levels = len(level_names(settings)) - 1
    return LrsSink(one.name, one.url, one.username, password, levels, settings.pages.url, pace)


def _lti(settings: Settings, one: LtiSinkSettings, pace: Pace) -> LtiSink:
    return LtiSink(one.name, LtiStore(settings.lti), len(level_names(settings)) - 1, pace=pace)


_OF: dict[str, Callable[[Settings, Any, Pace], Any]] = {
    "lrs": _lrs,
    "lti": _lti,
    "moodle": _moodle,
    "webhook": _webhook,
}


def _append(log: EventLog, changes: Iterable[Change]) -> Iterator[tuple[Change, str | None]]:
    """To the topic, many at once: compacted, the newest of each key counts."""
    rest = iter(changes)
    while some := list(islice(rest, _RECORDS_AT_ONCE)):
        log.append(LEVELS, map(level_record, some))
        for row in some:
            yield row, None
