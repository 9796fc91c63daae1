"""The LTI tool: an honest launch opens the learner's page; every other is refused with a page that says what to do."""

import base64
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import jwt
import orjson
import pytest

from tests.lti import CLAIM, Platform, new_browser, session_of
from tests.pages import Served

DAY = 86_400


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    one = Served(tmp_path_factory.mktemp("lti"))
    yield one
    one.close()


@pytest.fixture
def browser() -> Iterator[httpx.Client]:
    with new_browser() as one:
        yield one


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
    def aged(platform: Platform, claims: dict[str, Any]) -> str:
        now = time.time()
        return platform.sign({**claims, "iat": int(now + seconds), "exp": int(now + seconds + lasts)})

    return aged


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
        using = new_browser()
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
    ada = served.platform.launch(new_browser())
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
    with new_browser() as browser:
        page = other.launch(browser)
        accounts = browser.get(f"{served.url}/me/data.json", params={"session": session_of(page)}).json()["accounts"]
        assert accounts == []
    served.home("lti", "remove", other.url, "client-2")
    with new_browser() as browser:
        assert browser.get(f"{served.url}/lti/login", params={"iss": other.url}).status_code == 400
    other.close()


def test_an_instructor_sees_their_course_and_no_other(served: Served) -> None:
    platform = served.platform
    platform.members[:] = [
        {"user_id": "u1", "name": "Ada Example", "email": "ada@example.org", "roles": ["Learner"]},
        {"user_id": "u3", "name": "Eve Example", "email": "eve@example.org", "roles": ["Learner"]},
        {"user_id": "t1", "name": "Tess", "email": "bob@example.org", "roles": ["Instructor"]},
    ]
    with new_browser() as browser:
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
