"""LTI platforms: changed levels as scores in the courses that a person opened their page from (1EdTech AGS 2.0)."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from connectors.http import Pace, api
from connectors.lti.services import Services, score
from connectors.lti.store import LtiStore, Platform
from schemas.errors import InputError
from transforms.languages import Language, language_of
from transforms.level_words import note

Change = dict[str, Any]


@dataclass(frozen=True)
class LtiSink:
    """The platforms of the tool. A score is a level of `levels`; its line item is that of the competency."""

    name: str
    store: LtiStore
    levels: int
    language: Language = field(default_factory=lambda: language_of([]))
    pace: Pace = field(default_factory=Pace)


def deliver(settings: LtiSink, changes: Iterable[Change]) -> Iterator[tuple[Change, str | None]]:
    """Post each change as a score. A score that comes twice is the same score."""
    with _services(settings) as of:
        for change in changes:
            courses = settings.store.graded_in(change["accounts"])
            if not courses:
                yield change, "No platform with grades was launched by this person yet."
                continue
            level = change["reported_level"]
            comment = note(change, settings.language) if level is not None else ""
            reasons = []
            for context, sub in courses:
                told = score(sub, level, settings.levels, comment)
                services = of[context.issuer, context.client_id]
                try:
                    services.score(settings.store, context, change["competency"], _label(change), told)
                except InputError as refusal:
                    reasons.append(str(refusal))
            yield change, reasons[0] if len(reasons) == len(courses) else None


@contextmanager
def _services(settings: LtiSink) -> Iterator[dict[tuple[str, str], Services]]:
    with ExitStack() as opened:

        def services(platform: Platform) -> Services:
            remote = opened.enter_context(api(platform.issuer, pace=settings.pace))
            return Services(remote, platform, settings.store.signing_key())

        yield {(one.issuer, one.client_id): services(one) for one in settings.store.platforms()}


def _label(change: Change) -> str:
    return str(change["competency_name"] or change["competency"])
