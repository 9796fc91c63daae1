"""What a past release left behind is opened by this one, in its place or from a backup, and nothing of it is lost."""

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from connectors import archive
from tests.home import Home
from tests.releases.leaving import FOLDER, answer, found

RELEASES = sorted(FOLDER.glob("*.tar.zst"))


def test_this_release_is_among_those_that_later_ones_open() -> None:
    assert f"{version('proficio')}.tar.zst" in {file.name for file in RELEASES}, "python -m tests.releases.leaving"


@pytest.fixture(params=RELEASES, ids=lambda file: file.name)
def file(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def left_by(file: Path) -> dict[str, Any]:
    """What must be found of what a release left."""
    left: dict[str, Any] = json.loads(file.with_name(file.name.replace(".tar.zst", ".json")).read_text("utf-8"))
    return left


def test_a_backup_of_a_past_release_is_brought_back(tmp_path: Path, file: Path) -> None:
    home = Home(tmp_path)
    shutil.rmtree(home.settings.home)
    home("restore", str(file))
    assert found(home) == left_by(file)


def test_a_home_of_a_past_release_goes_on_in_its_place(tmp_path: Path, file: Path) -> None:
    left = left_by(file)
    home = Home(tmp_path)
    shutil.rmtree(home.settings.home)
    archive.check(file, home.settings.home)
    home("doctor")
    new = [answer(1, 3), answer(3, 3)]  # one of a person who was erased
    home("ingest", "-", stdin="\n".join(map(json.dumps, new)).encode())
    home.nightly()
    now = found(home)
    assert set(now["statements"]) - set(left["statements"]) == {new[0]["id"]}
    assert set(left["statements"]) < set(now["statements"])
    assert sum(one[2] for one in now["evidence"]) == sum(one[2] for one in left["evidence"]) + 1
    same = ("dead_letters", "consents", "attachments", "clients", "audit")
    assert [now[name] for name in same] == [left[name] for name in same]
    rows = [json.loads(line) for line in home("verify", "--json").splitlines()]
    assert [row["wrong"] for row in rows] == [[]] * len(rows)
    assert "Data literacy" in home("explain", "p1@example.org")
    home("person", "export", "p1@example.org", "--to", str(tmp_path / "p1"))
    assert (tmp_path / "p1").is_dir()
