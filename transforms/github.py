"""What GitHub tells of people's work, as statements: the same ones from a webhook's payload and from the REST API.

Objects (pull request, review, issue …) have one shape in both: GitHub REST API 2022-11-28. An id is made of what happened,
to what, by whom and when, so both ways give one statement. Accounts are GitHub's web address and the login.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid5

from schemas.xapi import Statement
from transforms.commits import FEATURES, VOCABULARY, Commit, FileChange
from transforms.commits import statements as committed
from transforms.statements import NAMESPACE

Json = dict[str, Any]
_DISCUSSION = "http://id.tincanapi.com/activitytype/discussion"
_CONCLUSIONS = {"success": True, "failure": False, "timed_out": False, "startup_failure": False}


def delivered(event: str, payload: Json) -> list[Statement]:
    """The statements of a webhook's delivery: `event` is the header X-GitHub-Event. None for what says nothing of work.

    KeyError, TypeError or ValueError for a payload that is not as GitHub documents it.
    """
    read = _DELIVERIES.get((event, payload.get("action")))
    return list(read(payload)) if read else []


def pull_request(repository: Json, pull: Json) -> Iterator[Statement]:
    """Opened, and merged or closed."""
    yield from _told(repository, pull["user"], "opened", pull, "pull-request", pull["created_at"])
    if pull.get("merged_at"):
        merged = [f"language:{repository['language']}"] if repository.get("language") else []
        yield from _told(
            repository, pull["user"], "merged", pull, "pull-request", pull["merged_at"], ["state:merged", *merged]
        )
    elif pull.get("closed_at"):
        yield from _told(repository, pull["user"], "closed", pull, "pull-request", pull["closed_at"], ["state:closed"])


def review(repository: Json, pull: Json, given: Json) -> Iterator[Statement]:
    """A review of another's pull request: given by the reviewer, and what it found, received by the author."""
    author, reviewer, state = pull["user"], given["user"], str(given["state"]).lower()
    if not author or not reviewer or author["login"] == reviewer["login"] or not given.get("submitted_at"):
        return  # one's own answers, and reviews that are not handed in
    thing = {"html_url": given["html_url"], "title": f"Review of {pull['title']}"}
    # Dismissing a review changes its state afterwards; that it was given stays.
    yield from _told(repository, reviewer, "reviewed", thing, "review", given["submitted_at"])
    if state in ("approved", "changes_requested") and not _is_bot(reviewer):
        result = {"success": state == "approved"}
        yield from _told(
            repository, author, "was-reviewed", thing, "review", given["submitted_at"], [f"state:{state}"], result
        )


def issue(repository: Json, given: Json, closed_by: Json | None) -> Iterator[Statement]:
    """Opened; and resolved, by those it is assigned to or else by who closed it, unless it was closed as not planned."""
    yield from _told(repository, given["user"], "opened", given, "issue", given["created_at"])
    if given.get("closed_at") and given.get("state_reason") in (None, "completed"):
        for person in given.get("assignees") or [closed_by]:
            yield from _told(repository, person, "resolved", given, "issue", given["closed_at"])


def release(repository: Json, given: Json) -> Iterator[Statement]:
    """Published; drafts are not."""
    if given.get("published_at") and not given.get("draft"):
        thing = {"html_url": given["html_url"], "title": given.get("name") or given["tag_name"]}
        yield from _told(repository, given["author"], "released", thing, "release", given["published_at"])


def check_suite(repository: Json, given: Json) -> Iterator[Statement]:
    """What a commit's checks came to, told of the commit's author; only where they passed or failed."""
    success = _CONCLUSIONS.get(given.get("conclusion") or "")
    commit = given.get("head_commit")
    if success is None or not commit:
        return
    sha, author = given["head_sha"], commit["author"]
    address = f"{repository['html_url']}/commit/{sha}/checks?check_suite_id={given['id']}"
    thing = {"html_url": address, "title": f"Checks of {sha[:10]} by {(given.get('app') or {}).get('name', 'an app')}"}
    actor = _commits(repository, {**commit, "id": sha}, ())[0]["actor"]
    verb = "passed" if success else "failed"
    if author.get("email") and not str(author.get("name", "")).endswith("[bot]"):
        yield _statement(
            repository, actor, f"http://adlnet.gov/expapi/verbs/{verb}", thing, f"{VOCABULARY}/activity-types/check",
            given["created_at"], [], {"success": success},
        )  # fmt: skip


def _push(payload: Json) -> Iterator[Statement]:
    """The commits that a push brings to a branch. The Git source tells the same with lines: the newer one counts."""
    if not payload["ref"].startswith("refs/heads/"):
        return
    for commit in payload["commits"]:
        if not commit.get("distinct", True) or commit["message"].startswith(("Merge pull request ", "Merge branch ")):
            continue
        if str(commit["author"].get("name", "")).endswith("[bot]"):
            continue
        paths = [*commit.get("added", ()), *commit.get("modified", ()), *commit.get("removed", ())]
        yield from _commits(payload["repository"], commit, paths)


def _discussion(payload: Json) -> Iterator[Statement]:
    given = payload["discussion"]
    yield from _told(payload["repository"], given["user"], "created", given, _DISCUSSION, given["created_at"])


def _discussion_comment(payload: Json) -> Iterator[Statement]:
    given = {**payload["comment"], "title": payload["discussion"]["title"]}
    yield from _told(payload["repository"], given["user"], "commented", given, _DISCUSSION, given["created_at"])


def _answer(payload: Json) -> Iterator[Statement]:
    """A comment that was chosen as the answer, told of who wrote it."""
    given = {**payload["answer"], "title": payload["discussion"]["title"]}
    at = payload["discussion"].get("answer_chosen_at") or given["created_at"]
    yield from _told(payload["repository"], given["user"], "solved", given, _DISCUSSION, at, ["state:answer"])


def _issue(payload: Json) -> Iterator[Statement]:
    return issue(payload["repository"], payload["issue"], payload["sender"])


def _pull_request(payload: Json) -> Iterator[Statement]:
    return pull_request(payload["repository"], payload["pull_request"])


_DELIVERIES: dict[tuple[str, str | None], Callable[[Json], Iterator[Statement]]] = {
    ("push", None): _push,
    ("pull_request", "opened"): _pull_request,
    ("pull_request", "closed"): _pull_request,
    ("pull_request_review", "submitted"): lambda given: review(given["repository"], given["pull_request"], given["review"]),
    ("issues", "opened"): _issue,
    ("issues", "closed"): _issue,
    ("release", "published"): lambda given: release(given["repository"], given["release"]),
    ("check_suite", "completed"): lambda given: check_suite(given["repository"], given["check_suite"]),
    ("discussion", "created"): _discussion,
    ("discussion", "answered"): _answer,
    ("discussion_comment", "created"): _discussion_comment,
}  # fmt: skip


def _told(
    repository: Json, user: Json | None, verb: str, thing: Json, kind: str, at: str, features: list[str] | None = None,
    result: Json | None = None,
) -> Iterator[Statement]:  # fmt: skip
    """The statement of a person. None for an account that is gone, and for bots."""
    if user and not _is_bot(user):
        parts = urlsplit(repository["html_url"])
        actor = {
            "objectType": "Agent", "name": user["login"],
            "account": {"homePage": f"{parts.scheme}://{parts.netloc}", "name": user["login"]},
        }  # fmt: skip
        type_ = kind if ":" in kind else f"{VOCABULARY}/activity-types/{kind}"
        yield _statement(repository, actor, f"{VOCABULARY}/verbs/{verb}", thing, type_, at, features or [], result)


def _statement(
    repository: Json, actor: Json, verb: str, thing: Json, type_: str, at: str, features: list[str], result: Json | None
) -> Statement:
    who = actor.get("mbox") or actor["account"]["name"]
    return {
        "id": str(uuid5(NAMESPACE, f"github\n{thing['html_url']}\n{verb}\n{who}\n{at}")),
        "actor": actor,
        "verb": {"id": verb, "display": {"en": verb.rpartition("/")[2]}},
        "object": {
            "objectType": "Activity",
            "id": thing["html_url"],
            "definition": {"type": type_, "name": {"en": str(thing["title"])[:500]}},
        },
        **({"result": result} if result else {}),
        "context": {
            "platform": "GitHub",
            "contextActivities": {"parent": [_place(repository)]},
            **({"extensions": {FEATURES: features}} if features else {}),
        },
        "timestamp": at,
    }


def _place(repository: Json) -> Json:
    return {
        "objectType": "Activity",
        "id": repository["html_url"],
        "definition": {"type": f"{VOCABULARY}/activity-types/repository"},
    }


def _commits(repository: Json, commit: Json, paths: Iterable[str]) -> list[Statement]:
    """A commit as it is told of its author and co-authors, without lines, which a payload does not have."""
    author = commit["author"]
    made = committed(
        Commit(
            repository=repository["html_url"],
            sha=commit["id"],
            parents=(),
            author_name=author.get("name") or "",
            author_email=author.get("email") or "",
            authored_at=datetime.fromisoformat(commit["timestamp"]),
            message=commit["message"],
            files=tuple(FileChange(path, None, None) for path in paths),
        )
    )
    return [
        {**{k: v for k, v in one.items() if k != "result"}, "id": str(uuid5(NAMESPACE, f"github-push\n{one['id']}"))}
        for one in made
    ]


def _is_bot(user: Json) -> bool:
    return user.get("type") == "Bot"
