"""Whom the receiver believes: bearer tokens of its clients, and signatures of statements."""

import base64
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import httpx
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tests.receiver import VERSION, Server, statement

SIGNATURE = "http://adlnet.gov/expapi/attachments/signature"


def token(server: Server, name: str, secret: str | None = None, **form: str) -> httpx.Response:
    asked = {"grant_type": "client_credentials", **form}
    credentials = (name, server.secrets[name] if secret is None else secret)
    return httpx.post(f"{server.address}/oauth2/token", data=asked, auth=credentials)


def bearer(server: Server, given: str) -> httpx.Client:
    return httpx.Client(base_url=f"{server.address}/xapi", headers={**VERSION, "Authorization": f"Bearer {given}"})


def test_a_token_stands_for_its_client_as_far_as_its_scopes_go(server: Server) -> None:
    answer = token(server, "lms")
    assert answer.headers["cache-control"] == "no-store"
    given = answer.json()
    assert (given["token_type"], given["expires_in"], given["scope"]) == ("Bearer", 3600, "read-own write")
    one = statement()
    with bearer(server, given["access_token"]) as lms:
        assert lms.post("/statements", json=one).status_code == 200
        assert lms.get("/statements", params={"statementId": one["id"]}).json()["authority"]["account"]["name"] == "lms"
    reading = token(server, "lms", scope="read-own").json()["access_token"]
    with bearer(server, reading) as lms:
        assert lms.get("/statements", params={"statementId": one["id"]}).status_code == 200
        assert lms.post("/statements", json=statement()).status_code == 403
    in_form = {"grant_type": "client_credentials", "client_id": "lms", "client_secret": server.secrets["lms"]}
    assert httpx.post(f"{server.address}/oauth2/token", data=in_form).status_code == 200


def test_who_may_not_gets_no_token_and_no_token_of_others_is_believed(server: Server) -> None:
    assert token(server, "lms", "wrong").json()["error"] == "invalid_client"
    assert token(server, "lms", "wrong").status_code == 401
    assert token(server, "lms", scope="read-all").json()["error"] == "invalid_scope"
    assert token(server, "lms", grant_type="password").json()["error"] == "unsupported_grant_type"
    assert httpx.post(f"{server.address}/oauth2/token", content=b"\xff" * 100).status_code == 400
    given = token(server, "lms").json()["access_token"]
    head, claims, _ = given.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    wider = jwt.encode({"sub": "lms", "scope": "read-all", "exp": 9e9}, "k" * 32, "HS256")
    own_key = (server.home.settings.home / "receiver.key").read_text("ascii")
    claims_of_lms = {"sub": "lms", "scope": "read-own", "exp": time.time() + 60}
    with bearer(server, jwt.encode(claims_of_lms, own_key, "HS256")) as lms:
        assert lms.get("/statements").status_code == 200
    ended = jwt.encode({**claims_of_lms, "exp": time.time() - 1}, own_key, "HS256")
    for wrong in (ended, "x", f"{none}.{claims}.", f"{head}.{claims}.AAAA", wider, given + "a"):
        with bearer(server, wrong) as nobody:
            answer = nobody.get("/statements")
            assert answer.status_code == 401
            assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    secret = json.loads(server.home("clients", "add", "leaver", "--scope=write", "--json"))["secret"]
    given = token(server, "leaver", secret).json()["access_token"]
    server.home("clients", "revoke", "leaver")
    with bearer(server, given) as leaver:
        assert leaver.post("/statements", json=statement()).status_code == 401


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def certificate(key: rsa.RSAPrivateKey) -> str:
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "signer")]), datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now).not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())
    )  # fmt: skip
    return base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode()


def signed(
    one: dict[str, Any], key: Any, algorithm: str = "RS256", kind: str = "application/octet-stream", **header: Any
) -> tuple[bytes, str]:
    """A multipart body of a statement and its signature, and its content type."""
    jws = jwt.api_jws.encode(json.dumps(one).encode(), key, algorithm, headers=header or None).encode()
    digest = sha256(jws).hexdigest()
    attachment = {
        "usageType": SIGNATURE,
        "display": {"en": "Signature"},
        "contentType": kind,
        "length": len(jws),
        "sha2": digest,
    }
    parts = [
        b"Content-Type: application/json\r\n\r\n" + json.dumps({**one, "attachments": [attachment]}).encode(),
        f"Content-Type: {kind}\r\nContent-Transfer-Encoding: binary\r\nX-Experience-API-Hash: {digest}\r\n\r\n".encode() + jws,
    ]  # fmt: skip
    body = b"".join(b"--edge\r\n" + part + b"\r\n" for part in parts) + b"--edge--\r\n"
    return body, "multipart/mixed; boundary=edge"


def send(server: Server, body: bytes, kind: str) -> httpx.Response:
    with server.client(**{"Content-Type": kind}) as lms:
        return lms.post("/statements", content=body)


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512"])
def test_a_signed_statement_is_kept_with_its_signature(server: Server, key: rsa.RSAPrivateKey, algorithm: str) -> None:
    one = statement()
    for header in ({}, {"x5c": [certificate(key)]}):
        answer = send(server, *signed(one, key, algorithm, **header))
        assert answer.status_code == 200, answer.text
    with server.client() as lms:
        kept = lms.get("/statements", params={"statementId": one["id"], "attachments": "true"})
    assert b"eyJ" in kept.content


def test_a_signature_that_is_none_is_refused(server: Server, key: rsa.RSAPrivateKey) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    one = statement()
    changed: Callable[[bytes], bytes] = lambda body: body.replace(b'"success": true', b'"success": false', 1)  # noqa: E731
    body, kind = signed(one, key)
    assert body != changed(body)
    wrong = {
        "of another statement": (changed(body), kind),
        "alg is one of": signed(one, "k" * 32, "HS256"),
        "octet-stream": signed(one, key, kind="text/plain"),
        "key of its certificate": signed(one, other, x5c=[certificate(key)]),
        "not made with": signed(one, key, x5c=["AAAA"]),
    }
    for told, (text, content_type) in wrong.items():
        answer = send(server, text, content_type)
        assert (answer.status_code, told in answer.json()["error"]) == (400, True), answer.text
    jws = b"no.jws.here"
    loose = {**one, "attachments": [{"usageType": SIGNATURE, "display": {"en": "S"}, "contentType": "application/octet-stream",
                                     "length": len(jws), "sha2": sha256(jws).hexdigest(), "fileUrl": "https://example.org/s"}]}  # fmt: skip
    with server.client() as lms:
        assert lms.post("/statements", json=loose).status_code == 400
        assert lms.get("/statements", params={"statementId": one["id"]}).status_code == 404
