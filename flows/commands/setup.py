"""`proficio init` and `proficio doctor`."""

from pathlib import Path
from typing import Annotated

import typer

from flows import settings_file
from flows.commands.common import Json, load
from flows.commands.output import console, say, say_rows
from schemas.errors import InputError


def init(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder to put proficio.toml into.")] = Path(),
    as_json: Json = False,
) -> None:
    """Write a commented proficio.toml and create the event log's topics.

    Example: proficio init
    """
    from flows.opening import event_log, topics

    path = context.obj or folder / settings_file.FILE
    written = not path.exists()
    if written:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(settings_file.TEMPLATE, encoding="utf-8")
        except OSError as error:
            raise InputError(
                f"{path} cannot be written: {error.strerror}.", "Name a folder that is writable."
            ) from None
    settings = settings_file.load(path)
    with event_log(settings) as log:
        created = log.create(topics(settings))
    sentence = f"{'Wrote' if written else 'Kept'} {path}. Data will live in {settings.home}."
    if created:
        sentence += f" Created topics: {', '.join(created)}."
    say({"settings": str(path), "written": written, "home": str(settings.home), "topics": created}, as_json, sentence)
    if not as_json:
        console().print("Next: proficio doctor, then proficio ingest FILE or proficio pull git PATH.", highlight=False)


def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Check each part that is configured, and say how to mend what is wrong.

    Example: proficio doctor --json
    """
    from flows.doctor import examine

    findings = examine(load(context))
    rows = [{"part": one.part, "state": one.state, "found": one.found, "mend": one.mend} for one in findings]
    say_rows(rows, as_json, {"part": "Part", "state": "State", "found": "Found", "mend": "How to mend"}, "")
    if any(one.state == "wrong" for one in findings):
        raise typer.Exit(max(one.exit_code for one in findings))
