"""The routes of pages. Each page is of the session's person or of the session's course: no address names another."""

from collections.abc import Callable
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.pages import course, learner
from connectors.pages.asking import Asked, Pages
from connectors.pages.forms import given_to
from connectors.pages.rendering import STYLE, language_for, page
from schemas.errors import ProficioError
from transforms.languages import N_

_SCRIPT = files("connectors.pages").joinpath("templates/lti.js").read_text("utf-8")
Endpoint = Callable[["Asked"], Response]


def routes(pages: Pages) -> list[Route]:
    """The routes."""
    endpoints: list[tuple[str, Endpoint, str]] = [
        ("/me", learner.levels, "GET"),
        ("/me/competencies/{competency}", learner.competency, "GET"),
        ("/me/data", learner.data, "GET"),
        ("/me/data.json", learner.download, "GET"),
        ("/me/consents", learner.consent, "POST"),
        ("/me/disputes", learner.dispute, "POST"),
        ("/course", course.course, "GET"),
    ]
    return [
        *(
            Route(path, given_to(_of_a_session(pages, endpoint)), methods=[method])
            for path, endpoint, method in endpoints
        ),
        Route("/levels/{competency}", lambda request: _without_session(pages, request), methods=["GET"]),
        Route("/pages/page.css", lambda _: _static(STYLE, "text/css"), methods=["GET"]),
        Route("/pages/lti.js", lambda _: _static(_SCRIPT, "text/javascript"), methods=["GET"]),
    ]


def _of_a_session(pages: Pages, endpoint: Endpoint) -> Callable[[Request, dict[str, str]], Response]:
    def answer(request: Request, given: dict[str, str]) -> Response:
        token = given.get("session", "")
        session = pages.sessions.read(token)
        if session is None:
            return _without_session(pages, request)
        asked = Asked(pages, session, token, language_for(request, session.language), given)
        try:
            return endpoint(asked)
        except ProficioError as error:
            return _refused(pages, request, 503, str(error), N_("Try again later."))

    return answer


def _without_session(pages: Pages, request: Request) -> Response:
    return _refused(
        pages, request, 403, N_("This page is yours alone, and this address does not say who you are, or no longer."),
        N_("Open it from your course."),
    )  # fmt: skip


def _refused(pages: Pages, request: Request, status: int, reason: str, advice: str) -> Response:
    language = language_for(request)
    return page("refused.html.j2", language, pages.frames(), status, at=pages.url, reason=reason, advice=advice)


def _static(text: str, kind: str) -> Response:
    return Response(text, media_type=kind, headers={"Cache-Control": "public, max-age=3600"})
