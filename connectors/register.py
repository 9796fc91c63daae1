"""The register of who was erased, as rows: digests, and how many statements were dropped since."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Column, Integer, MetaData, Table, Text

from connectors.database import Database, Where, found, insert_new, sql
from schemas.errors import InputError

TABLES = MetaData()
_ERASED = Table("erased", TABLES, Column("digest", Text, primary_key=True), Column("erased_at", Text))
_DROPPED = Table(
    "dropped", TABLES, Column("day", Text, primary_key=True), Column("source", Text, primary_key=True),
    Column("statements", Integer),
)  # fmt: skip


class Register:
    """The rows."""

    def __init__(self, where: Where) -> None:
        self._database = Database(where, TABLES)

    def newest(self) -> tuple[int, str]:
        """How many digests there are, and when the newest came."""
        query = sql("select count(*), coalesce(max(erased_at), '') from erased")
        with self._database.session() as connection:
            [(count, newest)] = found(connection, query)
        return count, newest

    def digests(self) -> frozenset[str]:
        """All digests."""
        with self._database.session() as connection:
            return frozenset(digest for (digest,) in found(connection, sql("select digest from erased")))

    def note(self, digests: Iterable[str]) -> None:
        """Add digests."""
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        with self._database.writing() as connection:
            insert_new(connection, _ERASED, [(one, now) for one in digests])

    def remove(self, digests: Iterable[str]) -> bool:
        """Take digests out; whether there were any."""
        query = sql("delete from erased where digest in :digests", "digests")
        with self._database.writing() as connection:
            return connection.execute(query, {"digests": list(digests)}).rowcount > 0

    def take_over(self, other: Path) -> None:
        """Add the digests of another register, in a file."""
        if not other.exists():
            raise InputError(f"There is no register {other}.", "Give the erased.db of a later time.")
        with Database(other, TABLES).session() as connection:
            rows = [tuple(row) for row in found(connection, _ERASED.select())]
        with self._database.writing() as connection:
            insert_new(connection, _ERASED, rows)

    def count(self, source: str, statements: int) -> None:
        """Count statements that were dropped."""
        query = sql(
            "insert into dropped values (:day, :source, :statements) "
            "on conflict (day, source) do update set statements = dropped.statements + excluded.statements"
        )
        given = {"day": datetime.now(UTC).date().isoformat(), "source": source, "statements": statements}
        with self._database.writing() as connection:
            connection.execute(query, given)

    def dropped(self) -> int:
        """How many statements were dropped so far."""
        with self._database.session() as connection:
            [(count,)] = found(connection, sql("select coalesce(sum(statements), 0) from dropped"))
        return int(count)
