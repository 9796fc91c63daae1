"""Every message is translated, with the places that it fills; dates and shares are written as each language does."""

import re
from datetime import date
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from transforms.languages import LANGUAGES, SOURCE, Language, language_of

ROOT = Path(__file__).parents[2]
KEYWORDS: dict[str, tuple[int, ...] | None] = {"text": None, "t": None, "plural": (1, 2), "N_": None}
METHODS = [("transforms/**.py", "python"), ("connectors/**.py", "python"), ("connectors/**.html.j2", "jinja2")]


def messages() -> set[str]:
    found = extract_from_dir(
        ROOT, METHODS, keywords=KEYWORDS, directory_filter=lambda path: Path(path).name not in (".venv", ".git")
    )
    return {message[0] if isinstance(message, tuple) else message for _, _, message, _, _ in found}


@pytest.mark.parametrize("tag", [tag for tag in LANGUAGES if tag != SOURCE])
def test_every_message_is_translated_with_its_places(tag: str) -> None:
    catalogue = read_po(BytesIO((ROOT / f"transforms/locale/{tag}.po").read_bytes()), locale=tag)
    told = {
        message.id[0] if isinstance(message.id, tuple) else message.id: message for message in catalogue if message.id
    }
    assert len(messages()) > 100
    assert told.keys() == messages(), "run: make messages"
    for name, message in told.items():
        strings = message.string if isinstance(message.string, tuple) else (message.string,)
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        assert all(strings), name
        assert len(strings) == (2 if len(ids) == 2 else 1), name
        for string, one in zip(strings, ids, strict=True):
            assert sorted(re.findall(r"{\w+}", string)) == sorted(re.findall(r"{\w+}", one)), name


def test_a_language_writes_dates_and_shares_its_own_way() -> None:
    day = date(2026, 11, 24)
    assert [Language(tag).date(day) for tag in ("en", "de", "fr")] == [
        "November 24, 2026",
        "24. November 2026",
        "24 novembre 2026",
    ]
    assert Language("de").percent(0.999) == "99\u00a0%"
    assert Language("en").percent(0.0001) == "1\u00a0%"
    assert Language("de").plural("{number} try", "{number} tries", 1200) == "1.200 Versuche"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (["de-AT"], "de"),
        (["de_at"], "de"),
        (["xx", "fr-CA"], "fr"),
        ([""], "en"),
        (["*", "..."], "en"),
        (["tlh"], "en"),
        ([], "en"),
    ],
)
def test_the_nearest_language_is_spoken(wanted: list[str], found: str) -> None:
    assert language_of(wanted).tag == found
