"""The command that tells changed levels."""

from dataclasses import asdict
from typing import Annotated

import typer

from flows.commands.common import Json, load
from flows.commands.output import progress, say, say_rows


def feedback(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be told, and tell nothing.")] = False,
    refused: Annotated[bool, typer.Option("--refused", help="Show what sinks refuse to hear, and why.")] = False,
    limit: Annotated[int, typer.Option(help="With --dry-run: show at most so many.")] = 50,
    as_json: Json = False,
) -> None:
    """Tell levels that changed: the topic competency.levels, which other systems can follow, and the sinks of the settings.

    Example: proficio feedback --dry-run
    """
    from flows.feedback import due
    from flows.feedback import feedback as tell
    from flows.feedback import refused as refusals

    settings = load(context)
    if refused:
        told = {"sink": "Sink", "person": "Person", "competency": "Competency", "level": "Level", "reason": "Reason"}
        say_rows(refusals(settings), as_json, told, "Nothing was refused.")
        return
    if dry_run:
        columns = {
            "sink": "Sink",
            "person": "Person",
            "competency": "Competency",
            "told_level": "Told",
            "reported_level_name": "Now",
        }
        say_rows(due(settings, None if as_json else limit), as_json, columns, "Nothing is to be told.")
        return
    with progress("telling") as advance:
        done = tell(settings, progress=advance)
    lines = [
        f"{one.sink}: {one.told:,} levels were told, {one.withdrawn:,} taken back, {one.refused:,} refused."
        for one in done
    ]
    say({one.sink: asdict(one) for one in done}, as_json, "\n".join(lines))
