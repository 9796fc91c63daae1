"""The pages of a learner: their levels, a competency, their data."""

import orjson
from starlette.responses import RedirectResponse, Response

from connectors.consents import EVERY_SINK, Consent, said, say
from connectors.pages.asking import Asked
from transforms import learner_page as words
from transforms.explanation import contributions
from transforms.languages import N_
from transforms.published_evidence import as_evidence, parameters_for

_MOST_WORDS = 2_000
_SINKS = {
    "lrs": N_("The record store {name}: your levels"),
    "lti": N_("The courses that you open this page from: your grades there"),
    "moodle": N_("Moodle ({name}): the ratings of your competencies"),
    "webhook": N_("Another system of your organisation: {name}"),
}
_EVIDENCE_SHOWN = 50


def levels(asked: Asked) -> Response:
    """All levels of the person, and what a role that they choose asks for."""
    pages, language, person = asked.pages, asked.language, asked.session.person
    rows = pages.marts.levels([person])
    gaps = pages.marts.gaps(person)
    roles = list({row["role"]: row["role_name"] for row in gaps}.items())
    role = asked.given.get("role")
    if role not in dict(roles):
        role = roles[0][0] if roles else None
    published_at = pages.marts.published_at()
    return asked.page(
        "me.html.j2", "me",
        groups=words.groups(pages.framework, rows, language),
        any_evidence=any(row["evidence_count"] for row in rows),
        as_of=language.date(published_at) if published_at else "",
        cuts=[words.place(level.cut) for level in pages.framework.levels],
        roles=roles, role=role,
        gaps=[words.gap(pages.framework, row, language) for row in gaps if row["role"] == role],
        steps=[words.step(row, language) for row in pages.marts.next_steps(person) if row["role"] == role],
    )  # fmt: skip


def competency(asked: Asked) -> Response:
    """One competency: what it is, what moved it, how it went, its evidence."""
    pages, language, person = asked.pages, asked.language, asked.session.person
    one = next((each for each in pages.framework.competencies if each.id == asked.given["competency"]), None)
    if one is None:
        return asked.refused(404, N_("There is no such competency."), N_("Look at all your levels."))
    row = next((each for each in pages.marts.levels([person]) if each["competency"] == one.id), None)
    evidence = pages.marts.evidence(person)
    own = [each for each in evidence if each["competency"] == one.id]
    parts = []
    if own:
        pieces = [as_evidence(each, pages.calibration) for each in evidence]
        found = contributions(pieces, [one.id], parameters_for(pages.calibration))
        parts = [each for each in found if each.competency == one.id]
    above = pages.framework.levels[row["reported_level"] :] if row else []
    following = above[0] if above else None
    return asked.page(
        "competency.html.j2", "me", id=one.id, name=one.name, about=one.description,
        **words.told(pages.framework, row, language),
        next_level={"name": following.name, "about": one.levels.get(following.id, following.description)} if following else None,
        moved=words.moved(parts, {each["statement_id"]: each for each in own}, language),
        history=words.history(pages.framework, pages.marts.history(person, one.id), language),
        evidence=[words.piece(each, language) for each in own[:_EVIDENCE_SHOWN]],
        evidence_left=max(len(own) - _EVIDENCE_SHOWN, 0),
        said_wrong="said" in asked.given,
    )  # fmt: skip


def data(asked: Asked) -> Response:
    """Who is told, who sees what, which accounts are theirs."""
    pages = asked.pages
    agreed = _agreements(asked)
    sinks = [
        {
            "name": name,
            "said": title or asked.language.text(_SINKS[kind], name=name),
            "agreed": agreed.get(name, name in pages.assumed),
        }
        for name, kind, title in pages.sinks
    ]
    accounts = pages.marts.accounts(asked.session.person)
    return asked.page("data.html.j2", "data", sinks=sinks, accounts=accounts, changed="changed" in asked.given)


def download(asked: Asked) -> Response:
    """All that is known of the person, as JSON."""
    pages, person = asked.pages, asked.session.person
    told = {
        "person": person, "accounts": pages.marts.accounts(person), "levels": pages.marts.levels([person]),
        "evidence": pages.marts.evidence(person), "consents": [one._asdict() for one in _said(asked)],
    }  # fmt: skip
    headers = {"Content-Disposition": 'attachment; filename="my-data.json"', "Cache-Control": "no-store"}
    return Response(orjson.dumps(told, option=orjson.OPT_INDENT_2), media_type="application/json", headers=headers)


def consent(asked: Asked) -> Response:
    """Keep what the person says of a sink."""
    name, agreed = asked.given.get("sink", ""), asked.given.get("agreed") == "yes"
    if name in {known for known, _, _ in asked.pages.sinks}:
        say(asked.pages.consents, asked.session.account, name, agreed, "learner page")
    return _back(asked, "/me/data", "changed")


def dispute(asked: Asked) -> Response:
    """Keep that the person says a piece of their evidence is wrong."""
    statement, why = asked.given.get("statement", ""), asked.given.get("why", "").strip()[:_MOST_WORDS]
    own = {row["statement_id"] for row in asked.pages.marts.evidence(asked.session.person)}
    if statement not in own or not why:
        return asked.refused(
            400, N_("That is no evidence of yours, or you did not say what is wrong."), N_("Go back and try again.")
        )
    asked.pages.dispute(asked.session.account, statement, why)
    competency = asked.given.get("competency", "")
    known = competency in {one.id for one in asked.pages.framework.competencies}
    return _back(asked, f"/me/competencies/{competency}" if known else "/me", "said")


def _said(asked: Asked) -> list[Consent]:
    """What the person's accounts said of sinks."""
    pages = asked.pages
    return [one for one in said(pages.consents) if pages.same_person(one.account) == asked.session.person]


def _agreements(asked: Asked) -> dict[str, bool]:
    found: dict[str, bool] = {}
    for one in _said(asked):
        names = [name for name, _, _ in asked.pages.sinks] if one.sink == EVERY_SINK else [one.sink]
        found |= dict.fromkeys(names, one.agreed)
    return found


def _back(asked: Asked, path: str, done: str) -> Response:
    return RedirectResponse(f"{asked.pages.url}{path}?session={asked.token}&{done}=1", 303)
