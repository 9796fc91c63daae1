"""The parameters of a request: of its address, and of a form that was posted."""

from urllib.parse import parse_qsl

from starlette.requests import Request

_MOST_BYTES = 200_000


async def form_of(request: Request) -> dict[str, str]:
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
