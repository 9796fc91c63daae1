"""The pages in a real browser: launched into a frame, read, used without a mouse and without scripts, by axe's rules."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Frame, Page, Route

from tests.pages import Served

SHOTS = os.environ.get("PROFICIO_SCREENSHOTS")  # a folder: docs/pages, to renew the pictures there


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    one = Served(tmp_path_factory.mktemp("pages"), '\n[[sinks.lti]]\nname = "lti"\npatience_seconds = 0\n')
    one.platform.members[:] = [
        {"user_id": "u1", "name": "Ada Example", "email": "ada@example.org", "roles": ["Learner"]},
        {"user_id": "u2", "name": "Bob Example", "email": "bob@example.org", "roles": ["Learner"]},
        {"user_id": "u3", "name": "Eve Example", "email": "eve@example.org", "roles": ["Learner"]},
    ]
    yield one
    one.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    with chromium.new_context(viewport={"width": 1100, "height": 1000}, locale="en-GB") as one:
        yield one


def framed(page: Page) -> Frame:
    """The tool's frame, once its page is there."""
    frame = page.frame_locator("iframe")
    frame.get_by_role("main").get_by_role("heading", level=1).wait_for()
    for _ in range(100):
        found = page.frames[1]
        if "session=" in found.url:
            return found
        page.wait_for_timeout(100)
    raise AssertionError(page.frames[1].content())


def assert_accessible(page: Page, name: str) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, f"{name}: {found.generate_report()}"
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


def opened(served: Served, context: BrowserContext, path: str, who: str = "ada@example.org") -> Page:
    """A page of a person, by a signed link."""
    link = served.home("link", who).strip()
    page = context.new_page()
    answer = page.goto(link.replace("/me?", f"{path}?"))
    assert answer and answer.status == 200
    return page


def test_a_learner_opens_their_page_in_the_lms_and_withdraws(served: Served, context: BrowserContext) -> None:
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda told: problems.append(told.text) if told.type == "error" else None)
    page.goto(f"{served.platform.url}/page")
    frame = framed(page)
    frame.get_by_role("link", name="Data literacy").wait_for()
    assert frame.get_by_role("heading", name="Next steps").is_visible()
    assert frame.get_by_role("listitem").filter(has_text="likely to do it well").count() > 0
    frame.get_by_role("link", name="My data").click()
    frame.get_by_text("You do not agree.").wait_for()
    frame.get_by_role("button", name="Agree").click()
    frame.get_by_text("Your choice is kept.").wait_for()
    assert "lti: 1 levels were told" in served.home("feedback")
    frame.get_by_role("button", name="Withdraw").click()
    frame.get_by_text("You do not agree.").wait_for()
    told = len(served.platform.scores)
    assert "lti: 0 levels were told, 0 taken back, 0 refused, 1 no consent, 2 not reached" in served.home(
        "feedback", "--since", "2026-01-01"
    )
    assert len(served.platform.scores) == told == 1
    assert problems == []


def test_a_browser_that_keeps_no_cookie_in_a_frame_uses_the_platforms_storage(
    served: Served, context: BrowserContext
) -> None:
    def without_cookies(route: Route) -> None:
        answer = route.fetch(max_redirects=0)
        headers = {name: value for name, value in answer.headers.items() if name != "set-cookie"}
        context.clear_cookies()  # what was fetched for the page left them
        route.fulfill(response=answer, headers=headers)

    context.route("**/lti/login*", without_cookies)
    page = context.new_page()
    page.goto(f"{served.platform.url}/page?storage=1")
    framed(page).get_by_role("link", name="Data literacy").wait_for()
    assert context.cookies() == []
    page.goto(f"{served.platform.url}/page")  # a platform without storage
    refused = page.frame_locator("iframe")
    refused.get_by_text("Open the link in a new window").wait_for()


@pytest.mark.parametrize("width", [1100, 360])
@pytest.mark.parametrize(
    ("name", "path"), [("levels", "/me"), ("competency", "/me/competencies/data-literacy"), ("data", "/me/data")]
)
def test_pages_are_accessible(served: Served, chromium: Browser, name: str, path: str, width: int) -> None:
    with chromium.new_context(viewport={"width": width, "height": 900}, locale="en-GB") as context:
        page = opened(served, context, path)
        for details in page.locator("summary").all()[:2]:
            details.click()
        assert_accessible(page, f"{name}-{width}" if width != 1100 else name)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_the_page_of_a_course_and_those_that_refuse_are_accessible(served: Served, context: BrowserContext) -> None:
    served.platform.launching = served.platform.teaching()
    page = context.new_page()
    page.goto(f"{served.platform.url}/page")
    address = framed(page).url
    served.platform.launching = {}
    page.goto(address)
    assert page.get_by_text("Eve Example").count() == 2
    assert_accessible(page, "course")
    page.goto(f"{served.url}/levels/data-literacy")
    assert page.get_by_text("Open it from your course.").is_visible()
    assert_accessible(page, "refused")


def test_the_keyboard_alone_is_enough(served: Served, context: BrowserContext) -> None:
    page = opened(served, context, "/me/data")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "BUTTON":
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    page.get_by_text("Your choice is kept.").wait_for()


def test_what_is_wrong_is_said_without_scripts_and_in_the_readers_language_and_reaches_the_instructor(
    served: Served, chromium: Browser
) -> None:
    with chromium.new_context(java_script_enabled=False, locale="de-AT") as context:
        page = opened(served, context, "/me/competencies/data-literacy")
        assert page.get_by_role("heading", name="Was es bewegt hat").is_visible()
        page.locator("summary", has_text="Das stimmt nicht").first.click()
        page.locator("textarea").first.fill("Das war mein Bruder <script>alert(1)</script>")
        page.get_by_role("button", name="Senden").first.click()
        page.get_by_text("Danke.").wait_for()
    served.home.nightly()
    [row] = [one for one in served.home.rows() if one["verb_id"].endswith("/verbs/disputed")]
    assert row["source"] == "pages"
    served.platform.launching = served.platform.teaching()
    with chromium.new_context(locale="en-GB") as context:
        page = context.new_page()
        page.goto(f"{served.platform.url}/page")
        framed(page).get_by_text("Das war mein Bruder <script>alert(1)</script>").wait_for()
    served.platform.launching = {}
