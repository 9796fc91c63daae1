"""Signed statements: the JWS that comes as an attachment must be of this statement (xAPI-Data 2.6 and RFC 7515)."""

import base64
import binascii
from collections.abc import Iterable
from typing import Any

import jwt
from cryptography.x509 import load_der_x509_certificate

from connectors.receiver.asking import Refused
from schemas.xapi import Statement
from transforms.statements import RefusedStatement, content_hash, parse

_USAGE = "http://adlnet.gov/expapi/attachments/signature"
_ALGORITHMS = ["RS256", "RS384", "RS512"]  # the specification's


def check(statements: Iterable[Statement], contents: dict[str, bytes]) -> None:
    """Refuses a statement whose signature is malformed, of another statement, or not made with the certificate it carries.

    A signature without a certificate (x5c) cannot be checked further; whether to trust a certificate is the reader's matter.
    """
    for statement in statements:
        for one in statement.get("attachments", ()):
            if one["usageType"] == _USAGE:
                content = contents.get(str(one["sha2"]).lower())
                if one["contentType"].partition(";")[0].strip().lower() != "application/octet-stream":
                    raise Refused(400, "a signature is an attachment of type application/octet-stream (xAPI-Data 2.6)")
                if content is None:
                    raise Refused(400, "a signature comes with its statement, not by fileUrl (xAPI-Data 2.6)")
                _check_one(statement, content)


def _check_one(statement: Statement, signature: bytes) -> None:
    try:
        header = jwt.get_unverified_header(signature)
        payload = jwt.api_jws.decode(signature, options={"verify_signature": False})
        signed = parse(payload)[0]
    except (jwt.PyJWTError, RefusedStatement, ValueError):
        raise Refused(400, "a signature is a JWS in compact form whose payload is the statement") from None
    if header.get("alg") not in _ALGORITHMS:
        raise Refused(400, f"a signature's alg is one of {', '.join(_ALGORITHMS)}")
    if "x5c" in header:
        try:
            jwt.api_jws.decode(signature, _key(header["x5c"]), _ALGORITHMS)
        except (jwt.PyJWTError, ValueError, TypeError, binascii.Error):
            raise Refused(400, "a signature is not made with the key of its certificate") from None
    if not _equivalent(signed, statement):
        raise Refused(400, "a signature is of another statement than the one it comes with")


def _equivalent(signed: Statement, statement: Statement) -> bool:
    """Whether they say the same; what was added after signing (an id, a timestamp) does not count."""
    for name in ("id", "timestamp"):
        if name in signed and name in statement and str(signed[name]).lower() != str(statement[name]).lower():
            return False
    without = {"timestamp"} - (signed.keys() & statement.keys())
    return len({content_hash({k: v for k, v in one.items() if k not in without}) for one in (signed, statement)}) == 1


def _key(chain: Any) -> Any:
    """The public key of the first certificate of x5c, DER in base64 (RFC 7515 4.1.6)."""
    return load_der_x509_certificate(base64.b64decode(chain[0], validate=True)).public_key()
