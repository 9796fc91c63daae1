"""Which accounts meet in one person, and what an identity table may say."""

import hmac
from hashlib import sha1, sha256

import pytest

from schemas.errors import SettingsError
from transforms.identity import Identities, parse_identities

KEY = b"sixteen bytes or more"


def test_a_mail_address_meets_its_own_sha1() -> None:
    people = Identities(KEY)
    hashed = "sha1:" + sha1(b"mailto:ada@example.org").hexdigest()
    assert people.person_key("mailto:ada@example.org") == people.person_key("mailto:Ada@Example.org")
    assert people.person_key("mailto:ada@example.org") == people.person_key(hashed)
    assert people.person_key("mailto:ada@example.org") != people.person_key("mailto:bob@example.org")


def test_the_person_key_is_a_keyed_hash() -> None:
    expected = hmac.new(KEY, b"account\nhttps://github.com|ada", sha256).hexdigest()[:32]
    assert Identities(KEY).person_key("https://github.com|ada") == expected
    assert Identities(b"another key of length").person_key("https://github.com|ada") != expected


def test_the_table_joins_accounts_and_shows_in_the_digest() -> None:
    table = parse_identities("account,person\nada@example.org,17\n\nhttps://github.com|ada , 17\n", "t.csv")
    people = Identities(KEY, table)
    assert people.person_key("mailto:ada@example.org") == people.person_key("https://github.com|ada")
    assert people.person_key("https://github.com|ada") != Identities(KEY).person_key("https://github.com|ada")
    assert people.digest != Identities(KEY).digest


def test_a_person_is_never_taken_for_an_account_of_that_name() -> None:
    people = Identities(KEY, {"https://github.com|ada": "https://github.com|bob"})
    assert people.person_key("https://github.com|ada") != people.person_key("https://github.com|bob")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected the columns account, person"),
        ("name,who\n", "line 1: expected the columns account, person; found name, who"),
        ("account,person\nada@example.org\n", "line 2: expected an account and a person; found ada@example.org"),
        ("account,person\na@e.org,1\nb@e.org,\n", "line 3: expected an account and a person"),
        ("account,person\na@e.org,1\nmailto:A@e.org,2\n", "line 3: mailto:A@e.org belongs to 1 already"),
    ],
)
def test_a_wrong_table_is_refused_with_its_lines(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_identities(text, "t.csv")
    assert message in str(caught.value)
