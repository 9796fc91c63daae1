"""What the learner page says: rows of marts as words, and as places on its charts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from schemas.framework import Framework
from transforms.explanation import Contribution
from transforms.languages import N_, Language
from transforms.level_words import certainty, chance

_LOW, _HIGH = -4.5, 4.5  # abilities that charts show, in logits
_PARTS = 8  # of an explanation that are told one by one
_DAYS = 60  # of a history that are shown
COMPONENTS = {
    "other competencies": N_("What your other competencies say"),
    "practice": N_("How often you practised"),
}
_STATUS = {
    "met": N_("met"),
    "short": N_("not yet: {level} so far"),
    "criteria open": N_("not yet: a required piece of work is missing"),
    "insufficient evidence": N_("not enough evidence yet"),
}


def groups(framework: Framework, rows: Iterable[Mapping[str, Any]], language: Language) -> list[dict[str, Any]]:
    """The competencies by group, in the framework's order, each with its level in words and its range on the chart."""
    by_id = {row["competency"]: row for row in rows}
    return [
        {
            "name": group.name,
            "rows": [
                {"id": one.id, "name": one.name, **told(framework, by_id.get(one.id), language)}
                for one in group.competencies
                if not one.retired
            ],
        }
        for group in framework.groups
    ]


def told(framework: Framework, row: Mapping[str, Any] | None, language: Language) -> dict[str, Any]:
    """A level in words: `level` is "" where there is too little evidence to speak of one."""
    if row is None or row["insufficient_evidence"]:
        return {"level": "", "certainty": "", "range": ""}
    low, high = place(row["ability_low"]), place(row["ability_high"])
    return {
        "level": level_name(framework, row["reported_level"], language),
        "certainty": certainty(chance(row), language),
        "range": _range(framework, row["ability_low"], row["ability_high"], language),
        "low": low,
        "width": round(high - low, 1),
        "middle": place(row["ability_mean"]),
    }


def level_name(framework: Framework, level: int, language: Language) -> str:
    """The name of a level, 0 for below the lowest."""
    if level:
        return framework.levels[level - 1].name
    return language.text(N_("below {level}"), level=framework.levels[0].name)


def place(ability: float) -> float:
    """Where an ability stands on a chart that is 100 wide."""
    return round((min(max(ability, _LOW), _HIGH) - _LOW) / (_HIGH - _LOW) * 100, 1)


def moved(
    parts: Iterable[Contribution], evidence: Mapping[str, Mapping[str, Any]], language: Language
) -> list[dict[str, Any]]:
    """What moved a level, the most first; what is small, together. `evidence` is by statement id."""
    ordered = sorted(parts, key=lambda part: -abs(part.contribution))
    shown, rest = ordered[:_PARTS], ordered[_PARTS:]
    most = max((abs(part.contribution) for part in shown), default=0) or 1
    rows = [_part(_what(part, evidence, language), part.contribution, most, language) for part in shown]
    if rest:
        what = language.plural("{number} more piece", "{number} more pieces", len(rest))
        rows.append(_part(what, sum(part.contribution for part in rest), most, language))
    return rows


def history(framework: Framework, rows: Sequence[Mapping[str, Any]], language: Language) -> dict[str, Any] | None:
    """How a level went, for a chart 300 wide and 100 high, and as rows, newest first; None with fewer than two days."""
    known = [row for row in rows if row["ability_mean_now"] is not None]
    if len(known) < 2:
        return None
    first, last = known[0]["day"], known[-1]["day"]
    days = max((last - first).days, 1)
    points = [
        f"{(row['day'] - first).days / days * 300:.1f},{100 - place(row['ability_mean_now']):.1f}" for row in known
    ]
    return {
        "points": " ".join(points),
        "cuts": [{"y": round(100 - place(level.cut), 1), "name": level.name} for level in framework.levels],
        "rows": [
            {
                "day": language.date(row["day"]),
                "level": level_name(framework, row["level_now"], language),
                "count": row["evidence_count"],
            }
            for row in reversed(known[-_DAYS:])
        ],
    }


def piece(row: Mapping[str, Any], language: Language) -> dict[str, Any]:
    """A piece of evidence: its activity, a link to it where it is one, how it went and when."""
    outcome = row["outcome"]
    if outcome >= 0.75:
        went = N_("done well")
    elif outcome >= 0.4:
        went = N_("done in part")
    else:
        went = N_("not yet done well")
    day = language.date(row["occurred_at"].date())
    said = language.text(
        N_("({level}): {went}, {day}"), level=row["pitched_level_name"], went=language.text(went), day=day
    )
    return {"id": row["statement_id"], "name": evidence_name(row), "link": link(row["activity_id"]),
            "said": said, "day": day}  # fmt: skip


def evidence_name(row: Mapping[str, Any]) -> str:
    """What an activity is called."""
    return str(row["activity_name"] or row["activity_id"])


def step(row: Mapping[str, Any], language: Language) -> dict[str, Any]:
    """An activity that is worth doing next, and why."""
    said = language.text(
        N_("({competency}): you are {share} likely to do it well."),
        competency=row["competency_name"], share=language.percent(row["chance_of_success"]),
    )  # fmt: skip
    return {"name": evidence_name(row), "link": link(row["activity_id"]), "said": said}


def gap(framework: Framework, row: Mapping[str, Any], language: Language) -> dict[str, Any]:
    """A competency that a role asks for, and whether it is met."""
    template = _STATUS[row["status"]]
    said = language.text(template, level=level_name(framework, row["reported_level"], language))
    return {"competency_name": row["competency_name"], "required_level_name": row["required_level_name"], "said": said}


def link(activity: str) -> str:
    """The address of an activity, "" where its id is none that a browser opens."""
    return activity if activity.startswith(("https://", "http://")) else ""


def _range(framework: Framework, low: float, high: float, language: Language) -> str:
    cuts = [level.cut for level in framework.levels]
    ends = [level_name(framework, sum(cut <= ability for cut in cuts), language) for ability in (low, high)]
    if ends[0] == ends[1]:
        return language.text(N_("In 9 of 10 cases: {level}."), level=ends[0])
    return language.text(N_("In 9 of 10 cases: between {low} and {high}."), low=ends[0], high=ends[1])


def _what(part: Contribution, evidence: Mapping[str, Mapping[str, Any]], language: Language) -> str:
    if part.statement_id is None:
        return language.text(COMPONENTS[part.component])
    row = evidence[part.statement_id]
    named = piece(row, language)
    return f"{named['name']} {named['said']}"


def _part(what: str, contribution: float, most: float, language: Language) -> dict[str, Any]:
    width = min(abs(contribution) / most, 1) * 48
    if abs(contribution) < 0.05:
        said = N_("hardly")
    elif contribution > 0:
        said = N_("up, much") if contribution > most / 2 else N_("up, a little")
    else:
        said = N_("down, much") if -contribution > most / 2 else N_("down, a little")
    return {
        "what": what, "said": language.text(said), "direction": "up" if contribution > 0 else "down",
        "x": round(50 if contribution > 0 else 50 - width, 1), "width": round(width, 1),
    }  # fmt: skip
