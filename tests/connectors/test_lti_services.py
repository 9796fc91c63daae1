"""What the LTI tool does beside launches: links, registration, keys, grades; and all of it with a platform that others wrote."""

import asyncio
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from sqlalchemy import make_url
from starlette.applications import Starlette

from connectors.lti.app import routes
from connectors.lti.store import LtiStore
from connectors.lti.tool import Tool
from connectors.pages.sessions import Sessions
from tests.lti import CLAIM, Platform, new_browser
from tests.open_edx import OpenEdx
from tests.pages import Served


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    one = Served(tmp_path_factory.mktemp("lti"))
    yield one
    one.close()


@pytest.fixture
def browser() -> Iterator[httpx.Client]:
    with new_browser() as one:
        yield one


def test_a_link_to_a_competency_is_added_by_deep_linking(served: Served, browser: httpx.Client) -> None:
    platform = served.platform
    page = platform.launch(browser, **platform.linking())
    assert page.status_code == 200
    request = page.text.partition('name="request" value="')[2].partition('"')[0]
    done = browser.post(f"{served.url}/lti/links", data={"request": request, "competency": "data-literacy"})
    assert f'action="{platform.url}/return"' in done.text
    answer = done.text.partition('name="JWT" value="')[2].partition('"')[0]
    keys = jwt.PyJWKSet.from_dict(httpx.get(f"{served.url}/lti/jwks").json())
    claims = jwt.decode(answer, keys.keys[0], ["RS256"], audience=platform.url)
    assert claims["iss"] == platform.client_id
    [item] = claims["https://purl.imsglobal.org/spec/lti-dl/claim/content_items"]
    assert (item["custom"], item["lineItem"]["resourceId"]) == ({"competency": "data-literacy"}, "data-literacy")
    assert claims["https://purl.imsglobal.org/spec/lti-dl/claim/data"] == "d1"
    opened = platform.launch(browser, **{f"{CLAIM}/custom": {"competency": "data-literacy"}})
    assert "/me/competencies/data-literacy?" in str(opened.url)
    learner = {**platform.linking(), f"{CLAIM}/roles": ["http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"]}
    assert platform.launch(browser, **learner).status_code == 400


def test_a_platform_registers_itself_once(served: Served) -> None:
    address = served.home("lti", "invite").strip()
    new = Platform(served.url, client_id="client-3")
    given = {
        "openid_configuration": f"{new.url}/.well-known/openid-configuration",
        "registration_token": "registration-1",
    }
    page = httpx.get(address, params={**dict(parse_qs(urlsplit(address).query)), **given})
    assert page.status_code == 200, page.text
    [asked] = new.registered
    assert asked["initiate_login_uri"] == f"{served.url}/lti/login"
    assert asked["token_endpoint_auth_method"] == "private_key_jwt"
    assert httpx.get(address, params=given).status_code == 400
    with new_browser() as browser:
        assert new.launch(browser).status_code == 200
    assert "client-3" in served.home("lti", "list")
    new.close()


def test_a_store_that_does_not_answer_is_told_on_a_page() -> None:
    store = LtiStore(make_url("postgresql+psycopg://nobody@127.0.0.1:9/nothing"))
    tool = Tool("https://tool.example.org", "proficio", store, Sessions("k" * 32), "k" * 32, lambda _: ("", ""))
    app = httpx.ASGITransport(Starlette(routes=routes(tool)), raise_app_exceptions=False)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=app, base_url=tool.url) as browser:
            return await browser.get("/lti/login?iss=x")

    answer = asyncio.run(ask())
    assert answer.status_code == 502
    assert "PostgreSQL at state.url cannot be used" in answer.text
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_keys_rotate_without_a_gap(served: Served) -> None:
    before = httpx.get(f"{served.url}/lti/jwks").json()["keys"]
    served.home("lti", "rotate-key")
    after = httpx.get(f"{served.url}/lti/jwks").json()["keys"]
    assert len(after) == len(before) + 1
    assert {one["kid"] for one in before} <= {one["kid"] for one in after}
    assert all("d" not in one for one in after)


def test_levels_become_scores_of_who_agreed(served: Served) -> None:
    platform, folder = served.platform, served.home.folder
    with (folder / "proficio.toml").open("a") as file:
        file.write('\n[[sinks.lti]]\nname = "lti"\npatience_seconds = 0\n')
    with new_browser() as browser:
        platform.launch(browser)
    served.home("consent", "ada@example.org", "--sink", "lti")
    assert "lti: " in served.home("feedback")
    score = next(one for one in platform.scores if one["resource"] == "data-literacy")
    assert score["userId"] == "u1"
    assert (score["scoreMaximum"], score["gradingProgress"]) == (4, "FullyGraded")
    assert score["scoreGiven"] >= 2
    assert "pieces of evidence" in score["comment"]
    items = len(platform.line_items)
    served.home("feedback", "--since", "2026-01-01")
    assert len(platform.line_items) == items
    platform.line_items.clear()
    served.home("feedback", "--since", "2026-01-01")
    assert platform.line_items


def test_who_launches_later_is_told_then_and_a_role_is_one_score(served: Served) -> None:
    platform, path = served.platform, served.home.folder / "role.toml"
    path.write_text((served.home.folder / "proficio.toml").read_text("utf-8").partition("\n[[sinks.lti]]")[0] + (
        '\n[[sinks.lti]]\nname = "role"\nrole = "ai-product-manager"\npolicy = { consent = "assumed" }\n'), "utf-8")  # fmt: skip
    told = served.home("--config", "role.toml", "feedback")
    assert "not reached" in told
    with new_browser() as browser:
        platform.launch(browser, sub="u7", email="eve@example.org", name="Eve")
    platform.scores.clear()
    served.home("--config", "role.toml", "feedback")
    assert [
        (one["userId"], one["resource"], one["scoreGiven"], one["scoreMaximum"])
        for one in platform.scores
        if one["userId"] == "u7"
    ] == [("u7", "role:ai-product-manager", 0, 7)]
    path.write_text(path.read_text("utf-8").replace("ai-product-manager", "astronaut"), "utf-8")
    assert "there is no role astronaut" in served.home("--config", "role.toml", "feedback", expect=3)


def test_a_platform_that_others_wrote_launches_links_lists_and_is_told(served: Served) -> None:
    """Open edX's LtiAdvantageConsumer: what it signs is taken, what is sent to it satisfies it."""
    edx = OpenEdx(served.home.folder, served.url)
    served.home("lti", "add", *edx.arguments())
    page = edx.launch("ada", "student")
    assert page.status_code == 200, page.text
    assert "My levels" in page.text
    course = edx.launch("tess", "instructor")
    assert "GenAI 101" in course.text
    assert "ada" in course.text
    linking = edx.launch("tess", "instructor", message="LtiDeepLinkingRequest")
    request = linking.text.partition('name="request" value="')[2].partition('"')[0]
    done = httpx.post(f"{served.url}/lti/links", data={"request": request, "competency": "data-literacy"})
    answer = done.text.partition('name="JWT" value="')[2].partition('"')[0]
    httpx.post(f"{edx.url}/deep-link", data={"JWT": answer}).raise_for_status()
    path = served.home.folder / "proficio.toml"
    if "sinks.lti" not in path.read_text("utf-8").replace("# [[sinks.lti", ""):
        path.write_text(path.read_text("utf-8") + '\n[[sinks.lti]]\nname = "lti"\npatience_seconds = 0\n', "utf-8")
    served.home("consent", "ada@example.org", "--sink", "lti")
    served.home("feedback", "--sink", "lti", "--since", "2026-01-01")
    told = edx.told()
    assert [one["custom"] for one in told["chosen"]] == [{"competency": "data-literacy"}]
    assert [one["resourceId"] for one in told["line_items"]] == ["data-literacy"]
    [score] = told["scores"]
    assert (score["userId"], score["at"]) == ("ada", "/lineitems/0/scores")
    served.home("lti", "remove", edx.url, "edx-client")
    edx.close()
