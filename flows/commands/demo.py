"""`proficio demo`: the whole pipeline on a cohort whose truth is known and on a real Git repository."""

import gzip
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import orjson
import typer

from flows import settings_file
from flows.commands.common import Json
from flows.commands.output import console, say, say_rows
from schemas.errors import InputError, ProficioError

SEED = 20_260_101
DAYS = 182
TEAMS = ("Engineering", "Marketing", "Operations", "Research", "Sales")


def demo(
    repo: Annotated[
        str | None, typer.Option("--repo", help="Git repository to read; else the one around this folder.")
    ] = None,
    people: Annotated[int, typer.Option(help="People in the simulated cohort.", min=2)] = 300,
    folder: Annotated[Path, typer.Option(help="Folder for the demo's data; emptied first.")] = Path(".proficio/demo"),
    as_json: Json = False,
) -> None:
    """Run the whole pipeline on a simulated cohort and a real Git repository; end on levels beside the truth, and a page.

    Example: proficio demo --repo ~/src/my-project
    """
    from flows.explaining import explain
    from flows.opening import definitions, identities
    from flows.reading import evidence, levels
    from transforms.estimator import Parameters
    from transforms.page import agreement, page
    from transforms.simulation import cohort, statements

    started = time.monotonic()
    folder = _emptied(folder.resolve())
    config = folder / settings_file.FILE
    _proficio(config, "init", str(folder), quiet=as_json)
    config.write_text(
        config.read_text("utf-8").replace('# attributes = "people.csv" ', 'attributes = "people.csv" '), "utf-8"
    )
    settings = settings_file.load(config)
    chosen = definitions(settings).framework
    parameters = Parameters(cuts=tuple(level.cut for level in chosen.levels))
    group = cohort(chosen, people, SEED, parameters)
    (folder / "people.csv").write_text(
        "account,team\n" + "".join(f"{one},{TEAMS[n % len(TEAMS)]}\n" for n, one in enumerate(group.people)), "utf-8"
    )
    file = folder / "cohort.ndjson.gz"
    with gzip.open(file, "wb", compresslevel=1) as out:
        for statement in statements(group, chosen, datetime.now(UTC), DAYS, SEED, parameters):
            out.write(orjson.dumps(statement) + b"\n")
    _proficio(config, "ingest", str(file), quiet=as_json)
    repository = repo or _repository_here()
    if repository:
        _proficio(config, "pull", "git", repository, quiet=as_json)
    elif not as_json:
        console().print("No Git repository is around this folder; name one with --repo.", highlight=False)
    _proficio(config, "run", quiet=as_json)
    _proficio(config, "status", quiet=as_json)

    rows = levels(settings)
    keys = identities(settings).person_keys(group.people)
    truth = {
        (person, competency): float(group.abilities[i, j])
        for i, person in enumerate(keys)
        for j, competency in enumerate(group.competencies)
    }
    agreed = agreement(rows, truth, parameters.cuts)
    shown = keys[0]
    html = folder / "levels.html"
    made_at = f"{datetime.now(UTC):%Y-%m-%d}"
    text = page(chosen, rows, shown, evidence(settings, shown), explain(settings, shown), truth, agreed, made_at)
    html.write_text(text, "utf-8")
    if as_json:
        say({"page": str(html), "seconds": round(time.monotonic() - started, 1), **agreed}, True, "")
        return
    out_console = console()
    out_console.print(f"\n[bold]{group.names[0]}[/]: estimated levels beside the truth", highlight=False)
    names = ["below", *(level.name for level in chosen.levels)]
    true_levels = group.true_levels(parameters.cuts)[0]
    say_rows(
        [
            {
                **row,
                "interval": f"{row['ability_low']:+.1f} … {row['ability_high']:+.1f}",
                "truth": f"{names[true_levels[group.competencies.index(row['competency'])]]}"
                f" ({truth[shown, row['competency']]:+.1f})",
                "level_name": f"({row['level_name']})" if row["insufficient_evidence"] else row["level_name"],
            }
            for row in rows
            if row["person"] == shown
        ],
        False,
        {"competency_name": "Competency", "level_name": "Estimated", "interval": "90 % interval", "truth": "Truth",
         "evidence_count": "Evidence"},
        "",
    )  # fmt: skip
    out_console.print("\n[bold]The cohort[/]: how often estimate and truth agree", highlight=False)
    say_rows(
        [
            {"name": name, **{key: f"{value:.0%}" if key != "estimates" else value for key, value in shares.items()}}
            for name, shares in [*agreed["competencies"].items(), ("All", agreed["overall"])]
        ],
        False,
        {"name": "Competency", "estimates": "Estimates", "exact": "Same level", "within_one": "Within one",
         "covered": "Truth in 90 % interval"},
        "",
    )  # fmt: skip
    out_console.print(
        f"\nA page with all of it: {html}\nTook {time.monotonic() - started:.0f} s. Ask it yourself, in {folder}:\n"
        f"  proficio explain {group.people[0].removeprefix('mailto:')}\n"
        f"  proficio gaps {definitions(settings).roles[0].id} --team {TEAMS[-1]}",
        highlight=False,
    )


def _proficio(config: Path, *arguments: str, quiet: bool) -> None:
    """Run a command as an operator would, and show it."""
    if not quiet:
        console().print(f"[bold]$ proficio {' '.join(arguments)}[/]", highlight=False)
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "--config", str(config), *arguments],
        stdout=subprocess.DEVNULL if quiet else None,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        check=False,
    )
    if done.returncode:
        error = ProficioError(
            f"proficio {arguments[0]} ended with exit code {done.returncode}.", "See its message above."
        )
        error.exit_code = done.returncode
        raise error


def _emptied(folder: Path) -> Path:
    config = folder / settings_file.FILE
    if folder.exists() and any(folder.iterdir()) and not config.exists():
        raise InputError(f"{folder} is not empty and no earlier demo.", "Name another folder: --folder.")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _repository_here() -> str | None:
    here = Path.cwd()
    return next((str(one) for one in (here, *here.parents) if (one / ".git").exists()), None)
