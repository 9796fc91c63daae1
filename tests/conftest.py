"""Shared fixtures: settings in a temporary home, the shared real statements, a real Kafka broker."""

import json
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import Phase
from hypothesis import settings as hypothesis_settings
from playwright.sync_api import Browser, sync_playwright

os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
# Compiled once for the data folders of all tests; the second for those that call functions, not commands.
os.environ["PROFICIO_COMPILED"] = str(Path(__file__).parent.parent / ".proficio" / "compiled")
os.environ.setdefault("NUMBA_CACHE_DIR", os.environ["PROFICIO_COMPILED"])

from flows.settings import Settings
from tests.broker import Broker, can_run
from tests.home import Home
from tests.object_store import ObjectStore

# Beside other tests, on a slow machine, an answer takes longer than the 5 seconds that httpx waits.
httpx._config.DEFAULT_TIMEOUT_CONFIG.read = 60

# An example that runs the whole pipeline takes seconds: what failed is told as it is, not made smaller first.
hypothesis_settings.register_profile("proficio", phases=[Phase.explicit, Phase.reuse, Phase.generate])
hypothesis_settings.load_profile("proficio")

# The last: what a test answers in a server's place has no address, and may not ask for one of this machine.
_BROWSER = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
          "--disable-features=LocalNetworkAccessChecks"]  # fmt: skip

SHARED = Path(__file__).parent.parent.parent / "shared"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture(scope="session")
def real_statements() -> list[dict[str, Any]]:
    """125 statements as real LMSs emit them."""
    path = SHARED / "fixtures" / "statements.jsonl"
    if not path.exists():
        pytest.skip(f"{path} is not here: it holds real statements that are not part of the project")
    return [json.loads(line)["statement"] for line in path.read_text("utf-8").splitlines()]


@pytest.fixture(scope="session")
def kafka_can_run() -> None:
    """Without Java and Maven, tests on Kafka are skipped, loudly; in CI they fail."""
    if not can_run():
        reason = "Kafka tests need Java 17 and Maven (Debian: apt-get install openjdk-17-jre-headless maven)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        warnings.warn(f"SKIPPED: {reason}", stacklevel=1)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def broker(kafka_can_run: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A real Kafka broker."""
    one = Broker(tmp_path_factory.mktemp("kafka"))
    yield one
    one.kill()


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A real S3 server; each test has a prefix of its own there."""
    with ObjectStore(tmp_path_factory.mktemp("s3")) as started:
        yield started


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        assert not os.environ.get("CI"), "a browser is needed (Debian: apt-get install chromium)"
        pytest.skip("no browser to open pages in (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_BROWSER)
        yield browser
        browser.close()


@pytest.fixture
def git() -> str:
    found = shutil.which("git")
    assert found, "the tests need git"
    return found


# The files that take minutes, the longest first: begun last, each would hold one worker while the others have nothing to do.
LONG = (
    "test_spark", "test_telling", "test_mixed_load", "test_erasing", "test_replay", "test_land", "test_feedback", "test_several_receivers", "test_backup", "test_persons", "test_object_store", "test_metrics", "test_cli", "test_wheel", "test_deployed", "test_releases", "test_lti",
    "test_pages", "test_docs", "test_past", "test_reporting", "test_semantic", "test_publish", "test_estimate", "test_receiver", "test_lrs", "test_marts", "test_alignment", "test_event_log",
)  # fmt: skip


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.stem, len(LONG)))
