"""Who was erased: digests that know them again when more of them arrives, and how much was dropped since."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from schemas.records import STATEMENTS, Record
from transforms.identity import Identities

if TYPE_CHECKING:
    from connectors.database import Where
    from connectors.register import Register


class Erased:
    """The register in use. Many threads may ask; what another process writes is seen at the next `renew`."""

    def __init__(self, where: "Where", identities: Callable[[], Identities]) -> None:
        self._where, self._identities_now = where, identities
        self._identities: Identities | None = None  # as of the newest `renew` that found something new
        self._lock = Lock()
        self._seen: tuple[int, str] = (0, "")  # how many, and when the newest came
        self._digests: frozenset[str] = frozenset()
        self._known: dict[str, bool] = {}
        self.renew()

    def renew(self) -> bool:
        """See what was written since; whether anybody was ever erased."""
        with self._lock:
            seen = self._register.newest() if self._exists else (0, "")
            if self._seen != seen:
                self._digests, self._known = self._register.digests() if seen[0] else frozenset(), {}
                self._identities = self._identities_now()
                self._seen = seen
            return bool(self._digests)

    def holds(self, account: str) -> bool:
        """Whether an account is of someone who was erased."""
        if not self._digests:
            return False
        known = self._known.get(account)
        if known is None:
            if len(self._known) > 100_000:
                self._known = {}
            identities = self._identities or self._identities_now()
            known = self._known[account] = not self._digests.isdisjoint(identities.erasure_digests(account))
        return known

    def door(self, topic: str, records: Iterable[Record]) -> Iterable[Record]:
        """The records that may enter the event log: no statements of someone who was erased. Those are counted."""
        if topic != STATEMENTS or not self.renew():
            return records
        return self._passing(records)

    def _passing(self, records: Iterable[Record]) -> Iterator[Record]:
        dropped = Counter[str]()
        for record in records:
            if record.key is not None and self.holds(record.key):
                dropped[record.headers.get("source", "")] += 1
            else:
                yield record
        for source, statements in dropped.items():
            self.count(source, statements)

    def note(self, accounts: Iterable[str]) -> None:
        """Know these accounts again from now on."""
        identities = self._identities_now()
        self._register.note({digest for account in accounts for digest in identities.erasure_digests(account)})
        self.renew()

    def digest_of(self, account: str) -> str:
        """What stands for an account's person where nothing may name them."""
        return self._identities_now().erasure_digests(account)[0]

    def admit(self, account: str) -> bool:
        """Let someone come in again who was erased; whether they were."""
        found = self._register.remove(self._identities_now().erasure_digests(account))
        self.renew()
        return found

    def take_over(self, other: Path) -> None:
        """Know again whoever another register, in a file, knows."""
        self._register.take_over(other)
        self.renew()

    def count(self, source: str, statements: int) -> None:
        """Count statements that were dropped because their actor was erased."""
        self._register.count(source, statements)

    def dropped(self) -> int:
        """How many statements were dropped so far."""
        return self._register.dropped() if self._exists else 0

    @property
    def _exists(self) -> bool:
        """Whether anybody was ever erased, or may have been."""
        return not isinstance(self._where, Path) or self._where.exists()

    @cached_property
    def _register(self) -> "Register":
        """Imported where it is used: mostly nobody was erased, and SQLAlchemy takes a while."""
        from connectors.register import Register

        return Register(self._where)
