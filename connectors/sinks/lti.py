"""LTI platforms: changed levels as scores in the courses that a person opened their page from (1EdTech AGS 2.0)."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from connectors.http import Pace, api
from connectors.lti.services import Services, score
from connectors.lti.store import LtiStore, Platform
from connectors.marts import Marts
from schemas.errors import InputError
from transforms.languages import Language, language_of
from transforms.level_words import note

Change = dict[str, Any]


@dataclass(frozen=True)
class Requirements:
    """A role as it is graded: competency → level required, and the marts that say which levels a person has."""

    id: str
    name: str
    requires: Mapping[str, int]
    marts: Marts

    def met(self, change: Change) -> int:
        """How many requirements the person of a change meets, as it is told."""
        levels = {
            row["competency"]: row["reported_level"]
            for row in self.marts.levels([change["person"]])
            if not row["insufficient_evidence"]
        }
        levels[change["competency"]] = change["reported_level"] or 0
        return sum(levels.get(competency, 0) >= level for competency, level in self.requires.items())


@dataclass(frozen=True)
class LtiSink:
    """The platforms of the tool. A score is a level of `levels`, its line item that of the competency; with a `role`, it is how
    many of its requirements are met.
    """

    name: str
    store: LtiStore
    levels: int
    role: Requirements | None = None
    language: Language = field(default_factory=lambda: language_of([]))
    pace: Pace = field(default_factory=Pace)


def deliver(settings: LtiSink, changes: Iterable[Change]) -> Iterator[tuple[Change, str | None]]:
    """Post each change as a score. A score that comes twice is the same score."""
    with _services(settings) as of:
        for change in changes:
            if settings.role and change["competency"] not in settings.role.requires:
                yield change, None  # the role asks for no such thing
                continue
            reasons = []
            courses = settings.store.graded_in(change["accounts"])
            for context, sub in courses:
                resource, label, told = _score(settings, change, sub)
                try:
                    of[context.issuer, context.client_id].score(settings.store, context, resource, label, told)
                except InputError as refusal:
                    reasons.append(str(refusal))
            yield change, reasons[0] if reasons and len(reasons) == len(courses) else None


def _score(settings: LtiSink, change: Change, sub: str) -> tuple[str, str, dict[str, Any]]:
    """The resource and label of a change's line item, and the score."""
    level, role = change["reported_level"], settings.role
    words = note(change, settings.language) if level is not None else ""
    if role:
        return f"role:{role.id}", role.name, score(sub, role.met(change), len(role.requires), words)
    return (
        change["competency"],
        change["competency_name"] or change["competency"],
        score(sub, level, settings.levels, words),
    )


@contextmanager
def _services(settings: LtiSink) -> Iterator[dict[tuple[str, str], Services]]:
    with ExitStack() as opened:

        def services(platform: Platform) -> Services:
            remote = opened.enter_context(api(platform.issuer, pace=settings.pace))
            return Services(remote, platform, settings.store.signing_key())

        yield {(one.issuer, one.client_id): services(one) for one in settings.store.platforms()}
