"""One person, many accounts: which accounts meet in which person, and the keyed hash that stands for the person."""

import csv
import hmac
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha1, sha256

from schemas.errors import SettingsError

_HEADER = ["account", "person"]


@dataclass(frozen=True)
class Identities:
    """The key of the hash, and which person the identity table gives each account to (account as `known_as` has it)."""

    key: bytes
    table: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Changes when the key or the table does."""
        rows = "\n".join(f"{account}\t{person}" for account, person in sorted(self.table.items()))
        return hmac.new(self.key, rows.encode(), sha256).hexdigest()

    def person_key(self, account: str) -> str:
        """The person that an account belongs to: 32 hexadecimal digits of HMAC-SHA-256 (RFC 2104).

        Accounts meet where the table names one person for them, and where a mail address and its SHA-1 are the same.
        """
        known = known_as(account)
        person = self.table.get(known)
        identity = f"account\n{known}" if person is None else f"person\n{person}"
        return hmac.new(self.key, identity.encode(), sha256).hexdigest()[:32]

    def person_keys(self, accounts: Iterable[str]) -> list[str]:
        """The person of each account."""
        return [self.person_key(account) for account in accounts]


def known_as(account: str) -> str:
    """An account, a mail address by its SHA-1, as xAPI's mbox_sha1sum has it (xAPI-Data 2.4.2.3)."""
    if account.lower().startswith("mailto:"):
        return "sha1:" + sha1(account.lower().encode(), usedforsecurity=False).hexdigest()
    return account


def parse_identities(text: str, where: str) -> dict[str, str]:
    """The identity table from CSV with the columns account and person: account as `known_as` has it → person.

    An account is a mail address, `mailto:…`, `sha1:…`, an OpenID, or `homePage|name`; a person is any name for one, such
    as a personnel number. SettingsError naming each line that is wrong, and each account given to two persons.
    """
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    mistakes: list[str] = []
    table: dict[str, str] = {}
    if not rows or [name.strip() for name in rows[0]] != _HEADER:
        mistakes.append(
            f"  line 1: expected the columns {', '.join(_HEADER)}; found {', '.join(rows[0]) if rows else ''}"
        )
    for number, row in enumerate(rows[1:], start=2):
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if len(cells) != len(_HEADER) or not all(cells):
            mistakes.append(f"  line {number}: expected an account and a person; found {', '.join(row)}")
            continue
        account, person = known_as(as_account(cells[0])), cells[1]
        if table.setdefault(account, person) != person:
            mistakes.append(
                f"  line {number}: {cells[0]} belongs to {table[account]} already, and cannot be {person} too"
            )
    if mistakes:
        raise SettingsError(f"The identity table {where} is not valid:\n" + "\n".join(mistakes), "Mend the file.")
    return table


def as_account(text: str) -> str:
    """What a person may call an account, as proficio has it: a bare mail address becomes a mailto IRI."""
    bare_mail = "@" in text and "|" not in text and ":" not in text
    return f"mailto:{text.lower()}" if bare_mail else text
