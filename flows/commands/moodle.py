"""The commands for a Moodle that is told of levels: its competency framework."""

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.common import Json, load
from flows.commands.output import say

app = typer.Typer(help="The competency framework in a Moodle that is rated in.", no_args_is_help=True)


@app.callback()
def _common() -> None:
    """A group of commands, though there is one."""


@app.command()
def setup(
    context: typer.Context,
    sink: Annotated[
        str | None, typer.Option(help="The Moodle sink of the settings; needed where there are several.")
    ] = None,
    scale: Annotated[int | None, typer.Option(help="Id of the scale; looked for by its values without it.")] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Write the table that Moodle imports instead, and ask no Moodle.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make the competency framework in Moodle, with ID numbers that levels are told by. What is there stays as it is.

    Example: proficio moodle setup --csv framework-for-moodle.csv
    """
    from flows.frameworks import moodle_csv, set_up_moodle

    settings = load(context)
    if csv:
        moodle_csv(settings, csv)
        say({"written": str(csv)}, as_json, f"Written to {csv}. Import it: Site administration, Competencies, Import.")
        return
    done = set_up_moodle(settings, sink, scale)
    told = f"{done.made} competencies and groups were made, {done.there} were there, on scale {done.scale}."
    say(done._asdict(), as_json, told)
