"""The report on a person, for a conversation about their work: levels, what moved them, what each rests on, what to ask."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from schemas.framework import Framework
from transforms.coverage import expected
from transforms.explanation import COMPONENTS
from transforms.learner_page import evidence_name, level_name, link, place, told
from transforms.reports.rendering import LANGUAGE, Made, render

_PARTS, _PIECES = 6, 8  # of each competency that are listed
_STEPS = 5
Rows = Sequence[Mapping[str, Any]]


class Known(NamedTuple):
    """The rows of published marts of one person; each as its mart has them."""

    levels: Rows
    history: Rows
    evidence: Rows
    explanations: Rows
    gaps: Rows
    next_steps: Rows
    portfolio: Rows
    continuous_learning: Rows
    disputes: Rows
    stuck: Rows


def person_report(framework: Framework, name: str, known: Known, role: str | None, since: date, made: Made) -> str:
    """The page. `role` is the id of a role that the person is seen beside; `since` the day from which changes are told."""
    levels = {row["competency"]: row for row in known.levels}
    gaps = sorted((row for row in known.gaps if row["role"] == role), key=lambda row: (row["p_met"], row["competency"]))
    steps = [row for row in known.next_steps if role is None or row["role"] == role]
    return render(
        "person.html.j2",
        framework,
        made,
        name=name,
        groups=[
            {
                "name": group.name,
                "rows": [
                    _level(framework, one.name, levels.get(one.id)) for one in group.competencies if not one.retired
                ],
            }
            for group in framework.groups
        ],
        pieces=len(known.evidence),
        first=min((row["occurred_at"] for row in known.evidence), default=None),
        last=max((row["occurred_at"] for row in known.evidence), default=None),
        known_well=sum(not row["insufficient_evidence"] for row in known.levels),
        changes=list(_changes(framework, levels, known.history, since)),
        since=since,
        role=gaps[0]["role_name"] if gaps else "",
        gaps=gaps,
        met=expected(row["p_met"] for row in gaps),
        rests=[_rests(framework, row, known) for row in known.levels if row["evidence_count"]],
        portfolio=sorted(known.portfolio, key=lambda row: -row["evidence_weight"]),
        continuous=[row for row in known.continuous_learning if row["statements"]],
        steps=_best(steps)[:_STEPS],
        to_ask=list(_to_ask(framework, known, gaps)),
        saw_themselves=any(row["self_assessed_level"] is not None for row in known.levels),
        place=place,
        link=link,
    )


def _level(framework: Framework, name: str, row: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"name": name, "row": row, **told(framework, row, LANGUAGE)}


def _changes(
    framework: Framework, levels: Mapping[str, Mapping[str, Any]], history: Rows, since: date
) -> Iterable[dict[str, Any]]:
    """Each competency that evidence came to since a day: where it stood then by all that is known now, and where it stands."""
    for competency, now in levels.items():
        days = sorted((row for row in history if row["competency"] == competency), key=lambda row: row["day"])
        before = [row for row in days if row["day"] < since and row["level_now"] is not None]
        then = before[-1] if before else None
        came = now["evidence_count"] - (then["evidence_count"] if then else 0)
        if came > 0 and not now["insufficient_evidence"]:
            yield {
                "competency_name": now["competency_name"],
                "then": then,
                "then_name": _named(framework, then["level_now"]) if then else "",
                "now": now,
                "moved": now["ability_mean"] - then["ability_mean_now"] if then else None,
                "came": came,
            }


def _rests(framework: Framework, row: Mapping[str, Any], known: Known) -> dict[str, Any]:
    """What the level of a competency rests on: what moved it, the most first, and its newest evidence."""
    parts = [one for one in known.explanations if one["competency"] == row["competency"]]
    parts.sort(key=lambda one: -abs(one["contribution"]))
    pieces = [one for one in known.evidence if one["competency"] == row["competency"]]
    most = max((abs(one["contribution"]) for one in parts), default=0) or 1
    return {
        "row": row,
        **told(framework, row, LANGUAGE),
        "parts": [
            {
                **one,
                "what": COMPONENTS.get(one["component"]) or evidence_name(one),
                "share": abs(one["contribution"]) / most,
            }
            for one in parts[:_PARTS]
        ],
        "others": len(parts) - len(parts[:_PARTS]),
        "others_moved": sum(one["contribution"] for one in parts[_PARTS:]),
        "pieces": [{**one, "name": evidence_name(one)} for one in pieces[:_PIECES]],
        "pieces_in_all": len(pieces),
    }


def _named(framework: Framework, level: int) -> str:
    return level_name(framework, level, LANGUAGE)


def _best(steps: Rows) -> list[dict[str, Any]]:
    """Steps, each activity once, the most worthwhile first."""
    by_activity: dict[str, dict[str, Any]] = {}
    for row in sorted(steps, key=lambda row: -row["worth"]):
        by_activity.setdefault(row["activity_id"], {**row, "name": evidence_name(row)})
    return list(by_activity.values())


def _to_ask(framework: Framework, known: Known, gaps: Rows) -> Iterable[str]:
    """What the figures do not say, and a conversation can."""
    unknown = [row["competency_name"] for row in gaps if row["insufficient_evidence"]]
    if unknown:
        yield f"Required, with too little evidence: {', '.join(unknown)}. What work of theirs was not recorded?"
    for row in known.disputes:
        yield f"{row['competency_name']}: the person disputes evidence ({evidence_name(row)}): “{row['dispute']}”"
    for row in known.levels:
        name, seen = row["competency_name"], row["self_assessed_level"]
        if seen is not None and not row["insufficient_evidence"] and abs(seen - row["reported_level"]) >= 1:
            yield (
                f"{name}: they see themselves at {_named(framework, seen)}, evidence says "
                f"{_named(framework, row['reported_level'])}. What does it not show?"
            )
        if row["stale"] and not row["insufficient_evidence"]:
            yield f"{name}: the newest evidence is of {LANGUAGE.date(row['last_evidence_at'])}. Is it still used?"
        if row["criteria_open"] and row["reported_level"] < row["level"]:
            yield f"{name}: {_named(framework, row['level'])} by the estimate, with criteria open: {row['criteria_open']}."
    for row in known.stuck:
        yield (
            f"{row['competency_name']}: {row['pieces_since']} pieces of evidence since {LANGUAGE.date(row['since'])}, "
            "and the level is the same. What stands in the way?"
        )
