"""What the wheel holds, outside the checkout, runs the demo; its page opens in a real browser."""

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


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Where what the wheel holds stands, and nothing of the checkout."""
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    wheel, folder = tmp_path / "wheel", tmp_path / "installed"
    call(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheel), str(ROOT), cwd=tmp_path)
    call(*pip, "install", "--no-deps", "--target", str(folder), *map(str, wheel.glob("*.whl")), cwd=tmp_path)
    return folder


def test_the_wheel_alone_runs_the_demo(installed: Path, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    call("git", "init", "-q", cwd=repository)
    (repository / "a.py").write_text("print()\n")
    call("git", "add", "-A", cwd=repository)
    call("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "-q", "-m", "Work", cwd=repository)

    def proficio(*arguments: str) -> str:
        return call(str(installed / "bin" / "proficio"), *arguments, cwd=tmp_path, PYTHONPATH=str(installed))

    where = call(sys.executable, "-c", "import flows; print(flows.__file__)", cwd=tmp_path, PYTHONPATH=str(installed))
    assert Path(where).is_relative_to(installed)
    told = json.loads(proficio("demo", "--people", "40", "--repo", str(repository), "--json"))
    assert told["overall"]["estimates"] > 200
    assert told["overall"]["within_one"] > 0.95
    assert told["overall"]["exact"] > 0.55
    page = Path(told["page"])
    html = page.read_text("utf-8")
    assert not re.search(r"""(src|href)\s*=\s*["']?\s*(https?:)?//|@import|url\(""", html), (
        "the page reaches for the network"
    )
    assert "Estimate and truth" in html
    ask = ("--config", str(page.parent / "proficio.toml"))
    seen = json.loads(proficio(*ask, "levels", "Ada", "--json").splitlines()[0])
    assert seen["person_name"] == "Ada"
    assert re.fullmatch("[0-9a-f]{32}", seen["person"])
    team = json.loads(proficio(*ask, "gaps", "responsible-ai-lead", "--team", "Sales", "--json").splitlines()[0])
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
