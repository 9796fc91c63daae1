"""The command report."""

from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.common import Json, load
from flows.commands.output import say


class Kind(StrEnum):
    person = "person"
    team = "team"
    role = "role"


def report(
    context: typer.Context,
    subject: Annotated[str, typer.Argument(help="A person (mail address, account, name or key), a team, or a role.")],
    role: Annotated[str | None, typer.Option(help="Of a person or team: the role that they are seen beside.")] = None,
    team: Annotated[str | None, typer.Option(help="Of a role: those among whom it looks; everyone without it.")] = None,
    since: Annotated[
        datetime | None,
        typer.Option(help="Of a person: the day from which changes are told; half a year ago without it."),
    ] = None,
    kind: Annotated[Kind | None, typer.Option("--as", help="What is meant, where a name is several things.")] = None,
    to: Annotated[Path, typer.Option("--to", help="Folder to write into.")] = Path(),
    named: Annotated[
        bool, typer.Option("--names/--no-names", help="Whether people are named, or by their keys.")
    ] = True,
    pdf: Annotated[bool, typer.Option("--pdf/--no-pdf", help="Whether a PDF is written beside the page.")] = True,
    as_json: Json = False,
) -> None:
    """Write a report, as one HTML page and as PDF, from what is published; every figure with its evidence and uncertainty.

    On a person for a conversation about their work, on a team for a plan of training, on a role for a decision who takes it.

    Example: proficio report ada@example.org --role generative-ai-engineer

    Example: proficio report responsible-ai-lead --team Sales --no-names
    """
    from flows.reporting import Asked
    from flows.reporting import report as write

    asked = Asked(subject, kind.value if kind else None, role, team, since.date() if since else None, named)
    done = write(load(context), asked, to, pdf)
    say(asdict(done), as_json, f"Written: {done.html}" + (f" and {done.pdf}" if done.pdf else ""))
