"""The Prefect flows. Each takes the path of a settings file and nothing else that a schedule could not know."""

import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.events import emit_event
from prefect.runtime import flow_run

from connectors.event_log import EventLog, Membership
from flows import compacting
from flows import estimate as estimating
from flows import evaluate as evaluating
from flows import feedback as feeding
from flows import land as landing
from flows import past as once_more
from flows import publish as publishing
from flows import pull as pulling
from flows.artifacts import show_landed, show_levels, show_quality
from flows.backlog import backlog
from flows.dead_letters import dead_letters, rising
from flows.history import note_run
from flows.logs import logger, quiet_expected_errors
from flows.opening import dbt_project, event_log
from flows.settings import Settings
from flows.tasks import (
    RETRIES,
    daily_task,
    estimate_task,
    expire_task,
    feedback_task,
    land_task,
    publish_task,
    pull_task,
    quality_task,
    settings_of,
)  # fmt: skip
from schemas.errors import ProficioError, StorageError, UnavailableError

quiet_expected_errors()


_WAITING_SECONDS = 30


def _run_name() -> str:
    parameters = flow_run.get_parameters()
    kind = "rebuild" if parameters.get("full_refresh") else "update"
    return f"{flow_run.get_flow_name()}-{kind}-{datetime.now(UTC):%Y-%m-%dT%H:%M}"


@flow(name="nightly", flow_run_name=_run_name)
def nightly(config: str | None = None, full_refresh: bool = False) -> dict[str, Any]:
    """Pull every configured source, land, estimate, publish, tell what changed.

    A source that fails is told at the end: the others go on.

    Args:
        config: Path of proficio.toml; found from the working directory upwards where it is not given.
        full_refresh: Estimate every level anew from all evidence.
    """
    settings = settings_of(config)
    with note_run(settings, "nightly") as run:
        pulls = {source: pull_task(config, source, return_state=True) for source in pulling.configured(settings)}
        run["pulled"] = [state.result() for state in pulls.values() if state.is_completed()]
        run["failed_sources"] = [source for source, state in pulls.items() if not state.is_completed()]
        run["landed"] = land_task(config)
        show_landed(settings, run["landed"])
        run["expired"] = expire_task(config)
        run["estimated"] = estimate_task(config, full_refresh)
        run["daily"] = daily_task(config)
        show_levels(settings)
        run["quality"] = quality_task(config)
        show_quality(settings, run["quality"])
        run["published"] = publish_task(config)
        told = feedback_task(config, return_state=True)
        run["feedback"] = told.result() if told.is_completed() else None
        run["rejects_rising"] = _told_of_rejects(settings)
        for state in (*pulls.values(), told):
            state.result()  # what failed there fails the run, once the others are through
    return run


def _told_of_rejects(settings: Settings) -> list[str]:
    """Sources whose rejects rise: logged, and emitted as events that a Prefect automation can alert by."""
    with event_log(settings) as log:
        rises = rising(dead_letters(log), datetime.now(UTC), settings.land.alert_from, settings.land.alert_rise)
    for rise in rises:
        logger().warning("Rejects are rising. %s. See: proficio rejected --source %s", rise, rise.source)
        resource = {"prefect.resource.id": f"proficio.source.{rise.source}"}
        emit_event("proficio.rejects.rising", resource, payload=rise._asdict())
    return [str(rise) for rise in rises]


@flow(name="land", flow_run_name=_run_name)
def land(config: str | None = None) -> dict[str, Any]:
    """Land the backlog of the event log.

    Args:
        config: Path of proficio.toml; found from the working directory upwards where it is not given.
    """
    settings = settings_of(config)
    with note_run(settings, "land") as run:
        run["landed"] = land_task(config)
        show_landed(settings, run["landed"])
    return run


@flow(name="past", flow_run_name="past-{as_of}")
def past(as_of: str, folder: str, config: str | None = None) -> dict[str, Any]:
    """Write the marts as of the end of a day in the past, from what had been received by then.

    Args:
        as_of: The day (UTC), such as 2026-09-30.
        folder: Folder to write into, which must not be there yet.
        config: Path of proficio.toml; found from the working directory upwards where it is not given.
    """
    settings = settings_of(config)
    with note_run(settings, "past") as run:
        run["published"] = asdict(once_more.past(settings, date.fromisoformat(as_of), Path(folder).absolute()))
    return run


@flow(name="feedback", flow_run_name=_run_name)
def feedback(config: str | None = None) -> dict[str, Any]:
    """Tell levels that changed, as the nightly flow does at its end.

    Args:
        config: Path of proficio.toml; found from the working directory upwards where it is not given.
    """
    with note_run(settings_of(config), "feedback") as run:
        run["feedback"] = feedback_task(config)
    return run


@flow(name="quality", flow_run_name=_run_name)
def quality(config: str | None = None) -> dict[str, Any]:
    """Check evidence, levels and drift once more.

    Args:
        config: Path of proficio.toml; found from the working directory upwards where it is not given.
    """
    settings = settings_of(config)
    with note_run(settings, "quality") as run:
        run["quality"] = quality_task(config)
        show_quality(settings, run["quality"])
    return run


@flow(name="compact", flow_run_name=_run_name)
def compact(config: str | None = None) -> dict[str, Any]:
    """Merge small files of the lake.

    Args:
        config: Path of proficio.toml; found from the working directory upwards where it is not given.
    """
    settings = settings_of(config)
    with note_run(settings, "compact") as run:
        run["compacted"] = asdict(compacting.compact(settings))
    return run


@flow(name="calibrate", flow_run_name=_run_name)
def calibrate(config: str | None = None) -> dict[str, Any]:
    """Fit the estimator to the evidence there is; the next estimate uses what predicts better.

    Args:
        config: Path of proficio.toml; found from the working directory upwards where it is not given.
    """
    settings = settings_of(config)
    with note_run(settings, "calibrate") as run:
        run["calibrated"] = evaluating.calibrate(settings, logger().info)
    return run


@flow(name="stream", flow_run_name=_run_name)
def stream(config: str | None = None, seconds: float | None = None) -> dict[str, Any]:
    """Land, estimate, publish and tell levels in micro-batches, until stopped.

    Args:
        config: Path of proficio.toml; found from the working directory upwards where it is not given.
        seconds: Stop after so many seconds; without it, on SIGINT or SIGTERM.
    """
    settings = settings_of(config)
    stopping = _stop_on_signals()
    ends = time.monotonic() + seconds if seconds is not None else None
    total = {"batches": 0, "landed": 0, "rejected": 0}
    with (
        note_run(settings, "stream") as run,
        event_log(settings) as log,
        ThreadPoolExecutor(1, "feedback") as teller,
        landing.joined(settings, log) as mine,
    ):
        project = dbt_project(settings)
        project.parse()

        @task(name="micro-batch", **RETRIES)
        def micro_batch() -> dict[str, Any]:
            landed = landing.land(settings, log, mine=mine)
            estimating.estimate(settings, project=project, log=log)
            publishing.publish_live(settings)
            return asdict(landed)

        publishing_due = feedback_due = True
        telling: Future[None] | None = None
        told_at = 0.0
        while not stopping.is_set() and (ends is None or time.monotonic() < ends):
            if publishing_due or _has_grown(settings, log, mine):
                try:
                    done = micro_batch()
                except (
                    UnavailableError,
                    StorageError,
                ) as error:  # retried already: it lasts, and somebody has to mend it
                    logger().error("%s %s Trying again in %s s.", error, error.hint, _WAITING_SECONDS)
                    publishing_due = True
                    stopping.wait(_WAITING_SECONDS)
                    continue
                publishing_due, feedback_due = False, True
                total = {"batches": total["batches"] + 1, "landed": total["landed"] + done["landed"],
                         "rejected": total["rejected"] + done["rejected"]}  # fmt: skip
                logger().info("micro-batch: %s landed, %s rejected", done["landed"], done["rejected"])
            if telling and telling.done():
                telling = telling.result()  # a fault of our own ends the flow
            waited = time.monotonic() - told_at > _WAITING_SECONDS  # a pause, quiet hours or a hold may have ended
            if (feedback_due or waited) and telling is None:  # beside: a sink that is slow delays no level
                feedback_due, told_at, telling = False, time.monotonic(), teller.submit(_tell, settings)
            stopping.wait(settings.stream.interval_seconds)
        run.update(total)
    return total


def _tell(settings: Settings) -> None:
    """Tell what changed. A sink that fails now is told at the next change."""
    try:
        feeding.feedback(settings, beside=True)
    except ProficioError as error:
        logger().warning("%s What was not told is told the next time.", error)


def _has_grown(settings: Settings, log: EventLog, mine: Membership | None) -> bool:
    """Whether records wait to be landed. A log that does not answer now is asked again at the next turn."""
    try:
        if mine:
            mine()  # stays a member, also while nothing comes
        return bool(backlog(settings, log))
    except UnavailableError as error:
        logger().warning("%s Trying again.", error)
        return False


def _stop_on_signals() -> threading.Event:
    stopping = threading.Event()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopping.set())
    return stopping
