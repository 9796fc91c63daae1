"""The commands about a person's data: export, erase, admit."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.common import Json, load
from flows.commands.output import say, tell
from schemas.errors import InputError

app = typer.Typer(
    name="person",
    help="A person's data: give them all of it, or erase it.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
Who = Annotated[str, typer.Argument(help="Any account or mail address of the person, or their key.")]


@app.command()
def erase(
    context: typer.Context,
    account: Who,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Erase a person: every statement, level and trace of theirs. What comes of them later is dropped and counted.

    `serve` and `stream` may run; levels wait until it is done. Backups are yours to renew.

    Example: proficio person erase ada@example.org
    """
    from flows.erasing import erase as take_out
    from flows.persons import person_of

    settings = load(context)
    person = person_of(settings, account)
    if not yes:
        listed = "\n".join(f"  {one}" for one in person.accounts)
        typer.confirm(
            f"Erase the person {person.key} with these accounts:\n{listed}\nThis cannot be undone. Go on?", abort=True
        )
    tell("Levels are estimated anew from what is left; this may take minutes.")
    done = take_out(settings, person)
    told = f" Tell whoever runs these that were told of the person: {', '.join(done.told)}." if done.told else ""
    files = [str(one) for one in (settings.identity.table, settings.identity.attributes) if one]
    lines = f" Take their lines out of {' and '.join(files)}." if files else ""
    say(
        asdict(done),
        as_json,
        f"Erased: {done.statements:,} statements, {done.dead_letters:,} dead letters, {done.levels:,} levels told, "
        f"{done.attachments:,} attachments; {done.statements_changed:,} statements of others name them no more.{told}{lines}",
    )
    if done.left:
        raise InputError(
            f"These files name the person still: {', '.join(done.left)}.",
            "Another process may have written them: run the command again. Else look at them, and remove them.",
        )


@app.command()
def admit(context: typer.Context, account: Who, as_json: Json = False) -> None:
    """Let a person come in again who was erased: what arrives of this account from now on counts.

    Example: proficio person admit ada@example.org
    """
    from connectors import audit
    from flows.opening import erased
    from transforms.identity import as_account

    settings = load(context)
    register = erased(settings)
    digest = register.digest_of(as_account(account))
    if not register.admit(as_account(account)):
        raise InputError(f"{account} was not erased.", "Give one of the accounts by which the person was erased.")
    audit.note(settings.home / "audit.jsonl", "admit", person=digest)
    say({"account": account}, as_json, f"What arrives of {account} counts again.")


@app.command()
def export(
    context: typer.Context,
    account: Who,
    to: Annotated[Path, typer.Option("--to", help="Folder to write, which must not be there yet.")],
    as_json: Json = False,
) -> None:
    """Write everything that is held on a person into a folder: a page to read, and files for programs.

    Example: proficio person export ada@example.org --to ada
    """
    from flows.exporting import export as write
    from flows.persons import person_of

    settings = load(context)
    done = write(settings, person_of(settings, account), to)
    say(asdict(done), as_json, f"Written to {done.page}: {done.statements:,} statements, {len(done.files)} files.")
