"""The command that tells changed levels."""

from dataclasses import asdict
from typing import Annotated

import typer

from flows.commands.common import Json, load
from flows.commands.output import progress, say, say_rows


def feedback(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be told, and tell nothing.")] = False,
    limit: Annotated[int, typer.Option(help="With --dry-run: show at most so many.")] = 50,
    as_json: Json = False,
) -> None:
    """Tell levels that changed: to the topic competency.levels, which other systems can follow.

    Example: proficio feedback --dry-run
    """
    from flows.feedback import due
    from flows.feedback import feedback as tell

    settings = load(context)
    if dry_run:
        columns = {"person": "Person", "competency": "Competency", "told_level": "Told", "reported_level_name": "Now"}
        say_rows(due(settings, None if as_json else limit), as_json, columns, "Nothing is to be told.")
        return
    with progress("telling") as advance:
        done = tell(settings, progress=advance)
    say(asdict(done), as_json, f"{done.told:,} levels were told, {done.withdrawn:,} taken back.")
