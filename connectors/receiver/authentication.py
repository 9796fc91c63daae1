"""Who asks: Basic credentials (RFC 7617), or a bearer token (RFC 6750) that was given for them (RFC 6749 4.4)."""

import base64
import binascii
import time
from collections.abc import Mapping
from urllib.parse import unquote_plus
from uuid import uuid4

import jwt

from connectors.receiver.asking import Refused
from connectors.receiver.clients import Client, Clients

_ALGORITHM = "HS256"
TOKEN_SECONDS = 3600
_CHALLENGE = 'Basic realm="xAPI", charset="UTF-8", Bearer realm="xAPI"'


class Tokens:
    """Access tokens: JWTs (RFC 7519) signed with a key of 256 bits that only receivers of one data folder have."""

    def __init__(self, key: str) -> None:
        self._key = key

    def give(self, client: Client) -> str:
        """A token for a client and its scopes."""
        claims = {
            "sub": client.name,
            "scope": " ".join(sorted(client.scopes)),
            "exp": int(time.time()) + TOKEN_SECONDS,
            "jti": str(uuid4()),
        }
        return jwt.encode(claims, self._key, _ALGORITHM)

    def read(self, token: str) -> tuple[str, frozenset[str]] | None:
        """The client's name and the scopes of a token that holds; None for any other."""
        try:
            claims = jwt.decode(token, self._key, [_ALGORITHM], options={"require": ["sub", "scope", "exp"]})
            return claims["sub"], frozenset(claims["scope"].split())
        except jwt.PyJWTError:
            return None


def authenticated(clients: Clients, tokens: Tokens, authorization: str) -> Client:
    """The client that an Authorization header names; 401 for anyone else."""
    scheme, _, given = authorization.partition(" ")
    found = None
    if scheme.lower() == "basic":
        name, secret = _basic(given)
        found = clients.verified(name, secret)
    elif scheme.lower() == "bearer" and (told := tokens.read(given.strip())):
        client = clients.find(told[0])
        found = client and Client(client.name, client.scopes & told[1])
    if found is None:
        wrong = ', error="invalid_token"' if scheme.lower() == "bearer" else ""
        raise Refused(401, "credentials of a client are needed", {"WWW-Authenticate": _CHALLENGE + wrong})
    return found


class TokenError(Exception):
    """A request for a token that is refused: an error of RFC 6749 5.2."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error


def client_for_token(clients: Clients, authorization: str, form: Mapping[str, str]) -> Client:
    """The client that asks for a token by its credentials, with the scopes it asks for or else all it has."""
    if form.get("grant_type") != "client_credentials":
        raise TokenError("unsupported_grant_type", "grant_type is client_credentials")
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() == "basic":
        name, secret = map(unquote_plus, _basic(given))  # RFC 6749 2.3.1
    else:
        name, secret = form.get("client_id", ""), form.get("client_secret", "")
    client = clients.verified(name, secret)
    if client is None:
        raise TokenError("invalid_client", "credentials of a client are needed")
    asked = frozenset(form.get("scope", "").split()) or client.scopes
    if not asked <= client.scopes:
        raise TokenError("invalid_scope", f"this client has the scopes {' '.join(sorted(client.scopes))}")
    return Client(client.name, asked)


def _basic(given: str) -> tuple[str, str]:
    try:
        name, _, secret = base64.b64decode(given.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, secret
