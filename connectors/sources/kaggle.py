"""Kaggle by its official client: what a user entered and submitted, final ranks, and what people published."""

import csv
import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import TYPE_CHECKING, Any

import orjson

from connectors.http import Api, Pace, api
from connectors.sources.several import in_turn
from schemas.errors import InputError
from schemas.xapi import Statement
from transforms import kaggle as told

if TYPE_CHECKING:
    from kagglesdk.kaggle_http_client import KaggleHttpClient

_PAGE = 100
_MOST_BYTES = 200_000_000  # of a leaderboard, unpacked
_PENDING = timedelta(days=2)  # after which a submission without a score is waited for no longer
_SETTLING = timedelta(days=60)  # after a deadline, in which Kaggle may still move ranks
_LANGUAGES = {"python": "Python", "r": "R", "julia": "Julia", "rmarkdown": "R", "sqlite": "SQL"}

Json = dict[str, Any]
Events = Iterator[tuple[Statement | None, Json]]


@dataclass(frozen=True)
class Kaggle:
    """An account of Kaggle and its API token (or the content of its kaggle.json), the user names whose public work is read
    besides, and competitions (by the last part of their address) in whose final leaderboards they are looked for besides
    those that the account entered.
    """

    name: str
    username: str
    token: str
    users: tuple[str, ...] = ()
    competitions: tuple[str, ...] = ()
    url: str = "https://api.kaggle.com/v1"
    patience_seconds: float = 600


def events(settings: tuple[Kaggle, ...], cursor: Json | None) -> Events:
    """What is new of each account and its users.

    The cursor is {name: {"published": {address: [version, medal]}, "competitions": {slug: {"entered": true,
    "submitted": timestamp, "seen": [refs of that moment], "ranks": {user: "rank/teams"}}}}}.
    """
    cursors: Json = dict(cursor or {})

    def of_account(one: Kaggle) -> Events:
        auth, headers = _credentials(one.token)
        with api(one.url, auth, headers, pace=Pace(patience_seconds=one.patience_seconds)) as remote:
            for statement, own in _Account(one, remote, cursors.get(one.name, {})).events():
                cursors[one.name] = own
                yield statement, dict(cursors)

    return in_turn(settings, of_account)


def _credentials(token: str) -> tuple[tuple[str, str] | None, dict[str, str]]:
    """Basic credentials by the content of kaggle.json, or else a token's header."""
    try:
        legacy = orjson.loads(token)
        return (legacy["username"], legacy["key"]), {}
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None, {"Authorization": f"Bearer {token}"}


class _Account:
    """One account of Kaggle as it is read, with its cursor."""

    def __init__(self, settings: Kaggle, remote: Api, cursor: Json) -> None:
        self._settings, self._remote, self._cursor = settings, remote, cursor
        self._client = _client(remote)
        self._users = tuple(dict.fromkeys((settings.username, *settings.users)))
        self._now = datetime.now(UTC)

    def events(self) -> Events:
        for competition in self._competitions():
            yield from self._of_competition(competition)
        for user in self._users:
            yield from self._published(user)

    def _competitions(self) -> Iterator[Any]:
        from kagglesdk.competitions.services.competition_api_service import CompetitionApiClient
        from kagglesdk.competitions.types.competition_api_service import (
            ApiGetCompetitionRequest,
            ApiListCompetitionsRequest,
        )
        from kagglesdk.competitions.types.competition_enums import CompetitionListTab

        service = CompetitionApiClient(self._client)
        asked = ApiListCompetitionsRequest()
        asked.group = CompetitionListTab.COMPETITION_LIST_TAB_ENTERED
        entered = set()
        for competition in _pages(service.list_competitions, asked, "competitions"):
            entered.add(_slug(competition))
            yield competition
        for slug in self._settings.competitions:
            if slug not in entered:
                by_name = ApiGetCompetitionRequest()
                by_name.competition_name = slug
                yield service.get_competition(by_name)

    def _of_competition(self, competition: Any) -> Events:
        slug, user = _slug(competition), self._settings.username
        known = self._cursor.get("competitions", {}).get(slug, {})
        closed = _utc(competition.deadline) if competition.deadline else None
        if known.get("settled"):
            return
        if competition.user_has_entered:
            if not known.get("entered"):
                known = {**known, "entered": True}
                yield told.entered(user, slug, competition.title), self._moved(slug, known)
            for statement, moved in self._submitted(slug, competition.title, known):
                known = moved
                yield statement, self._moved(slug, known)
        if closed and closed < self._now:
            for name, rank, teams in self._ranks(slug, competition):
                if known.get("ranks", {}).get(name) != f"{rank}/{teams}":
                    known = {**known, "ranks": {**known.get("ranks", {}), name: f"{rank}/{teams}"}}
                    statement = told.ranked(
                        name, slug, competition.title, closed, rank, teams, competition.awards_points
                    )
                    yield statement, self._moved(slug, known)
            if closed < self._now - _SETTLING:
                yield None, self._moved(slug, {**known, "settled": True})

    def _submitted(self, slug: str, title: str, known: Json) -> Events:
        """Submissions after the last one read, oldest first, up to the first that has no score yet."""
        from kagglesdk.competitions.services.competition_api_service import CompetitionApiClient
        from kagglesdk.competitions.types.competition_api_service import ApiListSubmissionsRequest
        from kagglesdk.competitions.types.competition_enums import SubmissionSortBy
        from kagglesdk.competitions.types.submission_status import SubmissionStatus

        asked = ApiListSubmissionsRequest()
        asked.competition_name, asked.sort_by = slug, SubmissionSortBy.SUBMISSION_SORT_BY_DATE
        since, seen = known.get("submitted", ""), known.get("seen", [])
        new: list[Any] = []
        for one in _pages(CompetitionApiClient(self._client).list_submissions, asked, "submissions"):
            moment = _utc(one.date).isoformat()
            if moment < since:
                break
            if not (moment == since and one.ref in seen):
                new.append(one)
        for one in sorted(new, key=lambda each: (each.date, each.ref)):
            at = _utc(one.date)
            if one.status == SubmissionStatus.PENDING:
                if at > self._now - _PENDING:
                    return
                continue
            moment = at.isoformat()
            seen = [*(seen if moment == since else []), one.ref]
            since = moment
            known = {**known, "submitted": since, "seen": seen}
            yield told.submitted(
                one.submitted_by_ref or self._settings.username, slug, title, one.ref, at,
                one.status == SubmissionStatus.COMPLETE, _number(one.public_score),
            ), known  # fmt: skip

    def _ranks(self, slug: str, competition: Any) -> Iterator[tuple[str, int, int]]:
        """User, rank and number of teams: the account's own as Kaggle tells it, the others' from the leaderboard."""
        if competition.user_has_entered and competition.user_rank and competition.team_count:
            yield self._settings.username, competition.user_rank, competition.team_count
        others = {one.lower(): one for one in self._users if one != self._settings.username}
        if not others:
            return
        rows = self._leaderboard(slug)
        for row in rows:
            for member in (row.get("TeamMemberUserNames") or "").split(","):
                if member.strip().lower() in others:
                    yield others[member.strip().lower()], int(row["Rank"]), len(rows)

    def _leaderboard(self, slug: str) -> list[dict[str, str]]:
        """The leaderboard as Kaggle exports it: a ZIP with one CSV."""
        from kagglesdk.competitions.services.competition_api_service import CompetitionApiClient
        from kagglesdk.competitions.types.competition_api_service import ApiDownloadLeaderboardRequest

        asked = ApiDownloadLeaderboardRequest()
        asked.competition_name = slug
        packed = CompetitionApiClient(self._client).download_leaderboard(asked)
        try:
            with zipfile.ZipFile(io.BytesIO(packed)) as archive:
                [name] = [one for one in archive.namelist() if one.endswith(".csv")]
                with archive.open(name) as file:
                    content = file.read(_MOST_BYTES + 1)
            if len(content) <= _MOST_BYTES:
                return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
        except (zipfile.BadZipFile, csv.Error, ValueError) as error:
            raise InputError(f"The leaderboard of {slug} is no ZIP with a CSV: {error}", "See it at Kaggle.") from error
        raise InputError(f"The leaderboard of {slug} has over {_MOST_BYTES:,} bytes.", "It is not read.")

    def _published(self, user: str) -> Events:
        """Public notebooks, datasets and models of a user that are new, have a new version, or have won a medal."""
        for kind, url, title, version, votes, languages in _works(self._client, user):
            state = [version.isoformat(), told.medal_by_votes(votes)]
            before = self._cursor.get("published", {}).get(url)
            if state == before:
                continue
            is_new = not before or before[0] != state[0]
            self._cursor = {**self._cursor, "published": {**self._cursor.get("published", {}), url: state}}
            yield told.published(user, kind, url, title, version, votes, languages, is_new), self._cursor

    def _moved(self, slug: str, known: Json) -> Json:
        self._cursor = {**self._cursor, "competitions": {**self._cursor.get("competitions", {}), slug: known}}
        return self._cursor


def _works(client: "KaggleHttpClient", user: str) -> Iterator[tuple[str, str, str, datetime, int, tuple[str, ...]]]:
    """Kind, address, title, date of the version, votes and languages of each public work of a user."""
    from kagglesdk.datasets.services.dataset_api_service import DatasetApiClient
    from kagglesdk.datasets.types.dataset_api_service import ApiListDatasetsRequest
    from kagglesdk.kernels.services.kernels_api_service import KernelsApiClient
    from kagglesdk.kernels.types.kernels_api_service import ApiListKernelsRequest
    from kagglesdk.models.services.model_api_service import ModelApiClient
    from kagglesdk.models.types.model_api_service import ApiListModelsRequest

    notebooks = ApiListKernelsRequest()
    notebooks.user = user
    for one in _pages(KernelsApiClient(client).list_kernels, notebooks, "kernels"):
        if not one.is_private and one.last_run_time:
            languages = tuple(filter(None, [_LANGUAGES.get(one.language.lower())]))
            yield (
                "notebook",
                f"{told.SITE}/code/{one.ref}",
                one.title,
                _utc(one.last_run_time),
                one.total_votes,
                languages,
            )
    datasets = ApiListDatasetsRequest()
    datasets.user = user
    for one in _pages(DatasetApiClient(client).list_datasets, datasets, "datasets"):
        if not one.is_private and one.last_updated:
            yield "dataset", f"{told.SITE}/datasets/{one.ref}", one.title, _utc(one.last_updated), one.vote_count, ()
    models = ApiListModelsRequest()
    models.owner = user
    for one in _pages(ModelApiClient(client).list_models, models, "models"):
        changed = one.update_time or one.publish_time
        if not one.is_private and changed:
            yield "model", f"{told.SITE}/models/{one.ref}", one.title, _utc(changed), one.vote_count, ()


def _pages(ask: Callable[[Any], Any], request: Any, items: str) -> Iterator[Any]:
    """Every item, page after page."""
    request.page_size = _PAGE
    while True:
        answer = ask(request)
        yield from getattr(answer, items) or []
        if not answer.next_page_token:
            return
        request.page_token = answer.next_page_token


def _client(remote: Api) -> "KaggleHttpClient":
    """The official client, with its requests and shapes, over the transport that all sources share.

    Its own has no timeouts, follows redirects, and reads answers without a limit.
    """
    from kagglesdk.common.types.file_download import FileDownload
    from kagglesdk.kaggle_http_client import KaggleHttpClient

    class Client(KaggleHttpClient):  # type: ignore[misc]
        def call(self, service_name: str, request_name: str, request: Any, response_type: Any) -> Any:
            path, asked = f"{service_name}/{request_name}", type(request).to_dict(request)
            if response_type is FileDownload:
                return remote.download(path, asked)
            answer, _ = remote.post(path, json=asked)
            if not isinstance(answer, dict):
                raise TypeError(f"{request_name} gives no object")
            if answer.get("code", 0) >= 400:
                raise InputError(
                    f"Kaggle answers {request_name} with {answer['code']}: {answer.get('message')!r}",
                    "See what Kaggle says.",
                )
            return response_type.from_dict(answer)

    return Client()


def _slug(competition: Any) -> str:
    """The last part of a competition's address, which `ref` is or ends with."""
    return str(competition.ref).rstrip("/").rpartition("/")[2]


def _utc(moment: datetime) -> datetime:
    """Kaggle's moments are UTC, and say so by a Z that its client drops."""
    return moment.replace(tzinfo=UTC)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "nan")
    except ValueError:
        return None
    return number if isfinite(number) else None
