"""The steps as Prefect tasks: each can be run again by itself, and is retried where what failed may pass."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from prefect import task
from prefect.settings import PREFECT_API_URL

from connectors.dbt import DbtProject
from flows import daily as dailies
from flows import estimate as estimating
from flows import feedback as feeding
from flows import land as landing
from flows import publish as publishing
from flows import pull as pulling
from flows import quality as checking
from flows import retention, settings_file
from flows.opening import dbt_project
from flows.settings import Settings
from schemas.errors import UnavailableError


def _transient(_task: Any, _run: Any, state: Any) -> bool:
    """Retry what may pass by itself: a service that was away. Wrong settings and bad data stay wrong."""
    return isinstance(state.result(raise_on_failure=False), UnavailableError)


RETRIES: dict[str, Any] = {"retries": 3, "retry_delay_seconds": [5, 30, 120], "retry_jitter_factor": 0.5,
                            "retry_condition_fn": _transient}  # fmt: skip


@task(name="pull", task_run_name="pull-{source}", **RETRIES)
def pull_task(config: str | None, source: str) -> dict[str, Any]:
    """Pull one source."""
    return asdict(pulling.pull(settings_of(config), source))


@task(name="land", task_run_name="land", **RETRIES)
def land_task(config: str | None) -> dict[str, Any]:
    """Land the backlog of the event log."""
    return asdict(landing.land(settings_of(config)))


@task(name="expire", task_run_name="expire", **RETRIES)
def expire_task(config: str | None) -> dict[str, Any]:
    """Take out what was kept long enough."""
    return asdict(retention.expire(settings_of(config)))


@task(name="estimate", task_run_name="estimate", **RETRIES)
def estimate_task(config: str | None, full_refresh: bool = False, test: bool = True) -> dict[str, Any]:
    """Bring the levels up to date."""
    settings = settings_of(config)
    return asdict(estimating.estimate(settings, full_refresh, _dbt(settings), test=test))


@task(name="daily", task_run_name="daily", **RETRIES)
def daily_task(config: str | None) -> dict[str, Any]:
    """Bring up to date what is needed once a day."""
    settings = settings_of(config)
    return asdict(dailies.daily(settings, _dbt(settings)))


@task(name="quality", task_run_name="quality", **RETRIES)
def quality_task(config: str | None) -> dict[str, Any]:
    """Check evidence, levels and drift."""
    return asdict(checking.quality(settings_of(config)))


@task(name="publish", task_run_name="publish", **RETRIES)
def publish_task(config: str | None) -> dict[str, Any]:
    """Test the marts and publish them."""
    settings = settings_of(config)
    return asdict(publishing.publish(settings, test=True, project=_dbt(settings)))


@task(name="feedback", task_run_name="feedback", **RETRIES)
def feedback_task(config: str | None) -> dict[str, Any]:
    """Tell levels that changed."""
    return {told.sink: asdict(told) for told in feeding.feedback(settings_of(config))}


def _dbt(settings: Settings) -> DbtProject:
    """The dbt project; where a server shows runs, each model and test is a task run of its own there."""
    return dbt_project(settings, as_tasks=bool(PREFECT_API_URL.value()))


def settings_of(config: str | None) -> Settings:
    """The settings of a file, or of the one found from the working directory upwards."""
    return settings_file.load(Path(config) if config else None)
