"""Commits of real Git repositories."""

import json
import subprocess
from pathlib import Path

import pytest

from connectors.sources.git import GitSource, events
from schemas import xapi
from schemas.errors import InputError, SettingsError, UnavailableError
from tests.home import Home
from tests.http_server import Answer, HttpServer
from transforms.commits import FEATURES


class Repository:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *who, *arguments], cwd=self.folder, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, path: str, text: str = "x\n", message: str = "Work", author: str = "Ada <ada@example.org>") -> str:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message, "--author", author)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path, git: str) -> Repository:
    return Repository(tmp_path / "repository")


def source(tmp_path: Path, *places: object) -> GitSource:
    return GitSource(tuple(map(str, places)), tmp_path / "mirrors", timeout_seconds=60)


def test_each_commit_is_one_valid_statement_oldest_first(tmp_path: Path, repository: Repository) -> None:
    shas = [repository.commit(f"file{n}.py", message=f"Work {n}\n\nBody {n}") for n in range(3)]
    made = [statement for statement, _ in events(source(tmp_path, repository.folder), None)]
    assert [one["object"]["id"].rsplit("/", 1)[1] for one in made] == shas
    assert [one["object"]["definition"]["name"]["en"] for one in made] == ["Work 0", "Work 1", "Work 2"]
    assert all(xapi.violations(one) == [] for one in made)
    assert made[0]["actor"] == {"objectType": "Agent", "name": "Ada", "mbox": "mailto:ada@example.org"}


def test_the_second_pull_brings_only_what_is_new(tmp_path: Path, repository: Repository) -> None:
    repository.commit("a.py")
    cursor = list(events(source(tmp_path, repository.folder), None))[-1][1]
    assert list(events(source(tmp_path, repository.folder), cursor)) == []
    new = repository.commit("b.py")
    repository.git("checkout", "--quiet", "-b", "side")
    side = repository.commit("c.py")
    brought = [one["object"]["id"].rsplit("/", 1)[1] for one, _ in events(source(tmp_path, repository.folder), cursor)]
    assert brought == [new, side]


def test_a_pull_that_broke_off_starts_again_with_the_same_ids(tmp_path: Path, repository: Repository) -> None:
    for n in range(5):
        repository.commit(f"f{n}.py")
    walk = events(source(tmp_path, repository.folder), None)
    half = [next(walk) for _ in range(3)]
    again = list(events(source(tmp_path, repository.folder), half[-1][1]))
    assert [one["id"] for one, _ in again][:3] == [one["id"] for one, _ in half]
    assert len(again) == 5


def test_a_force_push_brings_what_replaced_the_old(tmp_path: Path, repository: Repository) -> None:
    repository.commit("a.py")
    repository.commit("b.py", message="To be replaced")
    cursor = list(events(source(tmp_path, repository.folder), None))[-1][1]
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    repository.git("reflog", "expire", "--expire=now", "--all")
    repository.git("gc", "--quiet", "--prune=now")
    new = repository.commit("c.py", message="Instead")
    brought = [one["object"]["id"].rsplit("/", 1)[1] for one, _ in events(source(tmp_path, repository.folder), cursor)]
    assert brought[-1] == new


def test_merges_renames_notebooks_tags_and_strange_names(tmp_path: Path, repository: Repository) -> None:
    repository.commit("old name ä.py", "\n".join(map(str, range(50))))
    repository.git("checkout", "--quiet", "-b", "side")
    repository.commit("notebook.ipynb", "{}")
    repository.git("checkout", "--quiet", "main")
    repository.commit("README.md")
    repository.git("merge", "--quiet", "--no-ff", "--message", "Merge side", "side")
    repository.git("mv", "old name ä.py", "new.py")
    repository.git("commit", "--quiet", "--message", "Move")
    repository.git("tag", "-a", "v1.0", "-m", "one")
    made = {
        one["object"]["definition"]["name"]["en"]: one for one, _ in events(source(tmp_path, repository.folder), None)
    }
    prefix = "https://w3id.org/proficio/extensions"
    assert made["Merge side"]["context"]["extensions"][FEATURES] == ["kind:merge"]
    assert made["Move"]["context"]["extensions"][FEATURES] == []
    assert made["Move"]["context"]["extensions"][f"{prefix}/files"] == ["new.py"]
    assert made["Move"]["context"]["extensions"][f"{prefix}/tags"] == ["v1.0"]


def test_a_clone_url_is_mirrored_and_fetched(tmp_path: Path, repository: Repository) -> None:
    repository.commit("a.py")
    url = repository.folder.as_uri()
    cursor = list(events(source(tmp_path, url), None))[-1][1]
    new = repository.commit("b.py")
    brought = list(events(source(tmp_path, url), cursor))
    assert [one["object"]["id"] for one, _ in brought] == [f"{url}/commit/{new}"]


def test_names_of_authors_follow_the_mailmap(tmp_path: Path, repository: Repository) -> None:
    repository.commit(".mailmap", "Ada Lovelace <ada@example.org> <old@example.org>\n")
    repository.commit("a.py", author="A. L. <old@example.org>")
    made = [one for one, _ in events(source(tmp_path, repository.folder), None)]
    assert made[-1]["actor"]["mbox"] == "mailto:ada@example.org"
    assert made[-1]["actor"]["name"] == "Ada Lovelace"


def test_an_empty_repository_brings_nothing(tmp_path: Path, repository: Repository) -> None:
    assert list(events(source(tmp_path, repository.folder), None)) == []


def test_what_is_no_repository_is_told(tmp_path: Path, git: str) -> None:
    with pytest.raises(InputError, match="no Git repository"):
        list(events(source(tmp_path, tmp_path), None))
    with pytest.raises(InputError, match="no Git repository"):
        list(events(source(tmp_path, tmp_path / "missing"), None))
    with pytest.raises(UnavailableError, match="clone"):
        list(events(source(tmp_path, f"file://{tmp_path}/missing.git"), None))


def test_credentials_of_a_clone_url_reach_neither_statement_nor_error(tmp_path: Path, git: str) -> None:
    with pytest.raises(UnavailableError) as error:
        list(events(source(tmp_path, "http://ada:secret@127.0.0.1:9/app.git"), None))
    assert "secret" not in str(error.value)


def test_a_period_is_read_once_more_and_the_cursor_stays(tmp_path: Path, repository: Repository) -> None:
    for day in ("2026-01-01", "2026-01-02", "2026-01-03"):
        repository.commit(f"{day}.py")
        repository.git("commit", "--quiet", "--amend", "--no-edit", "--date", f"{day}T12:00:00Z")
    home = Home(tmp_path / "home")
    pulled = ("pull", "git", str(repository.folder), "--json")
    assert json.loads(home(*pulled))["appended"] == 3
    cursor = home.settings.home / "cursors" / "git.json"
    before = cursor.read_text("utf-8")
    assert json.loads(home(*pulled, "--since", "2026-01-02", "--until", "2026-01-03"))["appended"] == 1
    assert json.loads(home(*pulled, "--until", "2026-01-02"))["appended"] == 1
    assert cursor.read_text("utf-8") == before
    assert json.loads(home(*pulled))["appended"] == 0
    home("land")
    home("estimate")
    assert len({row["statement_id"] for row in home.rows()}) == 3


def features_of(tmp_path: Path, repository: Repository) -> list[str]:
    """What the newest commit shows."""
    newest = list(events(source(tmp_path, repository.folder), None))[-1][0]
    found: list[str] = newest["context"]["extensions"][FEATURES]
    return found


def test_notebooks_and_python_say_what_they_import(tmp_path: Path, repository: Repository) -> None:
    cells = [{"cell_type": "code", "source": ["import torch\n"]}]
    repository.commit("a.ipynb", json.dumps({"cells": cells}))
    assert features_of(tmp_path, repository) == ["kind:notebook", "library:torch"]
    repository.commit("b.py", "import tensorflow as tf\nimport os\n")
    assert features_of(tmp_path, repository) == ["kind:code", "language:Python", "library:tensorflow"]
    repository.git("rm", "--quiet", "b.py")
    repository.git("commit", "--quiet", "--message", "Remove it")
    assert "library:tensorflow" not in features_of(tmp_path, repository)


def test_a_pointer_of_lfs_and_a_submodule_are_not_work_of_their_own(tmp_path: Path, repository: Repository) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 132735000\n"
    repository.commit("model.py", pointer)
    assert features_of(tmp_path, repository) == ["kind:lfs"]
    repository.commit("model.py", pointer.replace("a" * 64, "b" * 64))
    assert features_of(tmp_path, repository) == ["kind:lfs"]
    inner = Repository(tmp_path / "inner")
    inner.commit("code.py")
    repository.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.folder), "lib.py")
    repository.git("commit", "--quiet", "--message", "Add the library")
    assert features_of(tmp_path, repository) == ["kind:submodule"]
    counted = list(events(source(tmp_path, repository.folder), None))[-1][0]["result"]["extensions"]
    assert counted["https://w3id.org/proficio/extensions/files-changed"] == 2
    assert counted["https://w3id.org/proficio/extensions/lines-added"] == 3  # of .gitmodules


def test_a_shallow_clone_is_read_as_far_as_it_goes(tmp_path: Path, repository: Repository) -> None:
    for number in range(4):
        repository.commit("a.py", f"import torch\nx = {number}\n")
    subprocess.run(
        ["git", "clone", "--quiet", "--depth", "2", repository.folder.as_uri(), tmp_path / "shallow"], check=True
    )
    made = [one for one, _ in events(source(tmp_path, tmp_path / "shallow"), None)]
    assert len(made) == 2


def test_no_name_of_a_repository_runs_a_command_or_leaves_the_folder_of_mirrors(tmp_path: Path, git: str) -> None:
    made = tmp_path / "made"
    for name in (f"ext::sh -c 'touch {made}'", f"--upload-pack=touch {made}", "../../etc", f"ext://sh -c touch {made}",
                 f"file://--upload-pack=touch {made}", f"-u touch@x:{made}"):  # fmt: skip
        with pytest.raises((InputError, UnavailableError)):
            list(events(source(tmp_path, name), None))
    assert not made.exists()
    assert all(path.parent == tmp_path / "mirrors" for path in (tmp_path / "mirrors").glob("*"))


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        ((401, {"WWW-Authenticate": "Basic"}, b""), SettingsError, "is refused"), ((403, {}, b""), SettingsError, "is refused"),
        ((429, {"Retry-After": "5"}, b""), UnavailableError, "429"), ((500, {}, b""), UnavailableError, "500"),
        ((200, {}, b"<html>\nSign in</html>\n"), UnavailableError, "git clone of"),
        ((200, {"Content-Type": "application/x-git-upload-pack-advertisement"}, b"zzzz"), UnavailableError, "git clone of"),
    ],
)  # fmt: skip
def test_a_host_that_gives_no_repository_is_told_and_stops_no_other(
    tmp_path: Path, repository: Repository, answer: Answer, error: type[Exception], message: str
) -> None:
    repository.commit("a.py")
    host = HttpServer(lambda path, headers, body: answer)
    address = host.url.replace("http://", "http://ada:secret-word@") + "/x.git"
    read = []
    with pytest.raises(error, match=message) as raised:
        for one in events(source(tmp_path, address, repository.folder), None):
            read.append(one)
    assert len(read) == 1
    assert "secret-word" not in str(raised.value)
    assert not list((tmp_path / "mirrors").glob("*"))
    host.close()


def test_credentials_go_to_no_other_host_and_stand_in_no_message(tmp_path: Path, git: str) -> None:
    heard: list[str | None] = []

    def elsewhere(path: str, headers: dict[str, str], body: bytes) -> Answer:
        heard.append(headers.get("Authorization"))
        return 404, {}, b""

    def redirect(path: str, headers: dict[str, str], body: bytes) -> Answer:
        if "Authorization" not in headers:
            return 401, {"WWW-Authenticate": 'Basic realm="x"'}, b""
        return 302, {"Location": other.url.replace("127.0.0.1", "localhost") + path}, b""

    other, first = HttpServer(elsewhere), HttpServer(redirect)
    with pytest.raises(UnavailableError) as raised:
        list(events(source(tmp_path, first.url.replace("http://", "http://ada:secret-word@") + "/x.git"), None))
    assert "secret-word" not in str(raised.value)
    assert heard
    assert set(heard) == {None}
    other.close()
    first.close()
