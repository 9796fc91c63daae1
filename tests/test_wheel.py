"""The wheel, installed in an empty environment outside the checkout, runs the demo; its page opens in a real browser."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def call(*command: str, cwd: Path, **env: str) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PROFICIO_", "PYTHON"))}
    done = subprocess.run(command, cwd=cwd, env={**environment, **env}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    call(
        *pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT), cwd=folder
    )
    call(sys.executable, "-m", "venv", str(folder / "env"), cwd=folder)
    fresh = str(folder / "env" / "bin" / "pip")
    call(
        fresh, "install", "--quiet", "--no-deps", "--require-hashes", "-r", str(ROOT / "requirements.lock"), cwd=folder
    )
    call(fresh, "install", "--quiet", "--no-deps", *map(str, folder.glob("*.whl")), cwd=folder)
    return folder


@pytest.mark.timeout(900)
def test_the_wheel_alone_runs_the_demo(installed: Path, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    call("git", "init", "-q", cwd=repository)
    (repository / "a.py").write_text("print()\n")
    call("git", "add", "-A", cwd=repository)
    call("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "-q", "-m", "Work", cwd=repository)
    command = str(installed / "env" / "bin" / "proficio")
    told = json.loads(call(command, "demo", "--people", "40", "--repo", str(repository), "--json", cwd=tmp_path))
    assert told["overall"]["estimates"] > 200
    assert told["overall"]["within_one"] > 0.95
    assert told["overall"]["exact"] > 0.55
    page = Path(told["page"])
    html = page.read_text("utf-8")
    assert not re.search(r"""(src|href)\s*=\s*["']?\s*(https?:)?//|@import|url\(""", html), (
        "the page reaches for the network"
    )
    assert "Estimate and truth" in html
    ask = [command, "--config", str(page.parent / "proficio.toml")]
    seen = json.loads(call(*ask, "levels", "Ada", "--json", cwd=tmp_path).splitlines()[0])
    assert seen["person_name"] == "Ada"
    assert re.fullmatch("[0-9a-f]{32}", seen["person"])
    team = json.loads(
        call(*ask, "gaps", "responsible-ai-lead", "--team", "Sales", "--json", cwd=tmp_path).splitlines()[0]
    )
    assert team["people"] == 40 / 5
    _open_in_browser(page, tmp_path)


def _open_in_browser(page: Path, folder: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        if os.environ.get("CI") == "true":
            pytest.fail("a browser is needed (Debian: apt-get install chromium)")
        pytest.skip("no browser to open the page in (Debian: apt-get install chromium)")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync",
             "--disable-component-update", f"--user-data-dir={folder / 'browser'}"]  # fmt: skip
    picture = folder / "page.png"
    call(browser, *flags, "--window-size=1100,1600", f"--screenshot={picture}", page.as_uri(), cwd=folder)
    assert picture.stat().st_size > 50_000
    dom = call(browser, *flags, "--dump-dom", page.as_uri(), cwd=folder)
    assert dom.count("<svg") == 14 + 14
    assert "The cohort: 41 people" in dom
