"""`proficio align`: what the alignment rules make of statements, and proposals for what none takes."""

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.common import Json, load
from flows.commands.output import console, say, say_rows

app = typer.Typer(help="Try alignment rules on statements, and propose new ones.", no_args_is_help=True)

_RULES = {"rule_name": "Rule", "competency": "Competency", "level": "Level", "weight": "Weight",
          "statements": "Statements", "evidence": "Evidence", "example": "Such as"}  # fmt: skip
_UNALIGNED = {"activity_name": "Activity", "activity_id": "Id", "verb_id": "Verb", "reason": "Why", "carries": "Carries",
              "statements": "Statements"}  # fmt: skip


@app.command("test")
def test_rules(
    context: typer.Context,
    statements: Annotated[Path, typer.Argument(help="NDJSON or a JSON array of xAPI statements, also .gz or .zst.")],
    as_json: Json = False,
) -> None:
    """Show what each rule makes of the statements of a file, and which of them no rule takes. Nothing is kept.

    Example: proficio align test statements.ndjson.gz
    """
    from flows.align import align_test

    trial = align_test(load(context), statements)
    if as_json:
        say({"statements": trial.statements, "rejected": trial.rejected, "rules": trial.rules,
             "unaligned": trial.unaligned}, True, "")  # fmt: skip
        return
    say_rows(trial.rules, False, _RULES, "No rule takes any of these statements.")
    console().print("\n[bold]Without evidence[/]", highlight=False)
    say_rows(trial.unaligned, False, _UNALIGNED, "None: each statement about an activity is evidence.")
    refused = f" {trial.rejected:,} were refused; `proficio ingest` and `land` say why." if trial.rejected else ""
    console().print(f"\n{trial.statements:,} statements.{refused}", highlight=False)


@app.command()
def suggest(
    context: typer.Context,
    count: Annotated[int, typer.Option(help="For how many activities, at most.", min=1)] = 20,
    as_json: Json = False,
) -> None:
    """Propose rules for the unaligned activities that would bring most evidence, by the words of their names.

    Nothing is aligned by it: put the lines that are right into alignment.yaml.

    Example: proficio align suggest --count 50 > suggested.yaml
    """
    from flows.align import align_suggest, as_rules

    found = align_suggest(load(context), count)
    if as_json:
        rows = [{**row, "competency": one.competency, "level": one.level, "confidence": one.confidence}
                for row, one in found]  # fmt: skip
        say_rows(rows, True, {}, "")
        return
    console().print(
        as_rules(found) if found else "# No unaligned activity carries a score, a success or a completion.",
        highlight=False,
        markup=False,
    )
