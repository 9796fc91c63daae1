"""The commands about where the state of receivers stands: copy."""

from dataclasses import asdict

import typer

from flows.commands.common import Json, load
from flows.commands.output import say

app = typer.Typer(
    name="state",
    help="Where receivers keep what they know: files, or a PostgreSQL for several.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.callback()
def _state() -> None:
    """Keep `copy` a command of its own while it is the only one."""


@app.command()
def copy(context: typer.Context, as_json: Json = False) -> None:
    """Copy what a receiver keeps in the data folder to the PostgreSQL that state.url names. Nothing is removed.

    Example: proficio state copy
    """
    from flows.state_copying import copy_state

    done = copy_state(load(context))
    say(
        asdict(done),
        as_json,
        f"{done.rows:,} rows, the attachments and the keys were copied to the PostgreSQL at state.url.",
    )
