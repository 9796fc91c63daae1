"""The commands about where the lake stands: copy."""

from dataclasses import asdict

import typer

from flows.commands.common import Json, load
from flows.commands.output import progress, say

app = typer.Typer(
    name="lake",
    help="Where the lake stands: a folder, or an object store.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.callback()
def _lake() -> None:
    """Keep `copy` a command of its own while it is the only one."""


@app.command()
def copy(context: typer.Context, as_json: Json = False) -> None:
    """Copy the lake of the data folder to where the setting `lake` says. Nothing is removed; levels go on as they are.

    Example: PROFICIO_LAKE=s3://learning/lake proficio lake copy
    """
    from flows.copying import copy_lake

    settings = load(context)
    with progress("copying") as advance:
        done = copy_lake(settings, advance)
    told = f"{done.rows:,} statements in {done.files:,} files were copied to {settings.lake}."
    say(asdict(done), as_json, told if done.files else f"There was nothing left to copy to {settings.lake}.")
