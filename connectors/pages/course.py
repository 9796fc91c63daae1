"""The page of those who teach a course: its cohort, who is stuck, where evidence is missing."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.responses import Response

from connectors.pages.asking import Asked, Pages
from transforms import learner_page as words
from transforms.languages import N_

_STUCK_DAYS, _STUCK_TRIES = 30, 3


def course(asked: Asked) -> Response:
    """The cohort of the session's course."""
    pages, session, language = asked.pages, asked.session, asked.language
    if not session.teaches or not session.course[2]:
        return asked.refused(
            403, N_("Only those who teach a course see it."), N_("Open it from a course that you teach.")
        )
    title, roster = pages.roster(session.course)
    rows = [row for row in pages.marts.levels(list(roster)) if not row["insufficient_evidence"]]
    competencies = [one for one in pages.framework.competencies if not one.retired]
    counts = {
        one.id: [
            sum(row["competency"] == one.id and row["reported_level"] == level for row in rows) for level in range(5)
        ]
        for one in competencies
    }
    return asked.page(
        "course.html.j2", "course", course=title, people=len(roster),
        level_names=[words.level_name(pages.framework, level, language) for level in range(5)],
        competencies=[
            {"name": one.name, "counts": counts[one.id], "missing": len(roster) - sum(counts[one.id])} for one in competencies
        ],
        gaps=[one.name for one in competencies if 2 * sum(counts[one.id]) < len(roster)],
        stuck=_stuck(pages, roster),
        disputes=[_dispute(row, roster) for row in pages.marts.disputes(list(roster))],
        members=[_member(asked, person, name, rows) for person, name in sorted(roster.items(), key=lambda one: one[1].lower())],
    )  # fmt: skip


def _member(asked: Asked, person: str, name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    own = [row for row in rows if row["person"] == person]
    newest = max((row["last_evidence_at"] for row in own if row["last_evidence_at"]), default=None)
    return {
        "name": name or asked.language.text(N_("unnamed")), "known": len(own),
        "newest": asked.language.date(newest.date()) if newest else "–",
    }  # fmt: skip


def _dispute(row: Mapping[str, Any], roster: Mapping[str, str]) -> dict[str, str]:
    return {
        "name": roster[row["person"]], "what": words.evidence_name(row), "competency": row["competency_name"],
        "why": row["dispute"],
    }  # fmt: skip


def _stuck(pages: Pages, roster: Mapping[str, str]) -> list[dict[str, Any]]:
    """Who tried a competency several times of late, most of the time without success."""
    since = datetime.now(UTC) - timedelta(days=_STUCK_DAYS)
    outcomes: dict[tuple[str, str], list[float]] = {}
    for row in pages.marts.evidence_of(list(roster), since):
        outcomes.setdefault((row["person"], row["competency_name"]), []).append(row["outcome"])
    return [
        {"name": roster[person], "competency": competency, "tries": len(tries)}
        for (person, competency), tries in sorted(outcomes.items(), key=lambda one: (roster[one[0][0]], one[0][1]))
        if len(tries) >= _STUCK_TRIES and 2 * sum(outcome >= 0.5 for outcome in tries) < len(tries)
    ]
