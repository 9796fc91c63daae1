"""The pages of learners and instructors and the LTI tool, as the settings and what is published have them."""

import logging
from collections.abc import Callable, Iterable

from starlette.routing import Route

from connectors.http import Api, Pace
from connectors.lti.app import routes as lti_routes
from connectors.lti.launch import accounts
from connectors.lti.services import Services
from connectors.lti.store import LtiStore
from connectors.lti.tool import Tool, frames
from connectors.marts import Marts
from connectors.pages.app import routes as page_routes
from connectors.pages.asking import Pages, Roster
from connectors.pages.sessions import Session, Sessions
from flows.opening import calibration, definitions, identities, lti_store, own_key, state
from flows.reading import one_person
from flows.settings import Settings
from flows.sinks import listed
from schemas.errors import ProficioError, SettingsError
from schemas.xapi import Statement
from transforms.disputes import disputed
from transforms.identity import Identities, as_account

_LOG = logging.getLogger(__name__)
_LEARNER = "http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"


def routes(settings: Settings, keep: Callable[[Statement], None]) -> list[Route]:
    """The routes of pages and of the LTI tool; none where the settings give no address. `keep` takes statements in."""
    if not settings.pages.url:
        return []
    known, framework, store = identities(settings), definitions(settings).framework, lti_store(settings)
    marts, sessions = Marts(settings.published, settings.identified), _sessions(settings)
    sinks = listed(settings)
    tool = Tool(
        url=settings.pages.url,
        title=settings.pages.title,
        store=store,
        sessions=sessions,
        key=own_key(settings, "pages.key"),
        person_of=lambda accounts: _person_of(marts, known, accounts),
        competencies=tuple((one.id, one.name) for one in framework.competencies if not one.retired),
        levels=len(framework.levels),
    )
    pages = Pages(
        url=settings.pages.url,
        title=settings.pages.title,
        sessions=sessions,
        marts=marts,
        framework=framework,
        calibration=calibration(settings, framework),
        consents=state(settings, "consents.db"),
        sinks=tuple((one.name, one.kind, one.title) for one in sinks),
        assumed=frozenset(one.name for one in sinks if one.policy.consent == "assumed"),
        frames=lambda: frames(tool),
        roster=lambda course: _roster(store, marts, known, course),
        dispute=lambda account, statement, why: keep(disputed(account, statement, why)),
        same_person=known.person_key,
    )
    return [*lti_routes(tool), *page_routes(pages)]


def signed_link(settings: Settings, called: str, days: float) -> str:
    """The address of a person's page, which opens it without an LMS for so many days."""
    url = address(settings)
    person = one_person(settings, called)
    account = next(iter(Marts(settings.published, settings.identified).accounts(person)), as_account(called))
    token = _sessions(settings).give(Session(person, account), days * 86_400)
    return f"{url}/me?session={token}"


def address(settings: Settings) -> str:
    """Where browsers reach the pages. SettingsError where that is not set."""
    if not settings.pages.url:
        raise SettingsError(
            "pages.url is not set.",
            'Set it to where browsers reach proficio serve, such as url = "http://127.0.0.1:8080" under [pages], and start that.',
        )
    return settings.pages.url


def _sessions(settings: Settings) -> Sessions:
    return Sessions(own_key(settings, "sessions.key"))


def _person_of(marts: Marts, known: Identities, of: Iterable[str]) -> tuple[str, str]:
    """Who someone with these accounts is, and by which of them: the first that evidence is known of, else the first."""
    given = list(of)
    owners = marts.owners(given)
    account = next((one for one in given if one in owners), given[0])
    return owners.get(account) or known.person_key(account), account


def _roster(store: LtiStore, marts: Marts, known: Identities, course: tuple[str, str, str]) -> Roster:
    """Who learns in a course: those whom its platform lists; where it lists none, those who opened their page from it."""
    context, platform = store.context(*course), store.find(*course[:2])
    if context is None or platform is None:
        return Roster("", {})
    launched = dict(store.learners(context))
    named = {sub: (of, "") for sub, of in launched.items()}
    if context.memberships_url:
        remote = Api("", pace=Pace(timeout_seconds=10, patience_seconds=0))
        try:
            members = list(Services(remote, platform, store.signing_key()).members(context))
            named = {
                sub: ([*launched.get(sub, ()), *accounts(platform, one)], str(one.get("name") or ""))
                for one in members
                if _LEARNER in _roles(one) and (sub := str(one["user_id"]))
            }
        except ProficioError as error:
            _LOG.warning("%s does not list the members of %s: %s", platform.name, context.title, error)
        finally:
            remote.close()
    people = {_person_of(marts, known, of)[0]: name for of, name in named.values() if of}
    names = marts.names(list(people))
    return Roster(context.title, {person: name or names.get(person, "") for person, name in people.items()})


def _roles(member: dict[str, list[str]]) -> set[str]:
    """The roles of a member, short names as those of a course (NRPS 2.0, 2.2)."""
    return {role if ":" in role else _LEARNER.replace("Learner", role) for role in member.get("roles", ())}
