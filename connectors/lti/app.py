"""The tool's routes under /lti/: login (OIDC third-party initiated), launch, keys, dynamic registration, deep linking."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any
from urllib.parse import urlencode

import jwt
import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from connectors.http import Api
from connectors.lti import launch as launches
from connectors.lti.launch import ADMINISTRATOR, AGAIN, Launch, LaunchRefused
from connectors.lti.linking import choose, linked
from connectors.lti.registration import Registration, register
from connectors.lti.services import KeySets
from connectors.lti.store import Context, Platform
from connectors.lti.tool import ALGORITHM, AUDIENCE, STATE_SECONDS, Tool, frames
from connectors.pages.forms import given_to
from connectors.pages.rendering import language_for, page
from connectors.pages.sessions import Session
from schemas.errors import ProficioError
from transforms.languages import N_

Endpoint = Callable[[Request, Mapping[str, str]], Response]  # by a request and its parameters


def routes(tool: Tool) -> list[Route]:
    """The routes. A launch that is refused is answered with a page that says why and what to do."""
    keys = KeySets(tool.pace)
    endpoints: list[tuple[str, Endpoint, str]] = [
        ("login", partial(_login, tool), "GET POST"),
        ("launch", partial(_launched, tool, keys), "POST"),
        ("links", partial(linked, tool), "POST"),
        ("jwks", partial(_key_set, tool), "GET"),
        ("register", partial(_registered, tool), "GET"),
    ]
    return [
        Route(f"/lti/{path}", given_to(_told_plainly(tool, endpoint)), methods=methods.split())
        for path, endpoint, methods in endpoints
    ]


def _told_plainly(tool: Tool, endpoint: Endpoint) -> Endpoint:
    def told(request: Request, given: Mapping[str, str]) -> Response:
        try:
            return endpoint(request, given)
        except LaunchRefused as refusal:
            status, reason, advice = 400, refusal.reason, refusal.advice
        except ProficioError as error:
            status, reason, advice = 502, str(error), ADMINISTRATOR
        language = language_for(request)
        return page("refused.html.j2", language, frames(tool), status, at=tool.url, reason=reason, advice=advice)

    return told


def _login(tool: Tool, request: Request, given: Mapping[str, str]) -> Response:
    platform = tool.store.find(given.get("iss", ""), given.get("client_id"))
    if platform is None:
        raise LaunchRefused(N_("This platform is not registered here."), ADMINISTRATOR)
    target = given.get("target_link_uri", "")
    if target != tool.url and not target.startswith(f"{tool.url}/"):
        raise LaunchRefused(N_("The link leads elsewhere."), ADMINISTRATOR)
    binding, nonce = token_urlsafe(24), token_urlsafe(24)
    claims = {
        "aud": AUDIENCE, "exp": int(time.time()) + STATE_SECONDS, "iss": platform.issuer, "client": platform.client_id,
        "nonce": nonce, "target": target, "binding": _hash(binding), "storage": given.get("lti_storage_target", ""),
    }  # fmt: skip
    state = jwt.encode(claims, tool.key, ALGORITHM)
    asked = {
        "scope": "openid", "response_type": "id_token", "response_mode": "form_post", "prompt": "none",
        "client_id": platform.client_id, "redirect_uri": f"{tool.url}/lti/launch", "state": state, "nonce": nonce,
        "login_hint": given.get("login_hint", ""),
        **({"lti_message_hint": given["lti_message_hint"]} if "lti_message_hint" in given else {}),
    }  # fmt: skip
    address = f"{platform.auth_url}{'&' if '?' in platform.auth_url else '?'}{urlencode(asked)}"
    answer: Response
    if claims["storage"]:
        answer = page(
            "store.html.j2", language_for(request), frames(tool), scripts=True, address=address, at=tool.url,
            key=_hash(state)[:16], value=binding, frame=claims["storage"], origin=_origin_of(platform),
        )  # fmt: skip
    else:
        answer = RedirectResponse(address, 302, {"Cache-Control": "no-store"})
    answer.headers.append("Set-Cookie", _cookie(state, binding))
    return answer


def _launched(tool: Tool, keys: KeySets, request: Request, given: Mapping[str, str]) -> Response:
    if "error" in given:
        raise LaunchRefused(N_("The platform did not sign you in."), AGAIN)
    state = _state(tool, given.get("state", ""))
    platform = tool.store.find(state["iss"], state["client"])
    if platform is None:
        raise LaunchRefused(N_("This platform is not registered here."), ADMINISTRATOR)
    proof = request.cookies.get(_cookie_name(given["state"])) or given.get("proof", "")
    if not proof and state["storage"] and "proof" not in given:
        return page(
            "recall.html.j2", language_for(request), frames(tool), scripts=True, at=tool.url, fields=given,
            key=_hash(given["state"])[:16], frame=state["storage"], origin=_origin_of(platform),
        )  # fmt: skip
    if _hash(proof) != state["binding"]:
        raise LaunchRefused(
            N_("Your browser did not keep what was noted when you opened the link, so it may not be you."),
            N_("Open the link in a new window, or let your browser keep cookies here."),
        )
    token = given.get("id_token", "")
    found = launches.validated(token, platform, keys.of(platform, _kid(token)), state["nonce"], state["target"])
    if not tool.store.take_nonce(state["nonce"], time.time() + 2 * STATE_SECONDS):
        raise LaunchRefused(N_("This message was used before."), AGAIN)
    if found.deep_linking is not None:
        return choose(tool, request, found)
    return RedirectResponse(_opened(tool, found, request), 303, {"Cache-Control": "no-store"})


def _key_set(tool: Tool, _request: Request, _given: Mapping[str, str]) -> Response:
    published = [_public(kid, pem) for kid, pem in tool.store.published_keys()]
    return JSONResponse({"keys": published}, headers={"Cache-Control": "public, max-age=3600"})


def _registered(tool: Tool, request: Request, given: Mapping[str, str]) -> Response:
    if not tool.store.take_invitation(given.get("invitation", "")):
        raise LaunchRefused(
            N_("This address for registering was used before, or is older than a day."),
            N_("Ask for a new one: proficio lti invite."),
        )
    wanted = Registration(tool.url, tool.title)
    remote = Api("", pace=tool.pace)
    try:
        platform = register(remote, wanted, given.get("openid_configuration", ""), given.get("registration_token", ""))
    finally:
        remote.close()
    tool.store.register(platform)
    return page("registered.html.j2", language_for(request), frames(tool), scripts=True, at=tool.url, platform=platform)


def _opened(tool: Tool, found: Launch, request: Request) -> str:
    """Note a launch, and the address of the page that it opens."""
    person, account = tool.person_of(found.accounts)
    context = Context(
        found.platform.issuer, found.platform.client_id, found.context, found.title, found.line_items_url, found.memberships_url
    )  # fmt: skip
    if found.context:
        tool.store.note_launch(context, found.sub, list(found.accounts), found.learns)
    session = Session(
        person, account, found.name, language_for(request, found.language).tag, context[:3], found.teaches, found.learns
    )
    path = "/course" if found.teaches and not found.learns and found.context else "/me"
    competency = found.custom.get("competency", "")
    if path == "/me" and competency in {one for one, _ in tool.competencies}:
        path = f"/me/competencies/{competency}"
    return f"{tool.url}{path}?{urlencode({'session': tool.sessions.give(session)})}"


def _state(tool: Tool, state: str) -> dict[str, Any]:
    try:
        return dict(jwt.decode(state, tool.key, [ALGORITHM], audience=AUDIENCE))
    except jwt.ExpiredSignatureError:
        raise LaunchRefused(N_("Opening the link took too long."), AGAIN) from None
    except jwt.PyJWTError:
        raise LaunchRefused(N_("The message does not answer this login."), AGAIN) from None


def _kid(token: str) -> str | None:
    try:
        return jwt.get_unverified_header(token).get("kid")
    except jwt.PyJWTError:
        return None


def _cookie(state: str, value: str) -> str:
    """Kept in a frame too, where the browser keeps cookies for each site that frames it apart (CHIPS)."""
    return f"{_cookie_name(state)}={value}; Path=/lti; Max-Age={STATE_SECONDS}; HttpOnly; Secure; SameSite=None; Partitioned"


def _cookie_name(state: str) -> str:
    return f"proficio_{_hash(state)[:16]}"


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _origin_of(platform: Platform) -> str:
    """Where messages of platform storage go: the origin of the platform's login (LTI Client Side postMessages 1.0)."""
    scheme, _, rest = platform.auth_url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


def _public(kid: str, pem: str) -> dict[str, Any]:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    public = load_pem_private_key(pem.encode(), None).public_key()
    told: dict[str, Any] = orjson.loads(jwt.algorithms.RSAAlgorithm.to_jwk(public))  # type: ignore[arg-type]
    return {**told, "kid": kid, "alg": "RS256", "use": "sig", "key_ops": ["verify"]}
