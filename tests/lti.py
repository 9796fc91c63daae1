"""A platform of LTI 1.3 for the attacks that an honest one would not make: it signs whatever it is told to."""

import time
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import jwt
import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.http_server import Answer, HttpServer

CLAIM = "https://purl.imsglobal.org/spec/lti/claim"
_ROLE = "http://purl.imsglobal.org/vocab/lis/v2/membership#"


class Platform:
    """Signs launches; `url` is its issuer. Its services are those of an LMS: tokens, line items, scores, members."""

    def __init__(self, tool: str, client_id: str = "client-1", deployment: str = "1") -> None:
        self.tool, self.client_id, self.deployment = tool, client_id, deployment
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.kid = "key-1"
        self.line_items: list[dict[str, Any]] = []
        self.scores: list[dict[str, Any]] = []
        self.members: list[dict[str, Any]] = []
        self.registered: list[dict[str, Any]] = []
        self._server = HttpServer(self._answer)
        self.url = self._server.url.replace("127.0.0.1", "localhost")  # another site than the tool
        self.close = self._server.close
        self.launching: dict[str, Any] = {}  # claims of launches from a browser

    @property
    def private_pem(self) -> bytes:
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def public_pem(self) -> bytes:
        return self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def arguments(self) -> list[str]:
        """How it is registered: the arguments of `proficio lti add`."""
        return [
            self.url, self.client_id, f"--auth-url={self.url}/auth", f"--token-url={self.url}/token",
            f"--jwks-url={self.url}/jwks", f"--deployment={self.deployment}", "--trust-email",
        ]  # fmt: skip

    def login(self, browser: httpx.Client, **changes: str) -> dict[str, str]:
        """Begin a launch; what the tool then asks of the platform."""
        given = {"iss": self.url, "client_id": self.client_id, "login_hint": "u1", "target_link_uri": f"{self.tool}/me",
                 "lti_message_hint": "h1", **changes}  # fmt: skip
        answer = browser.get(f"{self.tool}/lti/login", params=given)
        assert answer.status_code == 302, answer.text
        return {key: value[0] for key, value in parse_qs(urlsplit(answer.headers["location"]).query).items()}

    def claims(self, asked: dict[str, str], **changes: Any) -> dict[str, Any]:
        """What a launch says, of a learner in course c1."""
        now = int(time.time())
        return {
            "iss": self.url, "aud": self.client_id, "sub": "u1", "iat": now, "exp": now + 300, "nonce": asked["nonce"],
            "name": "Ada Example", "email": "ada@example.org", f"{CLAIM}/version": "1.3.0",
            f"{CLAIM}/message_type": "LtiResourceLinkRequest", f"{CLAIM}/deployment_id": self.deployment,
            f"{CLAIM}/target_link_uri": f"{self.tool}/me", f"{CLAIM}/resource_link": {"id": "r1"},
            f"{CLAIM}/roles": [f"{_ROLE}Learner"], f"{CLAIM}/context": {"id": "c1", "title": "GenAI 101"},
            "https://purl.imsglobal.org/spec/lti-ags/claim/endpoint": {"lineitems": f"{self.url}/c1/lineitems?type_id=3"},
            "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice": {"context_memberships_url": f"{self.url}/c1/members"},
            **changes,
        }  # fmt: skip

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        return jwt.encode(claims, self.private_pem, "RS256", {"kid": self.kid, **header})

    def launch(self, browser: httpx.Client, **changes: Any) -> httpx.Response:
        """A whole launch; the page that it opens."""
        asked = self.login(browser)
        form = {"state": asked["state"], "id_token": self.sign(self.claims(asked, **changes))}
        return browser.post(f"{self.tool}/lti/launch", data=form, follow_redirects=True)

    def teaching(self) -> dict[str, Any]:
        """The claims of an instructor."""
        return {f"{CLAIM}/roles": [f"{_ROLE}Instructor"], "sub": "t1", "email": "teacher@example.org", "name": "Tess"}

    def linking(self) -> dict[str, Any]:
        """The claims of a request for deep linking."""
        settings = {"deep_link_return_url": f"{self.url}/return", "accept_types": ["ltiResourceLink"], "data": "d1",
                    "accept_presentation_document_targets": ["iframe"]}  # fmt: skip
        name = "https://purl.imsglobal.org/spec/lti-dl/claim/deep_linking_settings"
        return {f"{CLAIM}/message_type": "LtiDeepLinkingRequest", name: settings, **self.teaching()}

    def _answer(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        where = urlsplit(path)
        told: Any = None
        given = {key: value[0] for key, value in parse_qs(where.query).items()}
        if where.path == "/page":
            return 200, {"Content-Type": "text/html"}, _page(self, given).encode()
        if where.path == "/auth":
            token = self.sign(self.claims(given, **self.launching))
            return 200, {"Content-Type": "text/html"}, _posting(given["redirect_uri"], given["state"], token).encode()
        if where.path == "/favicon.ico":
            return 204, {}, b""
        if where.path == "/jwks":
            key = orjson.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
            told = {"keys": [{**key, "kid": self.kid, "alg": "RS256", "use": "sig"}]}
        elif where.path == "/.well-known/openid-configuration":
            told = {"issuer": self.url, "registration_endpoint": f"{self.url}/register", "jwks_uri": f"{self.url}/jwks",
                    "authorization_endpoint": f"{self.url}/auth", "token_endpoint": f"{self.url}/token"}  # fmt: skip
        elif where.path == "/register":
            assert headers["Authorization"] == "Bearer registration-1"
            self.registered.append(orjson.loads(body))
            told = {
                "client_id": self.client_id,
                "https://purl.imsglobal.org/spec/lti-tool-configuration": {"deployment_id": self.deployment},
            }
        elif where.path == "/token":
            told = self._token(body)
        elif headers.get("Authorization") != "Bearer token-1":
            return 401, {}, b""
        elif where.path == "/c1/members":
            told = {"members": self.members}
        elif where.path == "/c1/lineitems" and body:
            told = {
                **orjson.loads(body),
                "id": f"{self.url}/c1/lineitems/{len(self.line_items) + 1}/lineitem?type_id=3",
            }
            self.line_items.append(told)
        elif where.path == "/c1/lineitems":
            wanted = parse_qs(where.query)
            assert wanted["type_id"] == ["3"]
            told = [one for one in self.line_items if one["resourceId"] == wanted["resource_id"][0]]
        elif where.path.endswith("/lineitem/scores"):
            number = int(where.path.split("/")[3])
            if number > len(self.line_items):
                return 404, {}, b""
            self.scores.append({**orjson.loads(body), "resource": self.line_items[number - 1]["resourceId"]})
        return (200, {}, orjson.dumps(told)) if told is not None else (204, {}, b"")

    def _token(self, body: bytes) -> dict[str, Any]:
        form = parse_qs(body.decode())
        assert form["grant_type"] == ["client_credentials"]
        keys = jwt.PyJWKSet.from_dict(httpx.get(f"{self.tool}/lti/jwks").json())
        assertion = form["client_assertion"][0]
        kid = jwt.get_unverified_header(assertion)["kid"]
        key = next(one for one in keys.keys if one.key_id == kid)
        claims = jwt.decode(assertion, key, ["RS256"], audience=f"{self.url}/token")
        assert claims["iss"] == claims["sub"] == self.client_id
        return {"access_token": "token-1", "token_type": "bearer", "expires_in": 3600, "scope": form["scope"][0]}


def _page(platform: Platform, given: dict[str, str]) -> str:
    """A page of the LMS that opens the tool in a frame, and keeps data for it (LTI Client Side postMessages)."""
    login = {
        "iss": platform.url,
        "client_id": platform.client_id,
        "login_hint": "u1",
        "target_link_uri": f"{platform.tool}/me",
    }
    if "storage" in given:
        login["lti_storage_target"] = "_parent"
    return f"""<!doctype html><html lang="en"><title>LMS</title><h1>GenAI 101</h1>
<iframe title="My levels" width="1000" height="900" src="{platform.tool}/lti/login?{urlencode(login)}"></iframe>
<script>
const kept = new Map();
addEventListener("message", (event) => {{
  const {{ subject, message_id, key, value }} = event.data;
  if (subject === "lti.put_data") kept.set(key, value);
  event.source.postMessage({{ subject: subject + ".response", message_id, key, value: kept.get(key) }}, event.origin);
}});
</script></html>"""


def _posting(address: str, state: str, token: str) -> str:
    return f"""<!doctype html><title>Launch</title><form method="post" action="{address}">
<input name="state" value="{state}"><input name="id_token" value="{token}"></form><script>document.forms[0].submit()</script>"""


def new_browser(**headers: str) -> httpx.Client:
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
