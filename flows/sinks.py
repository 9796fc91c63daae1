"""The sinks of the settings: whom feedback tells, by which policy, and how."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from pydantic import ValidationError

from connectors.event_log import EventLog
from connectors.http import Pace
from connectors.marts import Marts
from connectors.sinks import SINKS, Change
from connectors.sinks.lrs import LrsSink
from connectors.sinks.lti import LtiSink, Requirements
from connectors.sinks.moodle import MoodleSink
from connectors.sinks.webhook import Webhook
from flows.opening import definitions, lti_store, secret
from flows.settings import Settings
from flows.sink_settings import LrsSinkSettings, LtiSinkSettings, MoodleSinkSettings, SinkSettings, WebhookSettings
from schemas.errors import SettingsError
from schemas.policy import EVERYTHING, Policy
from schemas.records import LEVELS
from transforms.level_records import level_record

_RECORDS_AT_ONCE = 10_000
PATIENCE_BESIDE = 5.0  # seconds that a sink is waited for where others wait behind it


class Listed(NamedTuple):
    """A sink of the settings: its name and kind, what learners see it called ("" for what its kind is), its policy."""

    name: str
    kind: str
    title: str
    policy: Policy


class Teller(NamedTuple):
    """A sink as it is told: see connectors.sinks.Sink."""

    listed: Listed
    deliver: Callable[[Iterable[Change]], Iterator[tuple[Change, str | None]]]
    personal: bool = False
    at_once: int = _RECORDS_AT_ONCE


TOPIC = Listed(LEVELS, "topic", "", EVERYTHING)


def topic(log: EventLog) -> Teller:
    """The topic competency.levels, which is told everything, at once."""
    return Teller(TOPIC, partial(_append, log))


def listed(settings: Settings) -> list[Listed]:
    """The sinks that the settings name, without their secrets. SettingsError where two have one name or a policy is wrong."""
    found = [
        Listed(one.name, kind, one.title, _policy(settings, kind, one))
        for kind in SINKS
        for one in getattr(settings.sinks, kind)
    ]
    names = [LEVELS, *(one.name for one in found)]
    if twice := {name for name in names if names.count(name) > 1}:
        raise SettingsError(f"Several sinks are called {', '.join(sorted(twice))}.", "Give each a name of its own.")
    return found


def audience(settings: Settings, sink: Listed) -> set[str] | None:
    """The persons whom a sink can reach now; None for everyone. LTI reaches who opened their page from a course with grades."""
    if sink.kind != "lti":
        return None
    return set(Marts(settings.published, settings.identified).owners(lti_store(settings).graded_accounts()).values())


def listed_as(settings: Settings, name: str) -> Listed:
    """One of the sinks. SettingsError where there is none of that name."""
    sinks = listed(settings)
    found = next((one for one in sinks if one.name == name), None)
    if found is None:
        known = ", ".join(one.name for one in sinks) or "none"
        raise SettingsError(f"There is no sink {name}; there are: {known}.", "Name one of the settings' sinks.")
    return found


def teller(settings: Settings, one: Listed, patiently: bool = True) -> Teller:
    """One of them, ready to be told. SettingsError where its secret cannot be read."""
    sink = SINKS[one.kind]
    given = next(each for each in getattr(settings.sinks, one.kind) if each.name == one.name)
    patience = given.patience_seconds if patiently else min(given.patience_seconds, PATIENCE_BESIDE)
    of = _OF[one.kind](settings, given, Pace(given.timeout_seconds, patience, given.per_second))
    return Teller(one, partial(sink.deliver, of), sink.personal, sink.at_once)


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
    known = definitions(settings)
    role = next((each for each in known.roles if each.id == one.role), None)
    if one.role and role is None:
        roles = ", ".join(each.id for each in known.roles) or "none"
        raise SettingsError(
            f"sinks.lti.role: there is no role {one.role}; there are: {roles}.", "Name one of roles.yaml."
        )
    ranks = {level.id: rank for rank, level in enumerate(known.framework.levels, start=1)}
    asked = None
    if role:
        requires = {competency: ranks[level] for competency, level in role.requires.items()}
        asked = Requirements(role.id, role.name, requires, Marts(settings.published, settings.identified))
    return LtiSink(one.name, lti_store(settings), len(ranks), asked, pace=pace)


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
