"""The languages that people are spoken to in: translations by gettext, dates and percentages by the rules of each (CLDR)."""

import gettext
from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from importlib.resources import files
from io import BytesIO

from babel import Locale, dates, numbers
from babel.core import UnknownLocaleError
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

SOURCE = "en"  # the language that the messages stand in
LANGUAGES = (SOURCE, "de", "fr")


def N_(message: str) -> str:  # noqa: N802 - the name that gettext knows
    """A message that is translated where it is used: this marks it for the catalogues."""
    return message


class Language:
    """One language: `text` and `plural` translate, `date` and `percent` write what is told."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self._translations = _translations(tag)

    def text(self, message: str, **values: object) -> str:
        """A message in this language, with its {values} put in."""
        return self._translations.gettext(message).format(**values)

    def plural(self, one: str, many: str, number: int, **values: object) -> str:
        """The message for so many; {number} stands for it."""
        return self._translations.ngettext(one, many, number).format(
            number=numbers.format_decimal(number, locale=self.tag), **values
        )

    def date(self, moment: date) -> str:
        """The day of a date or a moment, such as 24 November 2026."""
        return dates.format_date(moment, "long", locale=self.tag)

    def percent(self, share: float) -> str:
        """A share as whole per cent; what is not quite certain is never written as 0 or 100."""
        return numbers.format_percent(min(max(round(share, 2), 0.01), 0.99), "0\u00a0%", locale=self.tag)


def language_of(wanted: Iterable[str]) -> Language:
    """The first of the languages wanted (BCP 47 tags, such as de-AT, or Moodle's de_at) that there is, else English."""
    for tag in wanted:
        try:
            main = Locale.parse(tag.replace("-", "_")).language
        except (ValueError, UnknownLocaleError):
            continue
        if main in LANGUAGES:
            return Language(main)
    return Language(SOURCE)


@lru_cache
def _translations(tag: str) -> gettext.NullTranslations:
    if tag == SOURCE:
        return gettext.NullTranslations()
    with files("transforms").joinpath(f"locale/{tag}.po").open("rb") as source:
        catalogue = read_po(source, locale=tag)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
