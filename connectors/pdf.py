"""HTML pages as PDF, by WeasyPrint."""

from pathlib import Path
from typing import Any, NoReturn

from connectors.storage import storage_errors
from schemas.errors import UnavailableError


def write_pdf(html: str, path: Path) -> None:
    """Write a page as a tagged PDF (PDF/UA-1), whole or not at all. Nothing is fetched: what the page refers to is left out.

    UnavailableError where Pango, which WeasyPrint draws text with, is not installed.
    """
    try:
        from weasyprint import HTML
        from weasyprint.text.fonts import FontConfiguration
    except OSError as error:
        raise UnavailableError(
            f"PDFs cannot be made here: {str(error).splitlines()[0]}",
            "Install Pango (Debian: libpango-1.0-0, libpangoft2-1.0-0, libharfbuzz-subset0), or leave the PDF out: --no-pdf.",
        ) from error
    document = HTML(string=html, url_fetcher=_nothing)
    with storage_errors(path):
        begun = path.with_name(f".{path.name}.part")
        document.write_pdf(begun, pdf_variant="pdf/ua-1", font_config=FontConfiguration())
        begun.replace(path)


def _nothing(url: str, *_: Any, **__: Any) -> NoReturn:
    raise ValueError(f"Pages are self-contained; this one refers to {url}.")
