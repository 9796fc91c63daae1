"""The commands that keep the data folder: backup, restore, verify."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.common import Json, load
from flows.commands.output import say, say_rows
from schemas.errors import QualityError


def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The backup to write, such as proficio-2026-11-26.tar.zst.")],
    as_json: Json = False,
) -> None:
    """Write a backup of the data folder while everything runs, and read it through once.

    It holds personal data and keys: keep it as you keep these.

    Example: proficio backup proficio.tar.zst
    """
    from flows.backup import backup as write

    done = write(load(context), file)
    say(asdict(done), as_json, f"{done.path}: {done.files:,} files, {done.bytes:,} bytes, read through and whole.")


def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The backup.")],
    erased: Annotated[
        Path | None,
        typer.Option(help="erased.db of a later time: whoever was erased since the backup is erased again."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Bring a backup back into a data folder that is empty or not there.

    Example: proficio restore proficio.tar.zst
    """
    from flows.backup import restore as bring_back

    settings = load(context)
    again = bring_back(settings, file, erased)
    told = f" {again} people were erased again." if erased else ""
    say(
        {"home": str(settings.home), "erased_again": again},
        as_json,
        f"{settings.home} is as it was.{told} Check it: proficio verify.",
    )


def verify(
    context: typer.Context,
    rebuild: Annotated[bool, typer.Option(help="Estimate every level from nothing too, and compare.")] = True,
    as_json: Json = False,
) -> None:
    """Check the lake against the event log, ids and offsets, and levels against a rebuild.

    Example: proficio verify --no-rebuild
    """
    from flows.verifying import verify as check

    findings = check(load(context), rebuild)
    rows = [
        {**asdict(one), "result": f"{len(one.wrong)} wrong: {one.wrong[0]}" if one.wrong else "yes"} for one in findings
    ]
    say_rows(rows, as_json, {"check": "Check", "checked": "Of", "result": "Holds"}, "")
    wrong = [one for one in findings if one.wrong]
    if wrong:
        raise QualityError(
            f"{len(wrong)} of {len(findings)} checks do not hold: {wrong[0].check}: {wrong[0].wrong[0]}.",
            "See docs/operations.md, Backup and recovery.",
        )
