"""Pulling: statements of the configured sources, and of files, go into the event log."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from connectors.event_log import EventLog
from connectors.sources import SOURCES
from connectors.sources.files import Piece, pieces
from connectors.sources.git import GitSource, web_address
from connectors.sources.github import App, GitHub
from connectors.sources.kaggle import Kaggle
from connectors.sources.lrs import Lrs
from connectors.sources.moodle import Moodle
from flows.cursors import noted, read_cursor, state, write_cursor
from flows.dead_letters import record_of
from flows.opening import event_log, secret
from flows.settings import Settings
from flows.source_settings import GitHubSettings, GitSettings, SourcesSettings
from schemas.errors import ProficioError, SettingsError
from schemas.records import REJECTED, STATEMENTS, Record
from schemas.xapi import Statement, parse_timestamp
from transforms.statements import RefusedStatement, key_of, parse

_BATCH = 2_000
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Pulled:
    """How many statements of a source went into the event log, and how many pieces into the dead letters."""

    source: str
    appended: int
    rejected: int = 0


def ingest(
    settings: Settings, path: Path | None, source: str = "file", progress: Progress = lambda count: None
) -> Pulled:
    """Append the statements of a file (None: standard input) to the event log.

    What is no JSON object goes to the dead letters with its line. InputError for a file that is empty or breaks off.
    """
    judged = (_judged(piece, source) for piece in pieces(path, settings.event_log.max_record_bytes))
    return append(settings, source, judged, progress)


def append(settings: Settings, source: str, records: Iterator[tuple[str, Record]], progress: Progress) -> Pulled:
    """Append records, each to its topic: statements, or dead letters."""
    counts = {STATEMENTS: 0, REJECTED: 0}
    with event_log(settings) as log:
        for batch in batches(records):
            for topic in counts:
                of_topic = [record for name, record in batch if name == topic]
                if of_topic:
                    log.append(topic, of_topic)
                counts[topic] += len(of_topic)
            progress(len(batch))
    return Pulled(source, counts[STATEMENTS], counts[REJECTED])


def _judged(piece: Piece, source: str) -> tuple[str, Record]:
    try:
        if piece.fault:
            raise RefusedStatement("size", "", piece.fault)
        return STATEMENTS, Record(key_of(parse(piece.value)[0]), piece.value, {"source": source})
    except RefusedStatement as refusal:
        return REJECTED, record_of(piece.where, piece.value, refusal.rejection, {"source": source})


@dataclass(frozen=True)
class Period:
    """From `since` until before `until`, both aware; None is without that bound."""

    since: datetime | None = None
    until: datetime | None = None

    def holds(self, one: Statement) -> bool:
        """Whether a statement was stored in it, where its source says so, or else happened in it; without a time, now."""
        told = one.get("stored") or one.get("timestamp")
        moment = parse_timestamp(told) if told else datetime.now(UTC)
        return (self.since is None or moment >= self.since) and (self.until is None or moment < self.until)


def pull(
    settings: Settings,
    name: str,
    repositories: tuple[str, ...] = (),
    log: EventLog | None = None,
    progress: Progress = lambda count: None,
    period: Period | None = None,
) -> Pulled:
    """Append what is new in a source since its cursor. The cursor is stored after the log has acknowledged.

    With a period, append what happened in it, whatever was read before; the cursor stays as it is.
    """
    if log is None:
        with event_log(settings) as opened:
            return pull(settings, name, repositories, opened, progress, period)
    if name not in SOURCES:
        raise SettingsError(f"There is no source {name!r}.", f"Sources are: {', '.join(SOURCES)}.")
    chosen = _GIVEN[name].of(settings, repositories)
    if chosen is None:
        raise SettingsError(
            f"The source {name} has nothing to read.", f"Set sources.{name}; `proficio init` shows how."
        )
    if period is not None:
        return _pull(settings, name, chosen, log, progress, period)
    with noted(settings, name):
        return _pull(settings, name, chosen, log, progress, period)


def _pull(
    settings: Settings, name: str, chosen: Any, log: EventLog, progress: Progress, period: Period | None
) -> Pulled:
    source = SOURCES[name]
    if period is None:
        cursor = read_cursor(settings, name)
    else:
        cursor = source.cursor_at(chosen, period.since) if source.cursor_at and period.since else None
    appended = 0
    for batch in batches(source.events(chosen, cursor)):
        wanted = [one for one, _ in batch if one and (period is None or period.holds(one))]
        if wanted:
            log.append(STATEMENTS, [Record(key_of(one), orjson.dumps(one), {"source": name}) for one in wanted])
        if period is None:
            write_cursor(settings, name, batch[-1][1])
        appended += len(wanted)
        progress(len(wanted))
    return Pulled(name, appended)


def configured(settings: Settings) -> list[str]:
    """The sources that the settings give something to read."""
    return [name for name, given in _GIVEN.items() if given.anything(settings.sources)]


def sources(settings: Settings) -> list[dict[str, Any]]:
    """Every source: what the settings give it to read (secrets stand in files), how the last pull ended, how long ago the
    last one that came to its end did (seconds), the cursor.
    """
    ready = configured(settings)
    return [
        {
            "source": name,
            "configured": name in ready,
            "settings": _shown(getattr(settings.sources, name)),
            **state(settings, name),
            "cursor": read_cursor(settings, name),
        }
        for name in SOURCES
    ]


def _shown(given: Any) -> Any:
    """A source's settings as plain values, clone URLs without their credentials."""
    if isinstance(given, tuple):
        return [_shown(one) for one in given]
    told = given.model_dump(mode="json")
    if isinstance(given, GitSettings):
        told["repositories"] = [web_address(one) if "@" in one else one for one in given.repositories]
    return told


def _git(settings: Settings, repositories: tuple[str, ...]) -> GitSource | None:
    chosen = settings.sources.git
    given = repositories or chosen.repositories
    return GitSource(given, settings.home / "mirrors", chosen.timeout_seconds) if given else None


def _lrs(settings: Settings, _: tuple[str, ...]) -> tuple[Lrs, ...] | None:
    return tuple(
        Lrs(one.name, one.url, one.username, secret(one.password_file, "sources.lrs.password_file"), one.version, one.page,
            one.patience_seconds)
        for one in settings.sources.lrs
    ) or None  # fmt: skip


def _moodle(settings: Settings, _: tuple[str, ...]) -> tuple[Moodle, ...] | None:
    return tuple(
        Moodle(one.name, one.url, secret(one.token_file, "sources.moodle.token_file"), one.courses, one.patience_seconds)
        for one in settings.sources.moodle
    ) or None  # fmt: skip


def _github(settings: Settings, _: tuple[str, ...]) -> tuple[GitHub, ...] | None:
    return tuple(
        GitHub(one.name, one.repositories, _access(one), one.url, one.patience_seconds) for one in settings.sources.github
    ) or None  # fmt: skip


def _kaggle(settings: Settings, _: tuple[str, ...]) -> tuple[Kaggle, ...] | None:
    return tuple(
        Kaggle(one.name, one.username, secret(one.token_file, "sources.kaggle.token_file"), one.users, one.competitions,
               one.url, one.patience_seconds)
        for one in settings.sources.kaggle
    ) or None  # fmt: skip


def _access(one: GitHubSettings) -> str | App:
    if one.token_file:
        return secret(one.token_file, "sources.github.token_file")
    key = secret(Path(str(one.private_key_file)), "sources.github.private_key_file")
    return App(str(one.app_id), str(one.installation_id), key)


class _Given(NamedTuple):
    """What the settings give a source to read: whether anything, and what `events` takes (None: nothing)."""

    anything: Callable[[SourcesSettings], Any]
    of: Callable[[Settings, tuple[str, ...]], Any]


_GIVEN = {
    "git": _Given(lambda sources: sources.git.repositories, _git),
    "lrs": _Given(lambda sources: sources.lrs, _lrs),
    "moodle": _Given(lambda sources: sources.moodle, _moodle),
    "github": _Given(lambda sources: sources.github, _github),
    "kaggle": _Given(lambda sources: sources.kaggle, _kaggle),
}


def batches(items: Iterator[Any]) -> Iterator[list[Any]]:
    """Batches of pieces, the last one also when the iterator ends in an error: what was read is not lost."""
    batch: list[Any] = []
    try:
        for item in items:
            batch.append(item)
            if len(batch) == _BATCH:
                yield batch
                batch = []
    except ProficioError:
        if batch:
            yield batch
        raise
    if batch:
        yield batch
