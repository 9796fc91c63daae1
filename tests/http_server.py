"""A real HTTP server on loopback, in a thread of the test."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from schemas.errors import InputError, SettingsError, UnavailableError

Answer = tuple[int, dict[str, str], bytes]

# What every source has to tell of an HTTP API that answers so, as what kind of error, with which words.
REFUSALS: list[tuple[Answer, type[Exception], str]] = [
    ((401, {}, b""), SettingsError, "401"),
    ((403, {}, b""), SettingsError, "403"),
    ((404, {}, b"no"), InputError, "404"),
    ((200, {}, b"<html>"), InputError, "does not answer with JSON"),
    ((302, {"Location": "http://127.0.0.2/x"}, b""), SettingsError, "sends on to"),
    ((429, {"Retry-After": "5000"}, b""), UnavailableError, "asks to wait 5,000 s"),
]


class HttpServer:
    """Answers what `answer` says of a path, headers and body; without an answer it hangs up. `url` is where it listens."""

    def __init__(self, answer: Callable[[str, dict[str, str], bytes], Answer | None]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                told = answer(self.path, dict(self.headers), body)
                if told is None:
                    self.close_connection = True
                    return
                status, headers, content = told
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
