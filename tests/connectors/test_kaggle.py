"""Kaggle by its official client, which asks a local server with the shapes of Kaggle's API."""

import base64
import io
import json
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest

from connectors.sources.kaggle import Kaggle, events
from schemas.errors import InputError, UnavailableError
from schemas.xapi import Statement, is_valid
from tests.http_server import REFUSALS, Answer, HttpServer
from transforms.kaggle import ranked

FEATURES = "https://w3id.org/proficio/extensions/features"
NOW = datetime.now(UTC)


def ago(days: float) -> str:
    return (NOW - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Api:
    """Kaggle as its API answers: one competition that closed, one that runs, what two users published."""

    def __init__(self) -> None:
        self.competitions = [competition("closed", ago(3), rank=7), competition("running", ago(-30), rank=900)]
        self.submissions = {
            "closed": [submission(number, 40 - number, "COMPLETE") for number in range(5)],
            "running": [submission(10, 2, "COMPLETE"), submission(11, 1.5, "ERROR"), submission(12, 0.1, "PENDING")],
        }
        self.kernels = {
            "ada": [work("ada/eda", lastRunTime=ago(20), language="python", totalVotes=6)],
            "grace": [work("grace/baseline", lastRunTime=ago(10), language="r", totalVotes=0, isPrivate=False),
                      work("grace/secret", lastRunTime=ago(10), language="r", totalVotes=0, isPrivate=True)],
        }  # fmt: skip
        self.datasets = {"grace": [work("grace/cats", lastUpdated=ago(9), voteCount=55)]}
        self.models = {"ada": [work("ada/tiny", publishTime=ago(8), updateTime=ago(7), voteCount=1)]}
        self.leaderboard = (
            "\ufeffRank,TeamId,TeamName,LastSubmissionDate,Score,SubmissionCount,TeamMemberUserNames\n"
            '1,1,"Some, one",2026-01-01 00:00:00,0.9,3,"someone,Grace"\n'
            + "".join(f"{rank},{rank},t{rank},2026-01-01 00:00:00,0.5,1,u{rank}\n" for rank in range(2, 101))
        )
        self.refuse: list[Answer] = []
        self.asked: list[str] = []
        self._server = HttpServer(self._answer)
        self.url, self.close = f"{self._server.url}/v1", self._server.close

    def _answer(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        self.asked.append(path)
        if self.refuse:
            return self.refuse.pop(0)
        legacy = base64.b64encode(b"ada:key").decode()
        if headers.get("Authorization") not in ("Bearer good", f"Basic {legacy}"):
            return 401, {}, b'{"code":401,"message":"Unauthenticated"}'
        asked = json.loads(body)
        method = path.rpartition("/")[2]
        if method == "DownloadLeaderboard":
            packed = io.BytesIO()
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("closed-publicleaderboard.csv", self.leaderboard)
            return 200, {"Content-Type": "application/octet-stream"}, packed.getvalue()
        if method == "ListCompetitions":
            assert asked["group"] == "COMPETITION_LIST_TAB_ENTERED"
            return self._page("competitions", self.competitions, asked)
        if method == "ListSubmissions":
            return self._page("submissions", self.submissions[asked["competitionName"]][::-1], asked)
        if method == "ListKernels":
            return self._page("kernels", self.kernels.get(asked["user"], []), asked)
        if method == "ListDatasets":
            return self._page("datasets", self.datasets.get(asked["user"], []), asked)
        assert method == "ListModels"
        return self._page("models", self.models.get(asked["owner"], []), asked)

    @staticmethod
    def _page(name: str, items: list[Any], asked: dict[str, Any]) -> Answer:
        start = int(asked.get("pageToken") or 0)
        end = start + min(asked["pageSize"], 2)
        token = str(end) if end < len(items) else ""
        return 200, {}, json.dumps({name: items[start:end], "nextPageToken": token}).encode()


def competition(slug: str, deadline: str, rank: int) -> dict[str, Any]:
    return {
        "id": 1, "ref": f"https://www.kaggle.com/competitions/{slug}", "title": f"The {slug} one", "deadline": deadline,
        "teamCount": 1000, "userHasEntered": True, "userRank": rank, "awardsPoints": True,
    }  # fmt: skip


def submission(ref: int, days: float, status: str) -> dict[str, Any]:
    return {
        "ref": ref, "date": ago(days), "status": status, "publicScore": "0.81" if status == "COMPLETE" else "",
        "submittedBy": "Ada L.", "submittedByRef": "ada",
    }  # fmt: skip


def work(ref: str, **more: Any) -> dict[str, Any]:
    return {"ref": ref, "title": f"Work {ref}", **more}


@pytest.fixture
def api() -> Iterator[Api]:
    one = Api()
    yield one
    one.close()


def read(api: Api, cursor: dict[str, Any] | None = None, **changes: Any) -> list[tuple[Any, dict[str, Any]]]:
    source = Kaggle("k", **{"username": "ada", "token": "good", "users": ("grace",), "url": api.url, **changes})
    return list(events((source,), cursor))


def told(found: list[tuple[Statement | None, dict[str, Any]]]) -> list[str]:
    return sorted(
        f"{one['actor']['name']} {one['verb']['display']['en']} {one['object']['id'].rpartition('/')[2]}"
        for one, _ in found
        if one
    )


def test_what_people_did_is_read_once(api: Api) -> None:
    found = read(api)
    assert all(one is None or is_valid(one) for one, _ in found)
    assert told(found) == sorted([
        "ada entered closed", "ada entered running", "ada ranked closed", "grace ranked closed",
        *(f"ada submitted submissions#{ref}" for ref in (0, 1, 2, 3, 4, 10, 11)),
        "ada published eda", "ada published tiny", "grace published baseline", "grace published cats",
    ])  # fmt: skip
    by = {(one["actor"]["name"], one["object"]["id"].rpartition("/")[2]): one for one, _ in found if one}
    assert by["ada", "closed"]["result"]["score"]["scaled"] == 0.9935  # (1000 - 7 + 0.5) / 1000
    assert by["ada", "closed"]["context"]["extensions"][FEATURES] == ["medal:gold"]
    assert by["grace", "closed"]["result"]["score"]["scaled"] == 0.995  # first of the 100 teams of the leaderboard
    assert by["ada", "submissions#11"]["result"] == {"success": False}
    assert by["ada", "submissions#10"]["result"] == {"success": True, "score": {"raw": 0.81}}
    assert by["ada", "eda"]["context"]["extensions"][FEATURES] == ["medal:bronze", "language:Python"]
    assert by["grace", "cats"]["context"]["extensions"][FEATURES] == ["medal:gold"]
    assert "extensions" not in by["ada", "tiny"]["context"]
    assert told(read(api, json.loads(json.dumps(found[-1][1])))) == []


def test_what_changes_is_told_again_and_nothing_else(api: Api) -> None:
    cursor = read(api)[-1][1]
    api.submissions["running"][-1]["status"] = "COMPLETE"  # it was waited for
    api.kernels["ada"][0]["totalVotes"] = 19  # no new medal
    api.kernels["grace"][0]["totalVotes"] = 20
    api.datasets["grace"][0]["lastUpdated"] = ago(0.1)
    api.competitions[0]["userRank"] = 8  # somebody was found to have cheated
    found = read(api, cursor)
    assert told(found) == ["ada ranked closed", "ada submitted submissions#12", "grace published baseline",
                           "grace published cats"]  # fmt: skip
    medal = next(one for one, _ in found if one and one["object"]["id"].endswith("baseline"))
    assert "timestamp" not in medal  # it counts from when it is received, after its version
    api.competitions[0]["deadline"] = ago(90)
    api.asked.clear()
    settled = read(api, read(api, found[-1][1])[-1][1])
    assert told(settled) == []
    assert sum(path.endswith("DownloadLeaderboard") for path in api.asked) == 1  # not again once it is settled


def test_a_read_that_breaks_off_anywhere_loses_nothing(api: Api) -> None:
    whole = {one["id"]: one for one, _ in read(api) if one}
    source = (Kaggle("k", "ada", "good", ("grace",), url=api.url),)
    for stop in range(1, len(whole) + 1):
        taken = list(islice(events(source, None), stop))
        rest = list(events(source, json.loads(json.dumps(taken[-1][1]))))
        assert {
            one["id"]: one for one, _ in [*taken, *rest] if one
        } == whole  # the same content too, or it is a conflict


def test_kaggle_json_is_a_credential_too(api: Api) -> None:
    assert told(read(api, token='{"username":"ada","key":"key"}'))


def test_a_rate_limit_is_waited_for_or_told(api: Api) -> None:
    api.refuse = [(429, {"Retry-After": "1"}, b"")]
    started = time.monotonic()
    assert told(read(api))
    assert time.monotonic() - started > 1
    api.refuse = [(429, {"Retry-After": "5000"}, b"")]
    with pytest.raises(UnavailableError, match="asks to wait 5,000 s"):
        read(api)


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        *REFUSALS,
        ((200, {}, b"[]"), InputError, "what was not expected"),
        ((200, {}, b'{"competitions":[{"deadline":"soon","ref":1}]}'), InputError, "what was not expected"),
        ((200, {}, b'{"code":404,"message":"Not found"}'), InputError, "with 404"),
    ],
)  # fmt: skip
def test_what_will_not_pass_is_told_and_no_secret_with_it(
    api: Api, answer: Answer, error: type[Exception], message: str
) -> None:
    api.refuse = [answer]
    with pytest.raises(error, match=message) as raised:
        read(api)
    assert "good" not in str(raised.value)
    assert len(api.asked) == 1


def test_a_leaderboard_that_is_none_is_told(api: Api) -> None:
    api.refuse = [
        (200, {}, json.dumps({"competitions": api.competitions[:1]}).encode()),
        (200, {}, b"{}"),
        (200, {}, b"no zip"),
    ]
    with pytest.raises(InputError, match="leaderboard of closed is no ZIP"):
        read(api)


def test_a_leaderboard_that_unpacks_without_end_is_not_read(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.sources.kaggle._MOST_BYTES", 10_000)
    api.leaderboard += "0" * 1_000_000  # a thousandth of that, packed
    with pytest.raises(InputError, match=r"leaderboard of closed has over 10,000 bytes"):
        read(api)


@pytest.mark.parametrize(
    ("rank", "teams", "medal"),
    [(5, 50, "gold"), (6, 50, "silver"), (20, 50, "bronze"), (21, 50, None), (10, 200, "gold"), (11, 200, "silver"),
     (11, 500, "gold"), (12, 500, "silver"), (100, 500, "bronze"), (101, 500, None), (16, 3000, "gold"), (17, 3000, "silver"),
     (300, 3000, "bronze"), (301, 3000, None)],
)  # fmt: skip
def test_medals_follow_the_table_of_kaggle(rank: int, teams: int, medal: str | None) -> None:
    features = ranked("ada", "c", "C", NOW, rank, teams, True)["context"].get("extensions", {}).get(FEATURES)
    assert features == ([f"medal:{medal}"] if medal else None)
