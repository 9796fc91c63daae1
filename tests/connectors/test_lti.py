"""The LTI tool: an honest launch opens the learner's page; every other is refused with a page that says what to do."""

import base64
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import orjson
import pytest

from tests.lti import CLAIM, Platform
from tests.open_edx import OpenEdx
from tests.pages import Served

DAY = 86_400


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    one = Served(tmp_path_factory.mktemp("lti"))
    yield one
    one.close()


@pytest.fixture
def browser() -> Iterator[httpx.Client]:
    with _browser() as one:
        yield one


def _browser(**headers: str) -> httpx.Client:
    """Keeps cookies as a browser does on loopback, Secure ones too."""
    client = httpx.Client(headers=headers, timeout=30)

    def secure(answer: httpx.Response) -> None:
        for cookie in answer.headers.get_list("set-cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            client.cookies.set(name, value, domain="127.0.0.1", path="/lti")

    client.event_hooks["response"] = [secure]
    return client


def session_of(page: httpx.Response) -> str:
    return parse_qs(urlsplit(str(page.url)).query)["session"][0]


def test_a_launch_opens_the_learners_own_page(served: Served, browser: httpx.Client) -> None:
    page = served.platform.launch(browser)
    assert page.status_code == 200, page.text
    assert str(page.url).startswith(f"{served.url}/me?session=")
    assert "Data literacy" in page.text
    assert "not enough evidence yet" in page.text
    policy = page.headers["content-security-policy"]
    assert f"frame-ancestors 'self' {served.platform.url}" in policy
    assert page.headers["referrer-policy"] == "no-referrer"


def test_the_cookie_is_kept_apart_for_each_site_that_frames_it(served: Served) -> None:
    answer = httpx.get(
        f"{served.url}/lti/login", params={"iss": served.platform.url, "target_link_uri": f"{served.url}/me"}
    )
    cookie = answer.headers["set-cookie"]
    for word in ("HttpOnly", "Secure", "SameSite=None", "Partitioned"):
        assert word in cookie


Change = Callable[[Platform, dict[str, Any]], str]


def _signed(**changes: Any) -> Change:
    return lambda platform, claims: platform.sign({**claims, **changes})


def _aged(seconds: float, lasts: float = 300) -> Change:
    now = int(time.time())
    return lambda platform, claims: platform.sign(
        {**claims, "iat": int(now + seconds), "exp": int(now + seconds + lasts)}
    )


def _unsigned(platform: Platform, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, None, "none", {"kid": platform.kid})  # type: ignore[arg-type]


def _with_public_key(platform: Platform, claims: dict[str, Any]) -> str:
    """HS256 with the public key as the secret."""
    import hmac
    from hashlib import sha256

    parts = [_encoded({"alg": "HS256", "kid": platform.kid, "typ": "JWT"}), _encoded(claims)]
    signature = hmac.new(platform.public_pem, ".".join(parts).encode(), sha256).digest()
    return ".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=").decode()])


def _encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=").decode()


def _by_another(platform: Platform, claims: dict[str, Any]) -> str:
    other = Platform(platform.tool)
    try:
        return other.sign(claims)
    finally:
        other.close()


def _changed_after(platform: Platform, claims: dict[str, Any]) -> str:
    header, _, signature = platform.sign(claims).split(".")
    return ".".join([header, _encoded({**claims, "sub": "someone-else"}), signature])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(_aged(-600), "expired", id="expired"),
        pytest.param(_aged(300), "clocks", id="clock ahead"),
        pytest.param(_aged(-10, 2 * DAY), "longer", id="valid for days"),
        pytest.param(_signed(aud="another"), "another tool", id="wrong audience"),
        pytest.param(_signed(aud=["client-1", "another"], azp="another"), "another tool", id="wrong authorized party"),
        pytest.param(_signed(iss="https://other.example.org"), "another tool", id="wrong issuer"),
        pytest.param(_signed(**{f"{CLAIM}/deployment_id": "2"}), "not deployed", id="wrong deployment"),
        pytest.param(_signed(**{f"{CLAIM}/version": "1.1"}), "LTI 1.3", id="wrong version"),
        pytest.param(_signed(**{f"{CLAIM}/message_type": "Other"}), "kind", id="unknown message"),
        pytest.param(_signed(**{f"{CLAIM}/resource_link": {}}), "which link", id="no link"),
        pytest.param(_signed(sub=""), "who you are", id="anonymous"),
        pytest.param(_signed(nonce="other"), "does not answer", id="wrong nonce"),
        pytest.param(_signed(**{f"{CLAIM}/target_link_uri": "http://127.0.0.1/course"}), "changed on the way", id="other target"),
        pytest.param(_unsigned, "not signed", id="alg none"),
        pytest.param(_with_public_key, "not signed", id="HS256 with the public key"),
        pytest.param(_by_another, "not signed", id="another key of that name"),
        pytest.param(_changed_after, "not signed", id="changed after signing"),
        pytest.param(lambda platform, claims: platform.sign(claims, kid="unknown"), "does not publish", id="unknown kid"),
        pytest.param(lambda platform, claims: "no token", "cannot be read", id="no token"),
    ],
)  # fmt: skip
def test_what_is_no_honest_launch_is_refused(served: Served, browser: httpx.Client, change: Change, words: str) -> None:
    platform = served.platform
    asked = platform.login(browser)
    form = {"state": asked["state"], "id_token": change(platform, platform.claims(asked))}
    page = browser.post(f"{served.url}/lti/launch", data=form)
    assert page.status_code == 400
    assert words in page.text
    assert "<strong>" in page.text  # what to do
    assert "session=" not in page.text


def test_a_launch_works_once(served: Served, browser: httpx.Client) -> None:
    asked = served.platform.login(browser)
    form = {"state": asked["state"], "id_token": served.platform.sign(served.platform.claims(asked))}
    assert browser.post(f"{served.url}/lti/launch", data=form).status_code == 303
    again = browser.post(f"{served.url}/lti/launch", data=form)
    assert (again.status_code, "used before" in again.text) == (400, True)


def test_clocks_may_differ_a_little(served: Served, browser: httpx.Client) -> None:
    now = int(time.time())
    assert served.platform.launch(browser, iat=now + 30, exp=now + 330).status_code == 200
    assert served.platform.launch(browser, iat=now - 330, exp=now - 30).status_code == 200


@pytest.mark.parametrize("how", ["another browser", "another login", "made up"])
def test_a_state_that_is_not_of_this_browser_is_refused(served: Served, browser: httpx.Client, how: str) -> None:
    asked = served.platform.login(browser)
    token = served.platform.sign(served.platform.claims(asked))
    state, using = asked["state"], browser
    if how == "another browser":
        using = _browser()
    elif how == "another login":
        state = served.platform.login(browser)["state"]
    else:
        state = jwt.encode({"nonce": asked["nonce"]}, "a key of an attacker, long enough for it", "HS256")
    page = using.post(f"{served.url}/lti/launch", data={"state": state, "id_token": token})
    assert page.status_code == 400
    assert "session=" not in page.text


@pytest.mark.parametrize(
    "target", ["https://evil.example.org/", "http://127.0.0.1", "{}.evil.example.org/me", "javascript:alert(1)"]
)
def test_a_link_that_leads_elsewhere_is_refused(served: Served, target: str) -> None:
    given = {"iss": served.platform.url, "login_hint": "u1", "target_link_uri": target.format(served.url)}
    page = httpx.get(f"{served.url}/lti/login", params=given)
    assert (page.status_code, "leads elsewhere" in page.text) == (400, True)


def test_an_unknown_platform_is_refused_and_what_it_says_stands_nowhere(served: Served) -> None:
    page = httpx.get(
        f"{served.url}/lti/login", params={"iss": "https://x/<script>", "target_link_uri": f"{served.url}/me"}
    )
    assert (page.status_code, "not registered" in page.text) == (400, True)
    assert "<script>" not in page.text
    page = httpx.post(f"{served.url}/lti/launch", data={"error": "login_required", "state": "x"})
    assert (page.status_code, "did not sign you in" in page.text) == (400, True)


def test_a_learner_sees_no_other_whatever_they_change(served: Served, browser: httpx.Client) -> None:
    page = served.platform.launch(browser, sub="u9", email="bob@example.org", name="Bob")
    session = session_of(page)
    ada = served.platform.launch(_browser())
    people = {orjson.loads(line)["person"] for line in served.home("levels", "--json").splitlines()}
    for person in people:
        for name in ("person", "sub", "account", "user_id"):
            told = browser.get(f"{served.url}/me/data.json", params={"session": session, name: person})
            assert told.json()["accounts"] == ["mailto:bob@example.org"]
    assert browser.get(f"{served.url}/course", params={"session": session}).status_code == 403
    own_evidence = browser.get(f"{served.url}/me/data.json", params={"session": session_of(ada)}).json()["evidence"]
    form = {"session": session, "statement": own_evidence[0]["statement_id"], "why": "not mine"}
    assert browser.post(f"{served.url}/me/disputes", data=form).status_code == 400
    head, body, signature = session.split(".")
    claims = orjson.loads(base64.urlsafe_b64decode(body + "=="))
    forged = ".".join([head, _encoded({**claims, "person": sorted(people)[0], "teaches": True}), signature])
    bare = ".".join([_encoded({"alg": "none"}), _encoded(claims), ""])
    for token in ("", forged, bare, "x", served.platform.sign(claims)):
        for path in ("/me", "/me/data", "/me/data.json", "/course", "/me/competencies/data-literacy"):
            assert browser.get(f"{served.url}{path}", params={"session": token}).status_code == 403


def test_mail_is_believed_of_platforms_that_are_trusted_alone(served: Served) -> None:
    other = Platform(served.url, client_id="client-2")
    arguments = [one for one in other.arguments() if one != "--trust-email"]
    served.home("lti", "add", *arguments)
    with _browser() as browser:
        page = other.launch(browser)
        accounts = browser.get(f"{served.url}/me/data.json", params={"session": session_of(page)}).json()["accounts"]
        assert accounts == []
    served.home("lti", "remove", other.url, "client-2")
    with _browser() as browser:
        assert browser.get(f"{served.url}/lti/login", params={"iss": other.url}).status_code == 400
    other.close()


def test_an_instructor_sees_their_course_and_no_other(served: Served) -> None:
    platform = served.platform
    platform.members[:] = [
        {"user_id": "u1", "name": "Ada Example", "email": "ada@example.org", "roles": ["Learner"]},
        {"user_id": "u3", "name": "Eve Example", "email": "eve@example.org", "roles": ["Learner"]},
        {"user_id": "t1", "name": "Tess", "email": "bob@example.org", "roles": ["Instructor"]},
    ]
    with _browser() as browser:
        page = platform.launch(browser, **platform.teaching())
        assert str(page.url).startswith(f"{served.url}/course?")
        assert "GenAI 101" in page.text
        assert "Ada Example" in page.text
        assert "Bob" not in page.text
        assert "Eve Example</strong>: Ethics" in page.text  # who is stuck
        other = platform.launch(
            browser, **platform.teaching(), **{f"{CLAIM}/context": {"id": "c2", "title": "Other"}},
            **{"https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice": {}},
        )  # fmt: skip
        assert "Ada" not in other.text
        token = session_of(other)
        tried = browser.get(f"{served.url}/course", params={"session": token, "context": "c1", "course": "c1"})
        assert "Ada" not in tried.text


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
    with _browser() as browser:
        assert new.launch(browser).status_code == 200
    assert "client-3" in served.home("lti", "list")
    new.close()


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
    with _browser() as browser:
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
    with _browser() as browser:
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
