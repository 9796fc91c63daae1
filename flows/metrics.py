"""What Prometheus scrapes: where the pipeline stands, as `proficio status` tells it, and how its runs, sources and sinks do."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Lock, Thread
from time import monotonic
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from flows.history import runs
from flows.pull import sources
from flows.settings import Settings
from flows.status import standing
from schemas.errors import ProficioError, UnavailableError

# What was found is told again for so long: scrapers may be many, and dead letters are read through.
_FRESH_SECONDS = 15.0
_PATIENCE_SECONDS = 0.5  # that a scrape waits for what is being found anew, before it tells what was found last
_DEAD_SECONDS = 8.0  # after which a log or a disk that does not answer counts as away; less than Prometheus waits
_RUNS = 500


class Pipeline(Collector):
    """The metrics of a data folder. A log that does not answer makes `proficio_up` 0, and leaves out what it would tell.

    No scrape waits for the log: Prometheus would give it up, and lose with it what the receiver itself counts.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = Lock()
        self._finding = Thread()
        self._began = self._until = 0.0
        self._found: list[Metric] = []

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: registering asks for nothing to be collected."""
        return []

    def collect(self) -> Iterator[Metric]:
        """What was found last, after a look anew in the background where that is older than some seconds."""
        with self._lock:
            if not self._finding.is_alive() and monotonic() >= self._until:
                self._began = monotonic()
                self._finding = Thread(target=self._find)
                self._finding.start()
            finding, dead_at = self._finding, self._began + _DEAD_SECONDS
        if finding.is_alive():
            finding.join(_PATIENCE_SECONDS if self._found else max(dead_at - monotonic(), 0))
        if finding.is_alive() and monotonic() >= dead_at:
            yield _up(0)
            yield from _beside(self._settings)
        else:
            yield from self._found

    def _find(self) -> None:
        found = [_up(0)]
        try:
            found = list(_found(self._settings))
        finally:
            self._found, self._until = found, monotonic() + _FRESH_SECONDS


@contextmanager
def serving(settings: Settings, host: str, port: int) -> Iterator[CollectorRegistry]:
    """Serve /metrics meanwhile; the registry may be added to. UnavailableError where the address is taken."""
    registry = CollectorRegistry()
    registry.register(Pipeline(settings))
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise UnavailableError(f"{host}:{port} cannot be listened on: {error}", "Choose another port.") from error
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _found(settings: Settings) -> Iterator[Metric]:
    try:
        now = standing(settings)
    except ProficioError:
        yield _up(0)
    else:
        yield _up(1)
        yield from _standing(now)
    yield from _beside(settings)


def _up(value: int) -> Metric:
    return GaugeMetricFamily("proficio_up", "Whether event log and lake could be read.", value)


def _beside(settings: Settings) -> Iterator[Metric]:
    """What is known without the event log."""
    yield from _runs(settings)
    yield from _sources(settings)


def _standing(now: dict[str, Any]) -> Iterator[Metric]:
    yield CounterMetricFamily("proficio_received", "Records that the event log ever took.", now["received"])
    yield CounterMetricFamily("proficio_landed", "Records that landing accounted for.", now["landed_offsets"])
    yield CounterMetricFamily("proficio_dropped", "Statements dropped, for their person was erased.", now["dropped"])
    yield GaugeMetricFamily("proficio_backlog", "Records that wait to be landed.", now["backlog"])
    yield GaugeMetricFamily("proficio_lag_seconds", "How long the oldest of them has waited.", now["lag_seconds"] or 0)
    yield GaugeMetricFamily("proficio_dead_letters", "Records refused, and not sent round again.", now["rejected"])
    if now["published_at"]:
        moment = datetime.fromisoformat(now["published_at"]).timestamp()
        yield GaugeMetricFamily("proficio_published_timestamp_seconds", "When levels were published last.", moment)
    rising = GaugeMetricFamily("proficio_rejects_rising", "1 for a source whose rejects rise.", labels=["source"])
    for rise in now["rejects_rising"]:
        rising.add_metric([rise["source"]], 1)
    yield rising
    failures = GaugeMetricFamily(
        "proficio_sink_failures", "How often a sink failed since it was told last.", labels=["sink"]
    )
    told = GaugeMetricFamily("proficio_sink_told_timestamp_seconds", "When a sink was told last.", labels=["sink"])
    waiting = GaugeMetricFamily(
        "proficio_sink_waiting", "Changes that a sink was not told, by state.", labels=["sink", "state"]
    )
    for name, sink in now["sinks"].items():
        failures.add_metric([name], sink.get("failures", 0))
        if "told_at" in sink:
            told.add_metric([name], datetime.fromisoformat(sink["told_at"]).timestamp())
        for state, count in sink.get("waiting", {}).items():
            waiting.add_metric([name, state], count)
    yield from (failures, told, waiting)


def _runs(settings: Settings) -> Iterator[Metric]:
    completed = GaugeMetricFamily(
        "proficio_run_completed_timestamp_seconds", "When a run completed last.", labels=["run"]
    )
    failed = GaugeMetricFamily("proficio_run_failed", "1 where the newest run failed.", labels=["run"])
    seconds = GaugeMetricFamily("proficio_run_seconds", "How long the newest completed run took.", labels=["run"])
    warnings = GaugeMetricFamily("proficio_quality_warnings", "Warnings of the newest check of quality.")
    newest: set[str] = set()
    done: set[str] = set()
    checked = False
    for run in runs(settings, _RUNS):
        name = run["run"]
        if name not in newest:
            newest.add(name)
            failed.add_metric([name], run["state"] == "failed")
        if name not in done and run["state"] == "completed":
            done.add(name)
            began, ended = (datetime.fromisoformat(run[key]).timestamp() for key in ("started_at", "ended_at"))
            completed.add_metric([name], ended)
            seconds.add_metric([name], ended - began)
        if not checked and run.get("quality"):
            checked = True
            warnings.add_metric([], len(run["quality"]["warnings"]))
    yield from (completed, failed, seconds, warnings)


def _sources(settings: Settings) -> Iterator[Metric]:
    lag = GaugeMetricFamily(
        "proficio_source_lag_seconds", "How long ago a source was read to its end.", labels=["source"]
    )
    failed = GaugeMetricFamily(
        "proficio_source_failed", "1 where the newest pull of a source failed.", labels=["source"]
    )
    for source in sources(settings):
        if source["configured"]:
            failed.add_metric([source["source"]], source["state"].startswith("failed"))
            if source["lag_seconds"] is not None:
                lag.add_metric([source["source"]], source["lag_seconds"])
    yield from (lag, failed)
