"""Who a person is: the accounts behind any of their identifiers."""

import re
from dataclasses import dataclass

from connectors import warehouse
from flows.opening import identities
from flows.settings import Settings
from schemas.errors import InputError
from transforms.identity import as_account, known_as

_KEY = re.compile(r"[0-9a-f]{32}")
_ACCOUNT = re.compile(r"mailto:[^@\s]+@\S+|sha1:[0-9a-f]{40}|\S+://\S+|\S+\|.+", re.IGNORECASE)  # xAPI-Data 2.4.2.3
_ACCOUNTS = "select account, replace(person_key::varchar, '-', '') as person from lake.accounts"


@dataclass(frozen=True)
class Person:
    """A person's key, and every account that is known of them."""

    key: str
    accounts: tuple[str, ...]


def person_of(settings: Settings, called: str) -> Person:
    """The person with this key or account. InputError for a key that nobody has, and for what can be no account.

    A word that is none, such as a name, would be looked for, and taken out, in everybody's texts.
    An account that never came has a person too: what is still on its way may be theirs.
    """
    known = identities(settings)
    account = as_account(called)
    is_key = _KEY.fullmatch(called.lower())
    if not is_key and not _ACCOUNT.fullmatch(account):
        raise InputError(
            f"{called} is no account.",
            "Give a mail address, homePage|name, sha1:… of a mail address, an OpenID, or the key of a person.",
        )
    key = called.lower() if is_key else known.person_key(account)
    found = {one for one, person in known.table.items() if known.person_key(one) == key}
    if settings.warehouse.exists():
        with warehouse.alone(settings.warehouse):
            rows = warehouse.rows(settings.warehouse, f"{_ACCOUNTS} where person_key = $1::uuid", [key])
        found |= {row["account"] for row in rows}
    if not is_key:
        found |= {account, known_as(account)}
    if not found:
        raise InputError(
            f"No person has the key {called}.", "Give an account, a mail address, or a key of mart_people."
        )
    return Person(key, tuple(sorted(found | {known_as(one) for one in found})))
