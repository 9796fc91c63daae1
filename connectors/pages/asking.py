"""What pages work with, and a request of one that is in a session."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from starlette.responses import Response

from connectors.database import Where
from connectors.marts import Marts
from connectors.pages.rendering import page
from connectors.pages.sessions import Session, Sessions
from schemas.framework import Framework
from transforms.calibration import Calibration
from transforms.languages import Language


class Roster(NamedTuple):
    """A course's title, and who learns there: person → name."""

    title: str
    people: dict[str, str]


@dataclass(frozen=True)
class Pages:
    """What pages work with. `sinks` are those that may be told: name, kind, title or ""; `assumed`, those told until someone
    withdraws; `frames` gives the addresses of platforms that may show pages in a frame, `roster` the people of a course;
    `dispute` keeps that an account says of a statement that it is wrong, and why; `same_person` gives the person of an account.
    """

    url: str
    title: str
    sessions: Sessions
    marts: Marts
    framework: Framework
    calibration: Calibration
    consents: Where
    sinks: tuple[tuple[str, str, str], ...]
    assumed: frozenset[str]
    frames: Callable[[], Iterable[str]]
    roster: Callable[[tuple[str, str, str]], Roster]
    dispute: Callable[[str, str, str], None]
    same_person: Callable[[str], str] = field(repr=False)


@dataclass(frozen=True)
class Asked:
    """A request of a session, with the parameters of its address and form."""

    pages: Pages
    session: Session
    token: str
    language: Language
    given: Mapping[str, str]

    def page(self, template: str, place: str, status: int = 200, **values: Any) -> Response:
        """A page of the session."""
        pages = self.pages
        return page(
            template, self.language, pages.frames(), status, at=pages.url, token=self.token, session=self.session,
            heading=pages.title, place=place, **values,
        )  # fmt: skip

    def refused(self, status: int, reason: str, advice: str) -> Response:
        """A page that says why, and what to do; both are messages to translate."""
        return self.page("refused.html.j2", "", status, reason=reason, advice=advice)
