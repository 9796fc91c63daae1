"""Endpoints that are given the parameters of a request: of its address, and of a form that was posted."""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

_MOST_BYTES = 200_000


def given_to(answer: Callable[[Request, dict[str, str]], Response]) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint that answers by what a request gives, in a thread: it may ask a store or a platform that is slow."""

    async def endpoint(request: Request) -> Response:
        return await asyncio.to_thread(answer, request, {**await _form_of(request), **request.path_params})

    return endpoint


async def _form_of(request: Request) -> dict[str, str]:
    """The parameters, each once. What comes in another form than that of a browser, or is longer than a form, counts as none."""
    given = dict(request.query_params)
    if request.method != "POST":
        return given
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            return given
    return given | dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
