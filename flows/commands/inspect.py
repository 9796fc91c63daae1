"""The commands that only look: levels, rejected, status. None of them needs Prefect."""

import base64
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.commands.common import Json, load, utc
from flows.commands.output import say, say_rows
from flows.settings import Target


def levels(
    context: typer.Context,
    person: Annotated[
        str | None, typer.Argument(help="Mail address, account, name or key; everyone without it.")
    ] = None,
    target: Annotated[Target, typer.Option(help="duckdb: as published; spark: as estimated there.")] = "duckdb",
    as_json: Json = False,
) -> None:
    """Show levels, with their uncertainty.

    Example: proficio levels ada@example.org --json
    """
    from flows.reading import levels as read

    rows = read(load(context), person, target)
    shown: list[dict[str, Any]] = rows
    if not as_json:
        shown = [
            {
                **row,
                "who": row["person_name"] or row["person"],
                "level_name": f"({row['level_name']})" if row["insufficient_evidence"] else row["level_name"],
                "p": "  ".join(f"{p:.2f}" for p in row["p_at_least"]),
                "notes": "stale" if row["stale"] else "",
            }
            for row in rows
            if person or row["evidence_count"]
        ]
    columns = {"who": "Person", "competency_name": "Competency", "level_name": "Level", "p": "P(level ≥ 1 2 3 4)",
               "ability_mean": "Ability", "ability_sd": "±", "evidence_weight": "Evidence", "last_evidence_at": "Newest",
               "notes": ""}  # fmt: skip
    say_rows(shown, as_json, columns, "No levels yet.")
    if not as_json and any(row["insufficient_evidence"] for row in shown):
        say({}, False, "(in brackets: too little evidence of its own; estimated from the person's other competencies)")


def rejected(
    context: typer.Context,
    replay: Annotated[
        bool, typer.Option("--replay", help="Send those that would now be accepted round again.")
    ] = False,
    source: Annotated[str | None, typer.Option(help="Only those of this source.")] = None,
    clause: Annotated[
        str | None, typer.Option(help="Only those whose clause begins so, such as 'xAPI-Data 2.4'.")
    ] = None,
    since: Annotated[datetime | None, typer.Option(help="Only those refused from then on (UTC).")] = None,
    export: Annotated[
        Path | None, typer.Option(help="Write them to this file, an object a line, the originals whole.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Show at most so many.")] = 50,
    as_json: Json = False,
) -> None:
    """List dead letters: what was refused, why, by which clause, from where.

    Example: proficio rejected --source moodle --export refused.ndjson
    """
    from flows.dead_letters import Selection, dead_letters
    from flows.dead_letters import export as write
    from flows.dead_letters import replay as send
    from flows.opening import event_log, repairs

    settings = load(context)
    selection = Selection(source, clause, utc(since))
    with event_log(settings) as log:
        letters = [letter for letter in dead_letters(log) if selection.holds(letter)]
        if replay:
            sent, kept = send(log, letters, repairs(settings), settings.land.xapi_version)
            say({"replayed": sent, "kept": kept}, as_json, f"{sent} went round again, {kept} are still refused.")
            return
    if export:
        write(letters, export)
        say({"exported": len(letters), "file": str(export)}, as_json, f"{len(letters):,} are in {export}.")
        return
    rows = [
        {
            "origin": letter.origin,
            "source": letter.source,
            "clause": letter.clause,
            "path": letter.path,
            "reason": letter.reason,
            "rejected_at": letter.rejected_at,
            "original_base64": base64.b64encode(letter.value).decode(),
        }
        for letter in (letters if as_json else letters[:limit])
    ]
    columns = {"origin": "From", "source": "Source", "clause": "Clause", "path": "At", "reason": "Reason"}
    say_rows(rows, as_json, columns, "Nothing was rejected.")
    if not as_json and len(letters) > limit:
        say({}, False, f"… and {len(letters) - limit:,} more: --limit, or --json for all.")


def status(context: typer.Context, as_json: Json = False) -> None:
    """Show backlog, lag, dead letters, freshness and the last runs.

    Example: proficio status
    """
    from flows.dead_letters import Rise
    from flows.status import standing

    told = standing(load(context))
    runs = told["runs"]
    rises = "".join(f"            rising: {Rise(**rise)}\n" for rise in told["rejects_rising"])
    sinks = "".join(f"Sink        {name}: {_sink(state)}\n" for name, state in told["sinks"].items())
    sentence = (
        f"Event log   {told['received']:,} received, {told['backlog']:,} waiting to be landed"
        f"{_seconds(', the oldest for', told['lag_seconds'])}\n"
        f"Lake        {told['files']:,} files, {told['landed_offsets']:,} records accounted for, in {told['lake']}\n"
        f"Rejected    {told['rejected']:,}\n"
        f"{rises}"
        f"{_dropped(told['dropped'])}"
        f"Published   {told['published_at'] or 'never'}\n"
        f"{sinks}"
        f"Last runs   " + ("\n            ".join(_run(run) for run in runs) or "none")
    )
    say(told, as_json, sentence)


def quality(
    context: typer.Context,
    show: Annotated[bool, typer.Option("--open", help="Open the Data Docs of the last check in a browser.")] = False,
    as_json: Json = False,
) -> None:
    """Check evidence, levels and drift against their expectations, as the nightly flow does, and write the Data Docs.

    Example: proficio quality --open
    """
    from flows.quality import quality as check

    done = check(load(context))
    lines = "\n".join(f"  {one}" for one in done.warnings)
    told = f"{len(done.warnings)} warnings:\n{lines}\n" if done.warnings else "Every expectation is met. "
    say({"warnings": done.warnings, "docs": done.docs}, as_json, f"{told}Data Docs: {done.docs}")
    if show:
        typer.launch(done.docs)


def _dropped(count: int) -> str:
    return f"Dropped     {count:,} of people who were erased\n" if count else ""


def _seconds(text: str, seconds: float | None) -> str:
    return "" if seconds is None else f"{text} {seconds:,.0f} s"


def _sink(state: dict[str, Any]) -> str:
    if not state:
        return "was told nothing yet"
    said = [f"told {state['told_at']}"] if "told_at" in state else []
    said += [f"{count:,} {name}" for name, count in state.get("waiting", {}).items()]
    if state["failures"]:
        said.append(f"failed {state['failures']} times, tried again from {state['paused_until']}: {state['error']}")
    return ", ".join(said)


def _run(run: dict[str, Any]) -> str:
    return f"{run['started_at']}  {run['run']}  {run['state']}" + (f": {run['error']}" if "error" in run else "")
