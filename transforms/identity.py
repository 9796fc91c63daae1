"""One person, many accounts: which accounts meet in which person, and the keyed hash that stands for the person."""

import csv
import hmac
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from typing import Any

from schemas.errors import SettingsError

_HEADER = ["account", "person"]


@dataclass(frozen=True)
class Identities:
    """The key of the hash, the person that the identity table gives each account to, and attributes of accounts.

    Accounts are as `known_as` has them; `attributes` holds account → attribute (team, say) → value.
    """

    key: bytes
    table: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Changes when the key or the table does."""
        rows = "\n".join(f"{account}\t{person}" for account, person in sorted(self.table.items()))
        rows += f"\n{sorted((account, *sorted(given.items())) for account, given in self.attributes.items())}"
        return hmac.new(self.key, rows.encode(), sha256).hexdigest()

    def person_key(self, account: str) -> str:
        """The person that an account belongs to: 32 hexadecimal digits of HMAC-SHA-256 (RFC 2104).

        Accounts meet where the table names one person for them, and where a mail address and its SHA-1 are the same.
        """
        known = known_as(account)
        person = self.table.get(known)
        identity = f"account\n{known}" if person is None else f"person\n{person}"
        return hmac.new(self.key, identity.encode(), sha256).hexdigest()[:32]

    def erasure_digests(self, account: str) -> tuple[str, str]:
        """What is kept of an erased account, to know it again: digests of its person, and of the account by itself.

        Two, so that it is known after its line of the table is gone. Nothing leads back from them but the key and a guess.
        """
        alone = Identities(self.key).person_key(account)
        return _digest(self.person_key(account)), _digest(alone)

    def person_keys(self, accounts: Iterable[str]) -> list[str]:
        """The person of each account."""
        return [self.person_key(account) for account in accounts]

    def attributes_of_people(self) -> dict[tuple[str, str], str]:
        """(person, attribute) → value. SettingsError where two accounts of one person are given different values."""
        found: dict[tuple[str, str], str] = {}
        for account, given in self.attributes.items():
            for attribute, value in given.items():
                if found.setdefault((self.person_key(account), attribute), value) != value:
                    raise SettingsError(
                        f"identity.attributes: accounts of one person have different values of {attribute}: one of them is "
                        f"{account} with {value}.",
                        "Give each person one line, or the same values in each.",
                    )
        return found


def _digest(person: str) -> str:
    return sha256(f"erased\n{person}".encode()).hexdigest()


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


def parse_attributes(text: str, where: str) -> dict[str, dict[str, str]]:
    """Attributes of people from CSV: the column account, and one column for each attribute; empty cells say nothing.

    The result is account as `known_as` has it → attribute → value. SettingsError naming each line that is wrong.
    """
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    header = [name.strip() for name in rows[0]] if rows else []
    mistakes: list[str] = []
    if header[:1] != ["account"] or len(header) < 2 or not all(header) or len(set(header)) < len(header):
        mistakes.append(f"  line 1: expected account and then attributes, each once; found {', '.join(header)}")
    found: dict[str, dict[str, str]] = {}
    for number, row in enumerate(rows[1:], start=2):
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        account = known_as(as_account(cells[0]))
        if len(cells) != len(header) or not cells[0]:
            mistakes.append(
                f"  line {number}: expected {len(header)} cells, the first an account; found {', '.join(row)}"
            )
        elif account in found:
            mistakes.append(f"  line {number}: {cells[0]} stands twice")
        else:
            found[account] = {name: cell for name, cell in zip(header[1:], cells[1:], strict=True) if cell}
    if mistakes:
        raise SettingsError(f"The attributes in {where} are not valid:\n" + "\n".join(mistakes), "Mend the file.")
    return found


def agent_of(account: str) -> dict[str, Any]:
    """An account as an xAPI Agent (xAPI-Data 2.4.2): the inverse of what statements name it by."""
    if account.startswith("mailto:"):
        return {"objectType": "Agent", "mbox": account}
    if account.startswith("sha1:"):
        return {"objectType": "Agent", "mbox_sha1sum": account.removeprefix("sha1:")}
    home_page, bar, name = account.partition("|")
    if bar:
        return {"objectType": "Agent", "account": {"homePage": home_page, "name": name}}
    return {"objectType": "Agent", "openid": account}


def as_account(text: str) -> str:
    """What a person may call an account, as proficio has it: a bare mail address becomes a mailto IRI."""
    bare_mail = "@" in text and "|" not in text and ":" not in text
    return f"mailto:{text.lower()}" if bare_mail else text
