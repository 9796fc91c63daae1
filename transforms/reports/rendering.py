"""What reports share: the page around them, figures with their uncertainty, places on the charts."""

from collections.abc import Mapping
from datetime import datetime
from importlib.resources import files
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from schemas.framework import Framework
from transforms.languages import Language

LANGUAGE = Language("en")


class Made(NamedTuple):
    """When a report was made, from marts published when, and with which versions."""

    at: datetime
    published_at: datetime
    framework_version: str
    parameters_version: str


def render(template: str, framework: Framework, made: Made, **what: Any) -> str:
    """The report as HTML text; style and charts are in it, and it refers to nothing on the network."""
    environment = Environment(
        loader=PackageLoader("transforms.reports", "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=StrictUndefined,
    )  # fmt: skip
    environment.filters |= {"percent": LANGUAGE.percent, "day": LANGUAGE.date, "signed": _signed}
    style = files("transforms.reports").joinpath("templates/report.css").read_text("utf-8")
    return environment.get_template(template).render(framework=framework, made=made, style=style, **what)


def _signed(number: float) -> str:
    return f"{number:+z.1f}".replace("-", "−")


def name_of(person: str, names: Mapping[str, str]) -> str:
    """What a person is called: their name, or the beginning of their key."""
    return names.get(person) or f"{person[:8]}…"
