"""Dynamic registration (1EdTech LTI Dynamic Registration 1.0): the platform says what it is, the tool what it wants."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

from connectors.http import Api
from connectors.lti.services import SCOPES
from connectors.lti.store import ANY_DEPLOYMENT, Platform
from schemas.errors import InputError

_TOOL = "https://purl.imsglobal.org/spec/lti-tool-configuration"


@dataclass(frozen=True)
class Registration:
    """The tool as it registers: where it is reached and what it is called."""

    url: str
    title: str


def register(remote: Api, tool: Registration, configuration_url: str, token: str) -> Platform:
    """Register at the platform whose OpenID configuration stands at an address. InputError where it is not one's own."""
    if not configuration_url.startswith(("https://", "http://")):
        raise InputError("openid_configuration is no address.", "Start the registration in the platform.")
    body, _ = remote.exchange("GET", configuration_url)
    try:
        offered = orjson.loads(body)
        issuer = str(offered["issuer"])
        addresses = {
            name: str(offered[name])
            for name in ("registration_endpoint", "authorization_endpoint", "token_endpoint", "jwks_uri")
        }
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{configuration_url} is no OpenID configuration: {error!r}", "Check the address.") from None
    if urlsplit(issuer).netloc != urlsplit(configuration_url).netloc:
        raise InputError(
            f"{configuration_url} speaks for {issuer}, another host.", "Register from the platform itself."
        )
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    body, _ = remote.exchange("POST", addresses["registration_endpoint"], orjson.dumps(_wanted(tool)), headers)
    answer = orjson.loads(body)
    deployment = answer.get(_TOOL, {}).get("deployment_id")
    about = offered.get("https://purl.imsglobal.org/spec/lti-platform-configuration", {})
    return Platform(
        issuer=issuer,
        client_id=str(answer["client_id"]),
        name=str(about.get("product_family_code") or urlsplit(issuer).hostname),
        auth_url=addresses["authorization_endpoint"],
        token_url=addresses["token_endpoint"],
        jwks_url=addresses["jwks_uri"],
        token_audience=str(offered.get("authorization_server") or ""),
        deployments=(str(deployment),) if deployment else (ANY_DEPLOYMENT,),
    )


def _wanted(tool: Registration) -> dict[str, Any]:
    messages = [
        {"type": "LtiResourceLinkRequest", "target_link_uri": f"{tool.url}/me", "label": tool.title},
        {"type": "LtiDeepLinkingRequest", "target_link_uri": f"{tool.url}/me", "label": tool.title},
    ]
    return {
        "application_type": "web",
        "response_types": ["id_token"],
        "grant_types": ["implicit", "client_credentials"],
        "initiate_login_uri": f"{tool.url}/lti/login",
        "redirect_uris": [f"{tool.url}/lti/launch"],
        "client_name": tool.title,
        "jwks_uri": f"{tool.url}/lti/jwks",
        "token_endpoint_auth_method": "private_key_jwt",
        "scope": " ".join(SCOPES),
        _TOOL: {
            "domain": urlsplit(tool.url).netloc,
            "target_link_uri": f"{tool.url}/me",
            "claims": ["iss", "sub", "name", "email"],
            "messages": messages,
        },
    }
