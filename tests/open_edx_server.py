"""Open edX's LTI 1.3 platform behind a few addresses; run by a Python that has lti-consumer-xblock: see open_edx.py."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from django.conf import settings

settings.configure(
    PLATFORM_NAME="Open edX", CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
)

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from lti_consumer.data import Lti1p3LaunchData
from lti_consumer.lti_1p3.consumer import LtiAdvantageConsumer

TOOL, PORT = sys.argv[1], int(sys.argv[2])
HERE = f"http://127.0.0.1:{PORT}"
_AGS = "https://purl.imsglobal.org/spec/lti-ags/scope"
_NRPS = "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly"

key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
platform = LtiAdvantageConsumer(
    iss=HERE, lti_oidc_url=f"{TOOL}/lti/login", lti_launch_url=f"{TOOL}/me", client_id="edx-client", deployment_id="1",
    rsa_key=key.decode(), rsa_key_id="edx-key", redirect_uris=[f"{TOOL}/lti/launch"], tool_keyset_url=f"{TOOL}/lti/jwks",
)  # fmt: skip
platform.enable_ags(f"{HERE}/lineitems", allow_programmatic_grade_interaction=True)
platform.enable_nrps(f"{HERE}/members")
platform.enable_deep_linking(f"{TOOL}/me", f"{HERE}/deep-link")
launches = {}
line_items, scores, chosen = [], [], []


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        where = urlsplit(self.path)
        given = dict(parse_qsl(where.query))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, told = 200, None
        if where.path == "/start":
            kind = given.get("message", "LtiResourceLinkRequest")
            data = Lti1p3LaunchData(
                user_id=given["user"],
                user_role=given["role"],
                config_id="1",
                resource_link_id="r1",
                message_type=kind,
                email=f"{given['user']}@example.org",
                context_id="course-v1:a+b+c",
                context_title="GenAI 101",
            )
            launches[given["user"]] = data
            told = {"url": platform.prepare_preflight_url(data)}
        elif where.path == "/auth":
            data = launches[given["login_hint"]]
            platform.set_user_data(data.user_id, data.user_role, full_name=data.user_id, email_address=data.email)
            platform.set_resource_link_claim(data.resource_link_id)
            platform.set_context_claim(data.context_id, context_title=data.context_title)
            platform.set_launch_presentation_claim("iframe")
            told = platform.generate_launch_request(given)
        elif where.path == "/jwks":
            told = platform.get_public_keyset()
        elif where.path == "/token":
            told = platform.access_token(dict(parse_qsl(body.decode())))
        elif where.path == "/deep-link":
            chosen.extend(platform.check_and_decode_deep_linking_token(dict(parse_qsl(body.decode()))["JWT"]))
            told = {}
        elif where.path == "/told":
            told = {"line_items": line_items, "scores": scores, "chosen": chosen}
        elif not self.may(where.path):
            status, told = 401, {}
        elif where.path == "/members":
            told = {
                "members": [
                    {"user_id": name, "roles": ["Learner"], "email": one.email, "name": name}
                    for name, one in launches.items()
                    if one.user_role == "student"
                ]
            }
        elif where.path == "/lineitems" and body:
            line_items.append({**json.loads(body), "id": f"{HERE}/lineitems/{len(line_items)}"})
            status, told = 201, line_items[-1]
        elif where.path == "/lineitems":
            told = [one for one in line_items if one["resourceId"] == given["resource_id"]]
        else:
            scores.append({**json.loads(body), "at": where.path})
            told = {}
        content = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def may(self, path):
        """Whether the token that was sent is one that the platform gave for this."""
        scope = _NRPS if path == "/members" else f"{_AGS}/score" if path.endswith("/scores") else f"{_AGS}/lineitem"
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            return bool(platform.check_token(token, [scope]))
        except Exception as error:
            print(repr(error), file=sys.stderr)
            return False

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
