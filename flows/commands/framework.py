"""`proficio framework`: look at the competency framework, check one's own, take one from CASE or CSV, give it out."""

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.common import Json, load
from flows.commands.output import console, say, say_rows
from schemas.errors import InputError

app = typer.Typer(help="Show, check, import and export the competency framework.", no_args_is_help=True)


@app.command()
def check(
    context: typer.Context,
    folder: Annotated[Path | None, typer.Argument(help="Folder of a framework; the one in use without it.")] = None,
    as_json: Json = False,
) -> None:
    """Check a framework's folder: competencies, alignment rules, activity types, roles, criteria.

    Example: proficio framework check my-framework
    """
    from flows.frameworks import check as read

    found = read(folder, load(context))
    counted = {
        "framework": found.framework.id, "version": found.framework.version, "competencies": len(found.framework.competencies),
        "rules": len(found.rules), "roles": len(found.roles), "criteria": len(found.criteria),
    }  # fmt: skip
    say(counted, as_json, f"{found.framework.title} {found.framework.version} is valid: {counted['competencies']} competencies, "
        f"{counted['rules']} rules, {counted['roles']} roles, {counted['criteria']} criteria.")  # fmt: skip


@app.command()
def show(
    context: typer.Context,
    competency: Annotated[str | None, typer.Argument(help="Id of a competency, for its indicators and levels.")] = None,
    as_json: Json = False,
) -> None:
    """Show the framework in use, or one competency with what it looks like at each level.

    Example: proficio framework show data-literacy
    """
    from flows.opening import definitions

    framework = definitions(load(context)).framework
    if as_json:
        say(framework.model_dump(mode="json"), True, "")
        return
    out = console()
    if competency is None:
        out.print(
            f"[bold]{framework.title}[/] {framework.version}, for {', '.join(framework.purpose)}\n", highlight=False
        )
        rows = [
            {
                "group": group.name,
                "id": one.id,
                "name": one.name + (" (retired)" if one.retired else ""),
                "description": one.description,
            }
            for group in framework.groups
            for one in group.competencies
        ]
        say_rows(rows, False, {"group": "Group", "id": "Id", "name": "Competency", "description": "What it is"}, "")
        return
    one = next((each for each in framework.competencies if each.id == competency), None)
    if one is None:
        known = ", ".join(each.id for each in framework.competencies)
        raise InputError(f"There is no competency {competency}.", f"Give one of {known}.")
    out.print(f"[bold]{one.name}[/]\n{one.description}\n", highlight=False)
    for text in one.indicators:
        out.print(f"  · {text}", highlight=False)
    out.print("")
    rows = [{"name": level.name, "text": one.levels.get(level.id, level.description)} for level in framework.levels]
    say_rows(rows, False, {"name": "Level", "text": "What it looks like"}, "")


@app.command()
def roles(context: typer.Context, as_json: Json = False) -> None:
    """List the roles, with the level that each requires of each competency.

    Example: proficio framework roles
    """
    from flows.opening import definitions

    known = definitions(load(context))
    names = {one.id: one.name for one in (*known.framework.competencies, *known.framework.levels)}
    rows = [
        {
            "id": role.id,
            "name": role.name,
            "requires": ", ".join(f"{names[one]}: {names[level]}" for one, level in role.requires.items()),
        }
        for role in known.roles
    ]
    say_rows(
        rows,
        as_json,
        {"id": "Id", "name": "Role", "requires": "Requires"},
        "The framework has no roles: add roles.yaml.",
    )


@app.command("import")
def take(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A 1EdTech CASE 1.0 package (.json) or a table (.csv).")],
    folder: Annotated[Path, typer.Option(help="Folder to write the framework into.")] = Path("framework"),
    as_json: Json = False,
) -> None:
    """Make a framework's folder from a CASE package or a CSV table. What is not valid is refused whole.

    Example: proficio framework import competencies.json --folder my-framework
    """
    from flows.frameworks import import_framework

    found = import_framework(load(context), file, folder)
    say({"folder": str(folder), "framework": found.id, "competencies": len(found.competencies)}, as_json,
        f"{found.title}: {len(found.competencies)} competencies in {folder}. To use it, set estimate.framework = \"{folder}\"; "
        f"alignment.yaml there holds the rules that suit any framework.")  # fmt: skip


@app.command()
def export(
    context: typer.Context,
    target: Annotated[
        Path, typer.Argument(help="File ending in .json (CASE 1.0) or .csv, or a folder for all of it as YAML.")
    ],
    as_json: Json = False,
) -> None:
    """Write the framework in use as a CASE package, as a CSV table, or as a folder to edit.

    Example: proficio framework export framework.json
    """
    from flows.frameworks import export_framework

    written = export_framework(load(context), target)
    say({"written": str(written)}, as_json, f"Written to {written}.")
