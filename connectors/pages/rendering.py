"""Pages from templates, with the headers that keep them safe in an LMS's frame."""

from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from transforms.languages import Language, language_of

STYLE = files("connectors.pages").joinpath("templates/page.css").read_text("utf-8")


@lru_cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("connectors.pages", "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=StrictUndefined,
    )  # fmt: skip


def page(
    template: str, language: Language, frames: Iterable[str] = (), status: int = 200, scripts: bool = False, posts_to: str = "",
    **values: Any,
) -> Response:  # fmt: skip
    """A page. `frames` are addresses of platforms, which may show it in a frame; `scripts` lets the scripts of `/pages/` run;
    `posts_to` is an address that its form may post to.
    """
    text = (
        _environment()
        .get_template(template)
        .render(t=language.text, plural=language.plural, language=language, tag=language.tag, **values)
    )
    ancestors = " ".join(sorted({_origin(one) for one in frames})) or "'none'"
    policy = (
        f"default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self' {_origin(posts_to)}; base-uri 'none'; "
        f"frame-ancestors 'self' {ancestors}" + ("; script-src 'self'" if scripts else "")
    )
    headers = {
        "Content-Security-Policy": policy.replace("'self' 'none'", "'none'"), "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Content-Language": language.tag,
    }  # fmt: skip
    return HTMLResponse(text, status, headers)


def language_for(request: Request, told: str = "") -> Language:
    """The language that the platform told, else that the browser asks for."""
    asked = request.headers.get("accept-language", "")
    wanted = [part.partition(";")[0].strip() for part in asked.split(",")]
    return language_of([told, *wanted])


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
