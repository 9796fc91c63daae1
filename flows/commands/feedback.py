"""The commands of feedback: tell changed levels, approve them, note who agreed."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer

from flows.commands.common import Json, load, utc
from flows.commands.output import progress, say, say_rows


def feedback(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be told, and tell nothing.")] = False,
    refused: Annotated[bool, typer.Option("--refused", help="Show what sinks refuse to hear, and why.")] = False,
    approve: Annotated[
        bool, typer.Option("--approve", help="Approve what waits for a reviewer; the next feedback tells it.")
    ] = False,
    sink: Annotated[str | None, typer.Option(help="With --approve and --since: of this sink alone.")] = None,
    person: Annotated[
        str | None, typer.Option(help="With --approve: of this person alone (mail address, account, name, key).")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(help="Tell once more what was told from then on (UTC): a sink lost it.")
    ] = None,
    limit: Annotated[int, typer.Option(help="With --dry-run: show at most so many.")] = 50,
    as_json: Json = False,
) -> None:
    """Tell levels that changed: the topic competency.levels, which other systems can follow, and the sinks of the settings.

    Example: proficio feedback --dry-run
    """
    from flows import feedback as telling
    from flows.reading import one_person

    settings = load(context)
    if refused:
        told = {"sink": "Sink", "person": "Person", "competency": "Competency", "level": "Level", "reason": "Reason"}
        say_rows(telling.refused(settings), as_json, told, "Nothing was refused.")
        return
    if dry_run:
        columns = {
            "sink": "Sink",
            "person": "Person",
            "competency": "Competency",
            "told_level": "Told",
            "reported_level_name": "Now",
            "state": "State",
        }
        say_rows(telling.due(settings, None if as_json else limit), as_json, columns, "Nothing is to be told.")
        return
    if approve:
        approved = telling.approve(settings, sink, one_person(settings, person) if person else None)
        say(approved, as_json, "\n".join(f"{name}: {count:,} levels are approved." for name, count in approved.items()))
        return
    if moment := utc(since):
        telling.forget(settings, moment, sink)
    with progress("telling") as advance:
        done = telling.feedback(settings, progress=advance)
    lines = [
        f"{one.sink}: {one.told:,} levels were told, {one.withdrawn:,} taken back, {one.refused:,} refused"
        + "".join(f", {count:,} {state}" for state, count in one.waiting.items())
        + "."
        for one in done
    ]
    say({one.sink: asdict(one) for one in done}, as_json, "\n".join(lines))


def consent(
    context: typer.Context,
    account: Annotated[str, typer.Argument(help="Mail address or account: home page and name with a bar between.")],
    sink: Annotated[str | None, typer.Option(help="The sink that may tell of them; every one without it.")] = None,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Note that they do not agree any more.")] = False,
    as_json: Json = False,
) -> None:
    """Note that a person agrees that sinks hear of their levels, or does not any more.

    Example: proficio consent ada@example.org --sink moodle
    """
    from connectors.consents import EVERY_SINK
    from connectors.consents import say as keep
    from flows.opening import state
    from flows.sinks import listed_as
    from transforms.identity import as_account

    settings = load(context)
    name = listed_as(settings, sink).name if sink else EVERY_SINK
    keep(state(settings, "consents.db"), as_account(account), name, not withdraw, "command line")
    told = "may" if not withdraw else "may not"
    say(
        {"account": account, "sink": name, "agreed": not withdraw},
        as_json,
        f"{sink or 'Every sink'} {told} hear of the levels of {account}.",
    )
