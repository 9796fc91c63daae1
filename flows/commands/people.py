"""The commands about people: explain, gaps, next. They read what is published."""

from typing import Annotated, Any

import typer

from flows.commands.common import Json, load
from flows.commands.output import console, say_rows

Who = Annotated[str, typer.Argument(help="Mail address, account, name or key.")]


def explain(
    context: typer.Context,
    person: Who,
    competency: Annotated[str | None, typer.Argument(help="Id or name; those with evidence without it.")] = None,
    limit: Annotated[int, typer.Option(help="Show at most so many pieces of evidence of each.", min=1)] = 10,
    as_json: Json = False,
) -> None:
    """Say why a level is what it is: what moved it, by how much, what time has taken, what would change it.

    Contributions are in logits of ability, counted from the mean of all people, and sum to the expected ability.

    Example: proficio explain ada@example.org data-literacy
    """
    from flows.explaining import explain as read

    for one in read(load(context), person, competency):
        level = one.level
        if as_json:
            say_rows([{**level, "parts": one.parts, "changes": one.changes}], True, {}, "")
            continue
        out = console()
        doubt = ", too little evidence to speak of it" if level["insufficient_evidence"] else ""
        out.print(
            f"\n[bold]{level['competency_name']}[/]: {level['level_name']}{doubt}; ability {level['ability_mean']:+.2f}, "
            f"between {level['ability_low']:+.2f} and {level['ability_high']:+.2f} in 9 of 10 cases",
            highlight=False,
        )
        rest = [part for part in one.parts if part["component"] == "evidence"][limit:]
        shown = [_part(part) for part in one.parts if part not in rest]
        if rest:
            moved = sum(part["contribution"] for part in rest)
            shown.append({"what": f"{len(rest)} more pieces of evidence", "moved": f"{moved:+z.3f}"})
        shown.append({"what": "Sum", "moved": f"{level['ability_mean']:+z.3f}"})
        columns = {"moved": "Moved by", "what": "What", "outcome": "Outcome", "pitched_level": "At level", "left": "Left of it",
                   "occurred_at": "When"}  # fmt: skip
        say_rows(shown, False, columns, "")
        now = level["level"]
        for change in one.changes:
            if change["level"] != now:
                verb = "success" if change["outcome"] else "failure"
                out.print(
                    f"One more {verb} at level {change['pitched_level']} would make it level {change['level']}.",
                    highlight=False,
                )
        if all(change["level"] == now for change in one.changes):
            out.print("No single further outcome would change the level.", highlight=False)


def _part(part: dict[str, Any]) -> dict[str, Any]:
    from transforms.explanation import COMPONENTS

    return {
        **part,
        "what": COMPONENTS.get(part["component"]) or part["activity_name"] or part["activity_id"],
        "moved": f"{part['contribution']:+z.3f}",
        "left": None if part["share_left"] is None else f"{part['share_left']:.0%}",
    }


def gaps(
    context: typer.Context,
    role: Annotated[str, typer.Argument(help="A role, by its id or name: proficio framework roles.")],
    person: Annotated[
        str | None, typer.Argument(help="Mail address, account, name or key; everyone without it.")
    ] = None,
    team: Annotated[str | None, typer.Option(help="A team that identity.attributes names.")] = None,
    as_json: Json = False,
) -> None:
    """Compare a person, a team or everyone with what a role requires.

    Of a person: what is met with what probability, and short by what. Of a team: who covers what, and where it depends on one.

    Example: proficio gaps generative-ai-engineer ada@example.org
    """
    from flows.roles import gaps as read
    from transforms.coverage import coverage

    rows = read(load(context), role, person, team)
    if person:
        columns = {"competency_name": "Competency", "required_level_name": "Required", "estimated_level": "Estimated level",
                   "p_met": "P(met)", "ability_short": "Short by (logits)", "status": "Status"}  # fmt: skip
        say_rows(rows, as_json, columns, "")
        return
    covered = coverage(rows)
    if not as_json:
        covered = [{**one, "meeting": len(one["met_by"])} for one in covered]
    columns = {"competency_name": "Competency", "required_level_name": "Required", "people": "People", "meeting": "Meet it",
               "expected_to_meet": "Expected to", "risk": "Depends on"}  # fmt: skip
    say_rows(covered, as_json, columns, "")


def next_steps(
    context: typer.Context,
    person: Who,
    role: Annotated[str | None, typer.Argument(help="A role, by its id or name; all roles without it.")] = None,
    as_json: Json = False,
) -> None:
    """Name the activities that are worth doing next for a role, and why.

    Example: proficio next ada@example.org generative-ai-engineer
    """
    from flows.roles import next_steps as read

    columns = {"role_name": "Role", "step": "", "activity_name": "Activity", "reason": "Why"}
    rows = read(load(context), person, role)
    if not as_json:
        rows = [{**row, "activity_name": row["activity_name"] or row["activity_id"]} for row in rows]
    say_rows(rows, as_json, columns, "No activity of the catalogue is in reach for what is lacking.")
