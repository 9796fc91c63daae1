"""The command `proficio`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from flows.commands import (
    align,
    audit,
    framework,
    inspect,
    keeping,
    lake,
    lti,
    measure,
    moodle,
    output,
    people,
    person,
    pipeline,
    serving,
    setup,
    state,
)
from flows.commands.demo import demo
from flows.commands.feedback import consent, feedback
from flows.commands.report import report
from schemas.errors import ProficioError

app = typer.Typer(
    name="proficio",
    help="Turns what people do into what they can do: xAPI events in, competency levels out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback()
def _common(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", help="Settings file; else $PROFICIO_CONFIG, else proficio.toml, searched from here upwards."
        ),
    ] = None,
) -> None:
    context.obj = config


for command in (
    setup.init, setup.doctor, pipeline.ingest, pipeline.pull, pipeline.sources, pipeline.land, pipeline.estimate,
    pipeline.publish, pipeline.run, pipeline.stream, pipeline.replay, pipeline.compact,
    inspect.levels, inspect.rejected, inspect.status, inspect.quality, keeping.backup, keeping.restore, keeping.verify,
    measure.evaluate, measure.calibrate, people.explain, people.gaps, report, serving.serve, serving.metrics,
    feedback, consent, lti.link, demo,
):  # fmt: skip
    app.command()(command)
app.command("next")(people.next_steps)
app.add_typer(align.app, name="align")
app.add_typer(audit.app, name="audit")
app.add_typer(serving.app, name="clients")
app.add_typer(framework.app, name="framework")
app.add_typer(lake.app, name="lake")
app.add_typer(state.app, name="state")
app.add_typer(lti.app, name="lti")
app.add_typer(moodle.app, name="moodle")
app.add_typer(person.app, name="person")


def main() -> None:
    """Run the command line. Expected errors end in a message and their exit code, never in a traceback."""
    _environment()
    as_json = "--json" in sys.argv
    try:
        app(standalone_mode=True)
    except ProficioError as error:
        output.complain(error, as_json)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except KeyboardInterrupt:
        sys.exit(130)


def _environment() -> None:
    """What the libraries read when they are imported: nothing is sent home, all state stands in the data folder."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")  # 20 are too few on a busy machine


if __name__ == "__main__":
    main()
