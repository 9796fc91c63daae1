"""Reading published marts for one person or a course: rows as dictionaries. Nothing here waits for a writer."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from connectors.publication import IDENTIFYING
from connectors.warehouse import dictionaries, quoted
from schemas.errors import StorageError

_ACCOUNTS = "select account, person from mart where list_contains($1, account)"


class Marts:
    """The folders of published marts, and of those with names. A mart that is not there has no rows. For many threads."""

    def __init__(self, folder: Path, identified: Path) -> None:
        self._folder, self._identified = folder, identified
        # One connection for all: making one takes longer than most queries. What files hold is looked up again when they change.
        self._connection = duckdb.connect()
        self._connection.execute("load parquet; set global parquet_metadata_cache = true")

    def published_at(self) -> datetime | None:
        """When levels were published last."""
        path = self._folder / "mart_levels.parquet"
        return datetime.fromtimestamp(path.stat().st_mtime, UTC) if path.exists() else None

    def owners(self, accounts: Sequence[str]) -> dict[str, str]:
        """Account → person, of those that are known."""
        rows = self._rows("dim_account", _ACCOUNTS, list(accounts))
        return {row["account"]: row["person"] for row in rows}

    def levels(self, people: Sequence[str]) -> list[dict[str, Any]]:
        """Rows of mart_levels of people."""
        return self._of("mart_levels", people, "person, competency")

    def history(self, person: str, competency: str) -> list[dict[str, Any]]:
        """Rows of mart_level_history of a competency, by day."""
        return [row for row in self._of("mart_level_history", [person], "day") if row["competency"] == competency]

    def evidence(self, person: str) -> list[dict[str, Any]]:
        """Rows of mart_evidence of a person, newest first."""
        return self._of("mart_evidence", [person], "occurred_at desc, statement_id")

    def evidence_of(self, people: Sequence[str], since: datetime) -> list[dict[str, Any]]:
        """Rows of mart_evidence of people from a moment on."""
        return [row for row in self._of("mart_evidence", people, "occurred_at") if row["occurred_at"] >= since]

    def disputes(self, people: Sequence[str]) -> list[dict[str, Any]]:
        """Rows of mart_disputes of people, newest first."""
        return self._of("mart_disputes", people, "disputed_at desc, competency")

    def names(self, people: Sequence[str]) -> dict[str, str]:
        """Person → name, of those that are published with one."""
        rows = self._of("dim_person", people, "person")
        return {row["person"]: row["person_name"] for row in rows if row["person_name"]}

    def gaps(self, person: str) -> list[dict[str, Any]]:
        """Rows of mart_role_gaps of a person."""
        return self._of("mart_role_gaps", [person], "role, competency")

    def next_steps(self, person: str) -> list[dict[str, Any]]:
        """Rows of mart_next_steps of a person."""
        return self._of("mart_next_steps", [person], "role, step")

    def accounts(self, person: str) -> list[str]:
        """The accounts of a person."""
        return [row["account"] for row in self._of("dim_account", [person], "account")]

    def all_of(self, person: str) -> dict[str, list[dict[str, Any]]]:
        """Mart → its rows of a person, of every mart that is published with rows of persons."""
        found = {}
        names = {one.stem for folder in (self._folder, self._identified) for one in folder.glob("*.parquet")}
        for path in (self._path(name) for name in sorted(names)):
            if "person" in pq.read_schema(path).names:
                found[path.stem] = self._rows(path.stem, "select * from mart where person = $1", person)
        return found

    def of(self, mart: str, people: Sequence[str]) -> list[dict[str, Any]]:
        """Rows of any mart with a column `person`, of people, by person."""
        return self._of(mart, people, "person")

    def _of(self, mart: str, people: Sequence[str], order: str) -> list[dict[str, Any]]:
        wanted = sorted(people)
        if not wanted:
            return []
        # The files are sorted by person: the bounds let DuckDB leave out what cannot hold any of them.
        sql = f"select * from mart where person between $1 and $2 and list_contains($3, person) order by {order}"  # noqa: S608
        return self._rows(mart, sql, wanted[0], wanted[-1], wanted)

    def _path(self, mart: str) -> Path:
        return (self._identified if mart in IDENTIFYING else self._folder) / f"{mart}.parquet"

    def _rows(self, mart: str, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        path = self._path(mart)
        if not path.exists():
            return []
        name = quoted(path)
        with self._connection.cursor() as cursor:
            cursor.execute("set TimeZone = 'UTC'")
            try:
                return dictionaries(cursor.execute(f"with mart as (from read_parquet('{name}')) {sql}", parameters))
            except (duckdb.IOException, duckdb.InvalidInputException) as error:
                raise StorageError(
                    f"{path} cannot be read: {error}"[:500], "Write it again: proficio publish."
                ) from error
