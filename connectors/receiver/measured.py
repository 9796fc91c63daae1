"""How often the receiver is asked, with what outcome, and how long it takes: for Prometheus."""

from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_PLACES = ("xapi", "oauth2", "webhooks", "lti", "me", "courses", "health", "ready")


def measured(app: ASGIApp, registry: CollectorRegistry) -> ASGIApp:
    """The application, with its requests counted in a registry by the first part of their path, method and status."""
    labels = ("place", "method", "status")
    requests = Counter("proficio_http_requests", "Requests that were answered.", labels, registry=registry)
    seconds = Histogram(
        "proficio_http_request_seconds",
        "Time until a request was answered.",
        ("place",),
        buckets=_SECONDS,
        registry=registry,
    )

    async def counting(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        status, began = 500, perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        first = scope["path"].split("/")[1]
        place = first if first in _PLACES else "other"  # what nobody serves makes no series of its own
        try:
            await app(scope, receive, noting)
        finally:
            requests.labels(place, scope["method"], status).inc()
            seconds.labels(place).observe(perf_counter() - began)

    return counting
