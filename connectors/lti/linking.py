"""Deep linking (1EdTech LTI Deep Linking 2.0): those who teach choose what a link of theirs opens."""

import time
from collections.abc import Mapping
from secrets import token_urlsafe
from typing import Any

import jwt
from starlette.requests import Request
from starlette.responses import Response

from connectors.lti.launch import ADMINISTRATOR, AGAIN, CLAIM, Launch, LaunchRefused
from connectors.lti.store import Platform
from connectors.lti.tool import ALGORITHM, AUDIENCE, STATE_SECONDS, Tool, frames
from connectors.pages.rendering import language_for, page
from transforms.languages import N_

_ITEM = "https://purl.imsglobal.org/spec/lti-dl/claim"


def choose(tool: Tool, request: Request, found: Launch) -> Response:
    """The page on which it is chosen."""
    if not found.teaches:
        raise LaunchRefused(N_("Links are added by those who teach."), AGAIN)
    settings = found.deep_linking or {}
    asked = {
        "aud": f"{AUDIENCE}-linking", "exp": int(time.time()) + STATE_SECONDS, "iss": found.platform.issuer,
        "client": found.platform.client_id, "deployment": found.deployment, "return": str(settings["deep_link_return_url"]),
        "data": settings.get("data"),
    }  # fmt: skip
    return page(
        "choose.html.j2", language_for(request, found.language), frames(tool), at=tool.url,
        request=jwt.encode(asked, tool.key, ALGORITHM), competencies=tool.competencies,
    )  # fmt: skip


def linked(tool: Tool, request: Request, given: Mapping[str, str]) -> Response:
    """What was chosen, as a page that sends it to the platform."""
    try:
        asked = jwt.decode(given.get("request", ""), tool.key, [ALGORITHM], audience=f"{AUDIENCE}-linking")
    except jwt.PyJWTError:
        raise LaunchRefused(N_("The message has expired."), AGAIN) from None
    platform = tool.store.find(asked["iss"], asked["client"])
    if platform is None:
        raise LaunchRefused(N_("This platform is not registered here."), ADMINISTRATOR)
    chosen = [one for one in tool.competencies if one[0] == given.get("competency")]
    answer = _linking_answer(tool, platform, asked, chosen[0] if chosen else None)
    return page(
        "linked.html.j2", language_for(request), frames(tool), scripts=True, posts_to=asked["return"],
        at=tool.url, address=asked["return"], answer=answer,
    )  # fmt: skip


def _linking_answer(tool: Tool, platform: Platform, asked: dict[str, Any], chosen: tuple[str, str] | None) -> str:
    """The message LtiDeepLinkingResponse (LTI Deep Linking 2.0, 4.5), signed."""
    item: dict[str, Any] = {
        "type": "ltiResourceLink",
        "url": f"{tool.url}/me",
        "title": chosen[1] if chosen else tool.title,
    }
    if chosen:
        item["custom"] = {"competency": chosen[0]}
        item["lineItem"] = {"scoreMaximum": tool.levels, "label": chosen[1], "resourceId": chosen[0], "tag": "proficio"}
    now = int(time.time())
    claims = {
        "iss": platform.client_id, "aud": platform.issuer, "iat": now, "exp": now + 300, "nonce": token_urlsafe(16),
        f"{CLAIM}/message_type": "LtiDeepLinkingResponse", f"{CLAIM}/version": "1.3.0",
        f"{CLAIM}/deployment_id": asked["deployment"], f"{_ITEM}/content_items": [item],
        **({f"{_ITEM}/data": asked["data"]} if asked["data"] is not None else {}),
    }  # fmt: skip
    key = tool.store.signing_key()
    return jwt.encode(claims, key.pem, "RS256", {"kid": key.kid})
