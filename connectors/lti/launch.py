"""Validating an LTI 1.3 launch: what a platform says of who launches what, signed (1EdTech Security Framework 1.1, 5.1.3)."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt

from connectors.lti.store import Platform
from transforms.languages import N_

CLAIM = "https://purl.imsglobal.org/spec/lti/claim"
DEEP_LINKING = "https://purl.imsglobal.org/spec/lti-dl/claim/deep_linking_settings"
_GRADES = "https://purl.imsglobal.org/spec/lti-ags/claim/endpoint"
_MEMBERS = "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice"
_MEMBERSHIP = "http://purl.imsglobal.org/vocab/lis/v2/membership"
_TEACHES = {f"{_MEMBERSHIP}#Instructor", f"{_MEMBERSHIP}#Administrator", f"{_MEMBERSHIP}#ContentDeveloper"}
_LEARNS = f"{_MEMBERSHIP}#Learner"
ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
LEEWAY_SECONDS = 60  # that clocks may differ by
_LONGEST = 86_400  # that a message may be valid for


class LaunchRefused(Exception):
    """A launch that is refused: why, and what the person may do about it. Both are messages to translate."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(reason)
        self.reason, self.advice = reason, advice


AGAIN = N_("Go back to your course and open the link once more.")
ADMINISTRATOR = N_("Tell the administrator of your learning platform: the registration there and here do not agree.")


@dataclass(frozen=True)
class Launch:
    """Who launched what from where. `accounts` are what the person may be known by, the surest first."""

    platform: Platform
    deployment: str
    sub: str
    accounts: tuple[str, ...]
    name: str
    teaches: bool
    learns: bool
    target: str
    context: str = ""
    title: str = ""
    line_items_url: str = ""
    memberships_url: str = ""
    language: str = ""
    custom: Mapping[str, str] = field(default_factory=dict)
    deep_linking: Mapping[str, Any] | None = None


def validated(token: str, platform: Platform, keys: jwt.PyJWKSet, nonce: str, target: str) -> Launch:
    """The launch that an id_token is. LaunchRefused for one that is not signed by the platform, not for this tool, not now, not
    the answer to this login, or not from a deployment that is known.
    """
    claims = _signed(token, platform, keys)
    audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    if len(audience) > 1 and claims.get("azp") != platform.client_id:
        raise LaunchRefused(N_("The message is for another tool."), ADMINISTRATOR)
    if claims["exp"] - claims["iat"] > _LONGEST:
        raise LaunchRefused(N_("The message is valid for longer than a message should be."), ADMINISTRATOR)
    if claims.get("nonce") != nonce:
        raise LaunchRefused(N_("The message does not answer this login."), AGAIN)
    if claims.get(f"{CLAIM}/version") != "1.3.0":
        raise LaunchRefused(N_("The message is not of LTI 1.3."), ADMINISTRATOR)
    deployment = claims.get(f"{CLAIM}/deployment_id")
    if not isinstance(deployment, str) or not platform.has(deployment):
        raise LaunchRefused(N_("The tool was not deployed so here."), ADMINISTRATOR)
    if claims.get(f"{CLAIM}/target_link_uri", target) != target:
        raise LaunchRefused(N_("The link was changed on the way."), AGAIN)
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        advice = N_("Sign in to your learning platform, then open the link.")
        raise LaunchRefused(N_("The platform does not say who you are."), advice)
    return _launch(claims, platform, deployment, target)


def _signed(token: str, platform: Platform, keys: jwt.PyJWKSet) -> dict[str, Any]:
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError:
        raise LaunchRefused(N_("The message cannot be read."), AGAIN) from None
    if header.get("alg") not in ALGORITHMS:
        raise LaunchRefused(N_("The message is not signed as it has to be."), ADMINISTRATOR)
    key = next((one for one in keys.keys if one.key_id == header.get("kid")), None)
    if key is None or not header.get("kid"):
        raise LaunchRefused(N_("The message is signed with a key that the platform does not publish."), ADMINISTRATOR)
    try:
        claims: dict[str, Any] = jwt.decode(
            token, key, list(ALGORITHMS), audience=platform.client_id, issuer=platform.issuer, leeway=LEEWAY_SECONDS,
            options={"require": ["iss", "aud", "exp", "iat", "nonce"]},
        )  # fmt: skip
    except jwt.ExpiredSignatureError:
        raise LaunchRefused(N_("The message has expired."), AGAIN) from None
    except jwt.ImmatureSignatureError:
        raise LaunchRefused(N_("The clocks of the platform and of this tool differ."), ADMINISTRATOR) from None
    except (jwt.InvalidAudienceError, jwt.InvalidIssuerError):
        raise LaunchRefused(N_("The message is for another tool."), ADMINISTRATOR) from None
    except jwt.PyJWTError:
        raise LaunchRefused(N_("The message is not signed as it has to be."), ADMINISTRATOR) from None
    if claims["iat"] > time.time() + LEEWAY_SECONDS:
        raise LaunchRefused(N_("The clocks of the platform and of this tool differ."), ADMINISTRATOR)
    return claims


def _launch(claims: dict[str, Any], platform: Platform, deployment: str, target: str) -> Launch:
    kind = claims.get(f"{CLAIM}/message_type")
    roles = set(claims.get(f"{CLAIM}/roles") or ())
    context = claims.get(f"{CLAIM}/context") or {}
    deep_linking = claims.get(DEEP_LINKING) if kind == "LtiDeepLinkingRequest" else None
    if kind == "LtiResourceLinkRequest":
        if not (claims.get(f"{CLAIM}/resource_link") or {}).get("id"):
            raise LaunchRefused(N_("The message does not say which link was opened."), ADMINISTRATOR)
    elif not deep_linking:
        raise LaunchRefused(N_("The message is of a kind that this tool does not know."), ADMINISTRATOR)
    presentation = claims.get(f"{CLAIM}/launch_presentation") or {}
    return Launch(
        platform=platform,
        deployment=deployment,
        sub=claims["sub"],
        accounts=tuple(accounts(platform, claims)),
        name=str(claims.get("name") or ""),
        teaches=bool(roles & _TEACHES),
        learns=_LEARNS in roles,
        target=target,
        context=str(context.get("id") or ""),
        title=str(context.get("title") or context.get("label") or ""),
        line_items_url=str((claims.get(_GRADES) or {}).get("lineitems") or ""),
        memberships_url=str((claims.get(_MEMBERS) or {}).get("context_memberships_url") or ""),
        language=str(presentation.get("locale") or claims.get("locale") or ""),
        custom={str(key): str(value) for key, value in (claims.get(f"{CLAIM}/custom") or {}).items()},
        deep_linking=deep_linking,
    )


def accounts(platform: Platform, of: Mapping[str, Any]) -> list[str]:
    """What a person in a launch or a list of members may be known by in statements, the surest first.

    That is the platform with their user name (as Moodle tells it), their id or their number at the institution; and their
    mail address, where this platform is trusted to know it.
    """
    extension, lis = of.get(f"{CLAIM}/ext") or {}, of.get(f"{CLAIM}/lis") or {}
    names = (
        extension.get("user_username") or of.get("ext_user_username"),
        of.get("sub") or of.get("user_id"),
        lis.get("person_sourcedid") or of.get("lis_person_sourcedid"),
    )
    found = [f"{platform.issuer}|{name}" for name in names if name]
    if platform.trust_email and of.get("email"):
        found.append(f"mailto:{of['email'].lower()}")
    return list(dict.fromkeys(found))
