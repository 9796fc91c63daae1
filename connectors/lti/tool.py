"""What the tool's routes work with, and what they share."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from connectors.http import Pace
from connectors.lti.store import LtiStore
from connectors.pages.sessions import Sessions
from schemas.errors import UnavailableError

ALGORITHM, AUDIENCE = "HS256", "proficio-lti-state"  # of what the tool signs for itself
STATE_SECONDS = 600


def _impatient() -> Pace:
    return Pace(timeout_seconds=10, patience_seconds=0)


@dataclass(frozen=True)
class Tool:
    """What the routes work with. `url` is where the tool is reached; `person_of` finds who accounts are, and by which of them;
    `competencies` are (id, name) of those that a link can be made to.
    """

    url: str
    title: str
    store: LtiStore
    sessions: Sessions
    key: str
    person_of: Callable[[Iterable[str]], tuple[str, str]]
    competencies: tuple[tuple[str, str], ...] = ()
    levels: int = 4
    pace: Pace = field(default_factory=_impatient)


def frames(tool: Tool) -> list[str]:
    """The addresses of platforms, which may show pages in a frame. None while the store does not answer: the page says so."""
    try:
        platforms = tool.store.platforms()
    except UnavailableError:
        return []
    return [url for one in platforms for url in (one.issuer, one.auth_url)]
