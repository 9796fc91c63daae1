"""Commits of Git repositories: local paths or clone URLs, new commits only."""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import chain
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, cast
from urllib.parse import quote, urlsplit, urlunsplit

from connectors.sources.git_blobs import Blobs, blobs, pointer
from connectors.sources.several import in_turn
from schemas.errors import InputError, SettingsError, UnavailableError
from schemas.xapi import Statement
from transforms.commits import Commit, FileChange, statements
from transforms.libraries import libraries

_FORMAT = "%x1e%H%x1f%P%x1f%aN%x1f%aE%x1f%at%x1f%D%x1f%B%x1d"
_URL = re.compile(r"^([a-z][a-z0-9+.-]*://|[^/\s]+@[^/\s]+:)", re.IGNORECASE)
_NOTHING = "0" * 40  # the id of what is not there any more
_POINTER_LINES, _POINTER_BYTES = 3, 1024  # of a pointer of Git LFS, by its specification
_MOST_COMPLAINT = 2_000  # bytes
# What Git says of 401, 403 and refused keys; messages stay English by the environment.
_DENIED = re.compile(
    r"Authentication failed|could not read (Username|Password)|error: 40[13]\b|Permission denied|Access denied",
    re.IGNORECASE,
)
_RENAME = re.compile(r"(.*)\{(.*) => (.*)\}(.*)")


@dataclass(frozen=True)
class GitSource:
    """Plain settings of the source: repositories, where mirrors of clone URLs are kept, seconds a Git call may take."""

    repositories: tuple[str, ...]
    mirrors: Path
    timeout_seconds: float = 600


def events(settings: GitSource, cursor: dict[str, Any] | None) -> Iterator[tuple[Statement, dict[str, Any]]]:
    """Statements of all commits reachable from any branch or tag that were not before, oldest first.

    The cursor holds, for each repository, the tips that were read ({"tips": {iri: [sha, …]}}); a tip that a force push
    removed is left out of the question. A repository's new tips are stored with its last commit only, so a broken-off
    read starts that repository again and sends the same ids.
    """
    tips: dict[str, list[str]] = dict((cursor or {}).get("tips", {}))

    def of_repository(repository: str) -> Iterator[tuple[Statement, dict[str, Any]]]:
        folder, iri = _open(repository, settings)
        seen = _held(folder, tips.get(iri, []))
        now = _git(folder, "for-each-ref", "--format=%(objectname)", "refs/heads", "refs/tags", "refs/remotes").split()
        head = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD", allow_failure=True).split()
        now = sorted({*now, *head})
        if not now or now == sorted(seen):
            return
        held: Statement | None = None
        for one in chain.from_iterable(map(statements, _log(folder, iri, now, seen))):
            if held is not None:
                yield held, {"tips": dict(tips)}
            held = one
        tips[iri] = now
        if held is not None:
            yield held, {"tips": dict(tips)}

    return in_turn(settings.repositories, of_repository)


def _open(repository: str, settings: GitSource) -> tuple[Path, str]:
    """A folder that Git can read, and the IRI of the repository. Clone URLs are mirrored, credentials left out."""
    if _URL.match(repository):
        public = web_address(repository)
        mirror = settings.mirrors / sha256(public.encode()).hexdigest()[:16]
        if mirror.exists():
            _git(mirror, "fetch", "--prune", "--tags", "--quiet", "origin", timeout=settings.timeout_seconds)
        else:
            settings.mirrors.mkdir(parents=True, exist_ok=True)
            _git(settings.mirrors, "clone", "--mirror", "--quiet", "--", repository, str(mirror),
                 timeout=settings.timeout_seconds, about=public)  # fmt: skip
        return mirror, public
    folder = Path(repository).expanduser().resolve()
    if not folder.is_dir() or not _git(folder, "rev-parse", "--git-dir", allow_failure=True):
        raise InputError(
            f"{repository} is no Git repository.", "Give the path of a repository's folder, or a clone URL."
        )
    origin = _git(folder, "config", "--get", "remote.origin.url", allow_failure=True).strip()
    iri = web_address(origin) if _URL.match(origin) else folder.as_uri()
    return folder, iri


def web_address(url: str) -> str:
    """What stands for a repository whichever way it is cloned: https://host/path, without credentials, port of SSH, or .git."""
    if "://" not in url:  # git@host:path
        host, _, path = url.rpartition("@")[2].partition(":")
        url = f"ssh://{host}/{quote(path)}"
    parts = urlsplit(url)
    path = parts.path.rstrip("/").removesuffix(".git")
    if parts.scheme in ("ssh", "git"):
        return f"https://{parts.hostname or ''}{path}"
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], path=path))


def _held(folder: Path, shas: list[str]) -> list[str]:
    """Those commits of a list that the repository still has."""
    asked = "".join(f"{sha}^{{commit}}\n" for sha in shas)
    told = _git(folder, "cat-file", "--batch-check", given=asked).splitlines()
    return [sha for sha, line in zip(shas, told, strict=True) if " commit " in line]


def _log(folder: Path, iri: str, tips: list[str], seen: list[str]) -> Iterator[Commit]:
    command = [*_command(folder), "log", "--stdin", "--topo-order", "--reverse", "--use-mailmap", "--raw", "--numstat",
               "--no-abbrev", "-M", "--no-ext-diff", "--no-textconv", "--no-color", "--no-show-signature",
               "--encoding=UTF-8", "--decorate=full", f"--format={_FORMAT}"]  # fmt: skip
    revisions = "\n".join([*tips, *(f"^{sha}" for sha in seen)]) + "\n"
    with (
        TemporaryFile() as complaints,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, env=_environment()
        ) as process,
        blobs(_command(folder), _environment()) as contents,
    ):
        stdin, stdout = cast(BinaryIO, process.stdin), cast(BinaryIO, process.stdout)
        stdin.write(revisions.encode())
        stdin.close()
        for record in _records(stdout):
            yield _commit(iri, record, contents)
        process.wait()
        complaints.seek(0)
        complaint = complaints.read(_MOST_COMPLAINT).decode(errors="replace").strip()
    if process.returncode:
        raise UnavailableError(f"git log failed in {folder}: {complaint}", "Check the repository: git fsck.")


def _records(stream: BinaryIO) -> Iterator[str]:
    """The output of git log, cut at the record separator, a commit at a time."""
    rest = b""
    while chunk := stream.read(1 << 16):
        *whole, rest = (rest + chunk).split(b"\x1e")
        for record in whole:
            if record.strip():
                yield record.decode(errors="replace")
    if rest.strip():
        yield rest.decode(errors="replace")


def _commit(iri: str, record: str, contents: Blobs) -> Commit:
    head, _, told = record.partition("\x1d")
    lines = told.splitlines()
    objects = dict(_object(line) for line in lines if line.startswith(":"))
    sha, parents, name, email, authored, decoration, message = head.split("\x1f", 6)
    tags = tuple(
        one.strip().removeprefix("tag: refs/tags/") for one in decoration.split(",") if "tag: refs/tags/" in one
    )
    return Commit(
        repository=iri,
        sha=sha,
        parents=tuple(parents.split()),
        author_name=name,
        author_email=email,
        authored_at=datetime.fromtimestamp(int(authored), UTC),
        message=message.strip(),
        files=tuple(
            _known(_change(line), objects, contents)
            for line in lines
            if line.count("\t") >= 2 and not line.startswith(":")
        ),
        tags=tags,
    )


def _change(line: str) -> FileChange:
    added, deleted, path = line.split("\t", 2)
    before = None
    if " => " in path:
        braces = _RENAME.fullmatch(path)
        if braces:
            start, old, new, end = braces.groups()
            before, path = f"{start}{old}{end}".replace("//", "/"), f"{start}{new}{end}".replace("//", "/")
        else:
            before, path = path.split(" => ", 1)
    return FileChange(path, None if added == "-" else int(added), None if deleted == "-" else int(deleted), before)


def _object(line: str) -> tuple[str, tuple[bool, str]]:
    """The path of a line of --raw, whether it is a submodule, and the id of what it holds now."""
    told, *paths = line.split("\t")
    before, after, _, sha, _ = told[1:].split(" ", 4)
    return paths[-1], ("160000" in (before, after), sha)


def _known(change: FileChange, objects: dict[str, tuple[bool, str]], contents: Blobs) -> FileChange:
    """A change with what its content says: of submodules and pointers, that they are; of Python, what it imports."""
    is_submodule, sha = objects.get(change.path, (False, _NOTHING))
    if is_submodule:
        return replace(change, stands_for="submodule")
    if set(sha) == {"0"} or change.added is None:
        return change
    few = max(change.added, change.deleted or 0) <= _POINTER_LINES
    if few and (content := contents.read(sha, _POINTER_BYTES)) and pointer(content):
        return replace(change, stands_for="lfs")
    if change.path.endswith((".py", ".ipynb")) and (content := contents.read(sha)):
        return replace(change, libraries=libraries(change.path, content))
    return change


def _command(folder: Path) -> list[str]:
    return ["git", "-c", "core.quotePath=false", "-C", str(folder)]


def _environment() -> dict[str, str]:
    """Git never asks a person, speaks English, and fetches nothing that a partial clone left out."""
    return {**os.environ, "LC_ALL": "C.UTF-8", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1"}


def _git(
    folder: Path, *arguments: str, timeout: float = 60, allow_failure: bool = False, about: str = "", given: str = ""
) -> str:
    command = [*_command(folder), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=timeout, input=given.encode(), env=_environment(), check=False
        )
    except FileNotFoundError:
        raise UnavailableError(
            "The command git is not installed.", "Install Git, or leave the git source out."
        ) from None
    except subprocess.TimeoutExpired:
        raise UnavailableError(
            f"git {arguments[0]} of {about or folder} took longer than {timeout:.0f} s.",
            "Raise sources.git.timeout_seconds, or check the network.",
        ) from None
    if done.returncode and not allow_failure:
        complaint = done.stderr.decode(errors="replace").strip()
        if _DENIED.search(complaint):
            raise SettingsError(
                f"git {arguments[0]} of {about or folder} is refused: {complaint}",
                "The credentials that Git has for it are wrong, have expired, or may not read it.",
            )
        raise UnavailableError(
            f"git {arguments[0]} of {about or folder} failed: {complaint}", "Check the address and your access to it."
        )
    return done.stdout.decode(errors="replace") if not done.returncode else ""
