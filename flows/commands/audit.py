"""The commands about the audit log: list, verify."""

import typer

from flows.commands.common import Json, load
from flows.commands.output import say, say_rows
from schemas.errors import QualityError

app = typer.Typer(
    name="audit",
    help="Who did what with people's data: export, erase, admit.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command("list")
def show(context: typer.Context, as_json: Json = False) -> None:
    """List the audit log. Persons stand in it by a digest.

    Example: proficio audit list
    """
    from connectors import audit

    rows = audit.entries(load(context).home / "audit.jsonl")
    columns = {"at": "When", "by": "Who", "action": "What", "person": "Person", "statements": "Statements"}
    say_rows(rows, as_json, columns, "Nothing was done yet that the audit log keeps.")


@app.command()
def verify(context: typer.Context, as_json: Json = False) -> None:
    """Check that no entry was changed, taken out or put in. Keep the hash elsewhere: it shows whether any are missing at the end.

    Example: proficio audit verify
    """
    from connectors import audit

    path = load(context).home / "audit.jsonl"
    wrong = audit.altered(path)
    if wrong is not None:
        raise QualityError(
            f"{path}, line {wrong}: the entry is not as it was written, or does not follow on the one before.",
            "Compare it with a backup: who could write this file?",
        )
    found = audit.entries(path)
    newest = found[-1]["hash"] if found else None
    say({"entries": len(found), "hash": newest}, as_json, f"{len(found)} entries, unaltered. The last hash: {newest}.")
