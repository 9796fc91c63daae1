"""From a Git commit to an xAPI statement, built with tincan so that its data model is kept."""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any
from uuid import uuid5

from tincan import (
    Activity,
    ActivityDefinition,
    ActivityList,
    Agent,
    AgentAccount,
    Context,
    ContextActivities,
    Extensions,
    LanguageMap,
    Result,
    Verb,
)
from tincan import Statement as TincanStatement

from schemas.xapi import Statement
from transforms.statements import NAMESPACE

VOCABULARY = "https://w3id.org/proficio"
FEATURES = f"{VOCABULARY}/extensions/features"
FILES_KEPT = 100
_EMAIL = re.compile(r"[^\s@<>]+@[^\s@<>]+")
# The address that GitHub gives who keeps theirs private: https://docs.github.com/account-and-profile, "commit email address".
_GITHUB_LOGIN = re.compile(r"(?:\d+\+)?([A-Za-z0-9-]+)@users\.noreply\.github\.com", re.IGNORECASE)
_REVERT = re.compile(r"This reverts commit ([0-9a-f]{7,64})")
_COAUTHOR = re.compile(r"^co-authored-by:(.*)<([^<>\n]+)>[ \t]*$", re.IGNORECASE | re.MULTILINE)

LANGUAGES = {
    ".py": "Python", ".pyi": "Python", ".r": "R", ".jl": "Julia", ".sql": "SQL", ".js": "JavaScript",
    ".ts": "TypeScript", ".tsx": "TypeScript", ".java": "Java", ".scala": "Scala", ".go": "Go", ".rs": "Rust", ".c": "C",
    ".h": "C", ".cc": "C++", ".cpp": "C++", ".hpp": "C++", ".cu": "CUDA", ".sh": "Shell", ".cs": "C#", ".rb": "Ruby",
    ".php": "PHP", ".kt": "Kotlin", ".swift": "Swift", ".lua": "Lua", ".m": "MATLAB",
}  # fmt: skip
_DOCS = {".md", ".rst", ".adoc", ".tex", ".txt"}
_INFRASTRUCTURE = {".tf", ".dockerfile", ".helm"}
_INFRASTRUCTURE_NAMES = {
    "dockerfile",
    "makefile",
    "jenkinsfile",
    "compose.yaml",
    "docker-compose.yml",
    ".gitlab-ci.yml",
}


@dataclass(frozen=True)
class FileChange:
    """One file of a commit. Lines are None for binary files; `renamed_from` is set for renames.

    `stands_for` is what it stands for instead of holding it: "lfs", a file that Git LFS keeps elsewhere, or "submodule";
    `libraries` are what it imports.
    """

    path: str
    added: int | None
    deleted: int | None
    renamed_from: str | None = None
    stands_for: str | None = None
    libraries: tuple[str, ...] = ()


@dataclass(frozen=True)
class Commit:
    """A commit as Git tells it; the author as .mailmap has them. `authored_at` is aware."""

    repository: str
    sha: str
    parents: tuple[str, ...]
    author_name: str
    author_email: str
    authored_at: datetime
    message: str
    files: tuple[FileChange, ...] = ()
    tags: tuple[str, ...] = field(default=())


def statement(commit: Commit) -> Statement:
    """The statement "author committed commit", its id made from repository and sha, so a resend is the same one."""
    subject, _, body = commit.message.partition("\n")
    activity = f"{commit.repository}/commit/{commit.sha}"
    extensions: dict[str, Any] = {
        FEATURES: features(commit),
        f"{VOCABULARY}/extensions/files": [change.path for change in commit.files[:FILES_KEPT]],
        f"{VOCABULARY}/extensions/parents": list(commit.parents),
    }
    if commit.tags:
        extensions[f"{VOCABULARY}/extensions/tags"] = list(commit.tags)
    if reverted := _REVERT.search(commit.message):
        extensions[f"{VOCABULARY}/extensions/reverts"] = f"{commit.repository}/commit/{reverted[1]}"
    own = [change for change in commit.files if not change.stands_for]
    counts = {
        f"{VOCABULARY}/extensions/files-changed": len(commit.files),
        f"{VOCABULARY}/extensions/lines-added": sum(change.added or 0 for change in own),
        f"{VOCABULARY}/extensions/lines-deleted": sum(change.deleted or 0 for change in own),
    }
    built = TincanStatement(
        id=uuid5(NAMESPACE, f"git\n{commit.repository}\n{commit.sha}"),
        actor=_author(commit),
        verb=Verb(id=f"{VOCABULARY}/verbs/committed", display=LanguageMap({"en": "committed"})),
        object=Activity(
            id=activity,
            definition=ActivityDefinition(
                type=f"{VOCABULARY}/activity-types/commit",
                name=LanguageMap({"en": subject[:500] or "(no message)"}),
                description=LanguageMap({"en": body.strip()[:2000]}) if body.strip() else None,
            ),
        ),
        result=Result(extensions=Extensions(counts)),
        context=Context(
            platform="Git",
            context_activities=ContextActivities(
                parent=ActivityList(
                    [
                        Activity(
                            id=commit.repository,
                            definition=ActivityDefinition(type=f"{VOCABULARY}/activity-types/repository"),
                        )
                    ]
                )
            ),
            extensions=Extensions(extensions),
        ),
        timestamp=commit.authored_at,
    )
    as_version: dict[str, Any] = built.as_version()
    return as_version


def statements(commit: Commit) -> list[Statement]:
    """The statement of a commit's author, and the same of each co-author that its message names, with ids of their own."""
    own = statement(commit)
    found, seen = [own], {commit.author_email.lower()}
    for name, email in _COAUTHOR.findall(commit.message):
        if email.lower() not in seen:
            seen.add(email.lower())
            made = statement(replace(commit, author_name=name.strip(), author_email=email))
            found.append({**made, "id": str(uuid5(NAMESPACE, f"{own['id']}\n{email.lower()}"))})
    return found


def features(commit: Commit) -> list[str]:
    """What a commit shows, as alignment rules match it: "language:…", "kind:…" and "library:…", sorted.

    A merge shows no languages or kinds of its files: they are the work of the merged commits.
    """
    if len(commit.parents) > 1:
        return ["kind:merge"]
    found = set()
    for change in commit.files:
        if change.added == change.deleted == 0 and change.renamed_from:
            continue  # moved, not written
        found |= {f"kind:{change.stands_for}"} if change.stands_for else _features_of(PurePosixPath(change.path))
        found |= {f"library:{library}" for library in change.libraries}
    if _REVERT.search(commit.message):
        found.add("kind:revert")
    if _COAUTHOR.search(commit.message):
        found.add("kind:coauthored")
    return sorted(found)


def _features_of(path: PurePosixPath) -> set[str]:
    suffix, name = path.suffix.lower(), path.name.lower()
    found = set()
    if suffix == ".ipynb":
        found.add("kind:notebook")
    if suffix in LANGUAGES:
        found.add(f"language:{LANGUAGES[suffix]}")
        is_test = any(part in ("test", "tests") for part in path.parts) or name.startswith("test_")
        found.add("kind:test" if is_test else "kind:code")
    if suffix in _DOCS:
        found.add("kind:docs")
    if suffix in _INFRASTRUCTURE or name in _INFRASTRUCTURE_NAMES or ".github" in path.parts:
        found.add("kind:infrastructure")
    return found


def _author(commit: Commit) -> Agent:
    name = commit.author_name or None
    if login := _GITHUB_LOGIN.fullmatch(commit.author_email):
        return Agent(name=name, account=AgentAccount(home_page="https://github.com", name=login[1]))
    if _EMAIL.fullmatch(commit.author_email):
        return Agent(name=name, mbox=f"mailto:{commit.author_email}")
    account = AgentAccount(home_page=commit.repository, name=commit.author_email or commit.author_name or "unknown")
    return Agent(name=name, account=account)
