"""The commands that move data: ingest, pull, sources, land, estimate, publish, run, stream, replay, compact."""

import json
import os
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.commands.common import Json, load, utc
from flows.commands.output import complain, progress, say, say_rows
from flows.settings import Target
from schemas.errors import InputError, ProficioError


def ingest(
    context: typer.Context,
    file: Annotated[
        str, typer.Argument(help="NDJSON or a JSON array of xAPI statements, also .gz or .zst; - reads standard input.")
    ],
    source: Annotated[str, typer.Option(help="Name of the source that the rows will carry.")] = "file",
    mapping: Annotated[
        Path | None, typer.Option(help="YAML that says how rows become statements: the file is CSV, XLSX or Parquet.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --mapping: show the first ten statements and every row refused.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Append the statements of a file to the event log.

    Example: zcat statements.ndjson.gz | proficio ingest -

    Example: proficio ingest grades.csv --mapping mapping.yaml --dry-run
    """
    from flows.pull import ingest as take
    from flows.tables import ingest_table, try_table

    settings = load(context)
    if dry_run:
        if mapping is None:
            raise InputError("--dry-run tries a mapping.", "Give one: --mapping FILE.")
        trial = try_table(settings, Path(file), mapping)
        lines = [json.dumps(one, ensure_ascii=False, indent=2) for one in trial.first]
        lines += [f"refused: {one['row']}: {one['reason']}" for one in trial.refused]
        told = f"{trial.statements:,} statements, {len(trial.refused):,} rows refused, {trial.left_out:,} left out."
        say(asdict(trial), as_json, "\n".join([*lines, told]))
        return
    with progress("ingesting") as advance:
        if mapping:
            done = ingest_table(settings, Path(file), mapping, source, advance)
        else:
            done = take(settings, None if file == "-" else Path(file), source, advance)
    sentence = f"{done.appended:,} statements are in the event log."
    say(asdict(done), as_json, sentence)
    if done.rejected:
        raise InputError(
            f"{done.rejected:,} pieces of {file} are no statements and went to the dead letters.",
            "See which and why: proficio rejected.",
        )


def pull(
    context: typer.Context,
    source: Annotated[
        str | None, typer.Argument(help="Name of the source; all that are configured without it.")
    ] = None,
    places: Annotated[
        list[str] | None, typer.Argument(help="For git: paths or clone URLs, instead of the settings'.")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(help="Once more what happened from then on (UTC); the cursor stays.")
    ] = None,
    until: Annotated[datetime | None, typer.Option(help="… and before then (UTC).")] = None,
    as_json: Json = False,
) -> None:
    """Append what is new in a source to the event log. A source that fails does not stop the others.

    Example: proficio pull git .
    """
    from flows.pull import Period, configured
    from flows.pull import pull as take

    settings = load(context)
    period = Period(utc(since), utc(until)) if since or until else None
    failed: ProficioError | None = None
    for name in [source] if source else configured(settings):
        try:
            with progress(f"pulling {name}") as advance:
                done = take(settings, name, tuple(places or ()), progress=advance, period=period)
            kind = "new statements" if period is None else "statements of that time"
            say(asdict(done), as_json, f"{done.source}: {done.appended:,} {kind} are in the event log.")
        except ProficioError as error:
            if failed:
                complain(failed, as_json)
            failed = error
    if failed:
        raise failed


def sources(context: typer.Context, as_json: Json = False) -> None:
    """List the sources: what the settings give each to read, how the last pull ended, how long ago the last good one was.

    Example: proficio sources
    """
    from flows.pull import sources as all_sources

    columns = {
        "source": "Source",
        "configured": "Configured",
        "state": "Last pull",
        "lag_seconds": "Last good one, s ago",
    }
    say_rows(all_sources(load(context)), as_json, columns, "")


def land(context: typer.Context, as_json: Json = False) -> None:
    """Validate what waits in the event log and land it in the lake, exactly once.

    Example: proficio land
    """
    from flows.history import note_run
    from flows.land import land as step

    settings = load(context)
    if _has_prefect_server():
        from flows.deployed import land as land_flow

        landed = land_flow(_config(context))["landed"]
    else:
        with progress("landing") as advance, note_run(settings, "land") as run:
            landed = run["landed"] = asdict(step(settings, progress=advance))
    say(landed, as_json, _landed(landed))


def estimate(
    context: typer.Context,
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Estimate every level anew from all evidence.")
    ] = False,
    test: Annotated[
        bool, typer.Option("--test", help="Run dbt's tests of what it wrote; publish --test those of the marts.")
    ] = False,
    daily: Annotated[
        bool, typer.Option("--daily", help="Bring what `run` renews once a day up to date too: history, dead letters.")
    ] = False,
    target: Annotated[
        Target, typer.Option(help="What the models run on: duckdb, or spark as spark.master says.")
    ] = "duckdb",
    as_json: Json = False,
) -> None:
    """Bring the levels up to date with the lake.

    Example: proficio estimate --test
    """
    from flows.daily import daily as daily_step
    from flows.engines import engine
    from flows.estimate import estimate as step
    from flows.history import note_run
    from flows.opening import dbt_project

    settings = load(context)
    with note_run(settings, "estimate") as run, engine(settings, target):
        project = dbt_project(settings, target=target)
        done = run["estimated"] = asdict(step(settings, full_refresh, project, test=test, target=target))
        if daily:
            run["daily"] = asdict(daily_step(settings, project, target=target))
    kind = "from nothing" if done["full_refresh"] else "with what is new"
    say(done, as_json, f"Levels are up to date, {kind}: {done['files']} files taken up.")


def publish(
    context: typer.Context,
    to: Annotated[
        list[str] | None,
        typer.Option("--to", help="parquet, duckdb or postgres, several times; else what publish.to says."),
    ] = None,
    test: Annotated[
        bool, typer.Option("--test", help="Run dbt's tests of the marts first, and stop where one fails.")
    ] = False,
    target: Annotated[
        Target, typer.Option(help="Where the marts are: duckdb, or spark as spark.master says.")
    ] = "duckdb",
    as_json: Json = False,
) -> None:
    """Publish the marts: as Parquet files, as one read-only DuckDB file, into PostgreSQL.

    Example: proficio publish --to postgres
    """
    from flows.publish import TARGETS
    from flows.publish import publish as step

    settings = load(context)
    if unknown := set(to or ()) - set(TARGETS):
        raise typer.BadParameter(f"--to {', '.join(sorted(unknown))}: expected {', '.join(TARGETS)}")
    done = asdict(step(settings, to or None, test, target=target))
    rows = ", ".join(f"{name} {count:,}" for name, count in done["rows"].items())
    say({"folder": str(settings.published), **done}, as_json, f"Published to {settings.published}: {rows}.")


def run(
    context: typer.Context,
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Estimate every level anew from all evidence.")
    ] = False,
    as_of: Annotated[
        datetime | None,
        typer.Option("--as-of", formats=["%Y-%m-%d"], help="A day (UTC) in the past: write its marts to --to."),
    ] = None,
    to: Annotated[Path | None, typer.Option("--to", help="With --as-of: a folder that is not there yet.")] = None,
    as_json: Json = False,
) -> None:
    """Run the nightly flow once: pull, land, estimate, publish. Or a day in the past once more, beside what is published.

    Example: proficio run

    Example: proficio run --as-of 2026-09-30 --to third-quarter
    """
    load(context)
    if (as_of is None) != (to is None) or (as_of and full_refresh):
        raise typer.BadParameter("--as-of and --to go together, without --full-refresh.")
    if as_of and to:
        from flows.deployed import past

        told = past(str(as_of.date()), str(to), _config(context))
        say(told, as_json, f"The marts as of {as_of:%Y-%m-%d} are in {to}.")
        return
    from flows.deployed import nightly

    done = nightly(_config(context), full_refresh)
    say(done, as_json, f"{_landed(done['landed'])} Levels are published.")


def stream(
    context: typer.Context,
    seconds: Annotated[float | None, typer.Option("--for", help="Stop after so many seconds; else on Ctrl-C.")] = None,
    as_json: Json = False,
) -> None:
    """Keep levels up to date in micro-batches, seconds from event to level.

    Example: proficio stream --for 60
    """
    load(context)
    from flows.deployed import stream as stream_flow

    done = stream_flow(_config(context), seconds)
    say(done, as_json, f"{done['batches']} micro-batches. {_landed(done)}")


def replay(
    context: typer.Context,
    from_log: Annotated[bool, typer.Option("--from-log", help="Judge again what the event log holds.")] = False,
    from_lake: Annotated[
        bool, typer.Option("--from-lake", help="Judge and project again the statements that the lake holds.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Build lake, levels and marts anew from what was received, after a rule or a repair was mended or a disk was lost.

    Example: proficio replay --from-log
    """
    from flows.estimate import estimate as estimate_step
    from flows.history import note_run
    from flows.land import land as land_step
    from flows.opening import event_log
    from flows.publish import publish as publish_step
    from flows.replay import replay_lake, replay_log

    if from_log == from_lake:
        raise typer.BadParameter("expected one of --from-log and --from-lake")
    settings = load(context)
    with note_run(settings, "replay") as run, event_log(settings) as log:
        with progress("replaying") as advance:
            done = run["replayed"] = asdict((replay_log if from_log else replay_lake)(settings, log, advance))
        if from_log:  # the lake may be replayed after the log was lost
            run["landed"] = asdict(land_step(settings, log))
        run["estimated"] = asdict(estimate_step(settings, full_refresh=True, log=log))
        publish_step(settings)
    told = (
        f"{done['rows']:,} statements are in {done['files']:,} files written anew, {done['rejected']:,} were rejected."
    )
    say(done, as_json, f"{told} Levels are published.")


def compact(context: typer.Context, as_json: Json = False) -> None:
    """Merge small files of the lake.

    Example: proficio compact
    """
    from flows.compacting import compact as merge

    done = merge(load(context))
    say(asdict(done), as_json, f"{done.merged} small files became {done.created}.")


def _landed(done: dict[str, Any]) -> str:
    sentence = f"{done['landed']:,} statements landed."
    if done["rejected"]:
        sentence += f" {done['rejected']:,} rejected: see proficio rejected."
    return sentence


def _config(context: typer.Context) -> str | None:
    return str(context.obj) if context.obj else None


def _has_prefect_server() -> bool:
    return bool(os.environ.get("PREFECT_API_URL"))
