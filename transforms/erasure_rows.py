"""Taking a person out of rows of the lake."""

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from schemas.xapi import Statement
from transforms.rows import to_table
from transforms.statements import Judged, actor_id

_BY_ACCOUNT = ("actor_id", "instructor_id", "team_id", "authority_id")
_OBJECTS = pa.array(["Agent", "Group", "SubStatement"])
_HOLDS_AGENTS = '"contextAgents"|"contextGroups"'


class Left(NamedTuple):
    """What is left of rows of `schemas.lake.STATEMENTS`, in order; the rows that went, and those that changed, as they were."""

    table: pa.Table
    gone: list[dict[str, Any]]
    changed: list[dict[str, Any]]


def left_of(rows: pa.Table, suspects: pa.BooleanArray, without: Callable[[Statement], Statement | None]) -> Left:
    """Apply `without` to the statements of the rows that are suspects. It says None of what is to go."""
    gone: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    written: list[Judged] = []
    touched: set[int] = set()
    for position in pc.indices_nonzero(suspects).to_pylist():
        row = rows.slice(position, 1).to_pylist()[0]
        before = orjson.loads(row["statement"])
        after = without(before)
        if after is before:
            continue
        touched.add(position)
        if after is None:
            gone.append(row)
        else:
            changed.append(row)
            written.append(_judged(row, after))
    if not touched:
        return Left(rows, [], [])
    table = rows.filter(pa.array([position not in touched for position in range(rows.num_rows)]))
    if written:
        table = pa.concat_tables([table, to_table(written)])
        table = table.sort_by([("log_partition", "ascending"), ("log_offset", "ascending")])
    return Left(table, gone, changed)


def matching(rows: pa.Table, pattern: re.Pattern[str]) -> pa.BooleanArray:
    """Rows whose statement's JSON a pattern finds something in."""
    return pc.match_substring_regex(rows["statement"], pattern.pattern, ignore_case=True)


def naming(rows: pa.Table, theirs: Callable[[str], bool]) -> pa.BooleanArray:
    """Rows that name an account that is `theirs`, and those whose statement holds agents that no column names."""
    found = pc.or_(
        pc.is_valid(rows["member_ids"]), pc.fill_null(pc.is_in(rows["object_type"], value_set=_OBJECTS), False)
    )
    found = pc.or_(found, pc.match_substring_regex(rows["statement"], _HOLDS_AGENTS))
    for column in _BY_ACCOUNT:
        found = pc.or_(found, _one_of(rows[column], theirs))
    return found


def _one_of(column: pa.ChunkedArray, theirs: Callable[[str], bool]) -> pa.ChunkedArray:
    accounts = [one for one in pc.unique(column).to_pylist() if one is not None and theirs(one)]
    return pc.fill_null(pc.is_in(column, value_set=pa.array(accounts, column.type)), False)


def _judged(row: dict[str, Any], statement: Statement) -> Judged:
    """A row as `transforms.statements.judge` would have it, with another statement."""
    return (
        row["topic"], row["log_partition"], row["log_offset"], round(row["received_at"].timestamp() * 1_000_000),
        row["source"], row["statement_id"], statement.get("timestamp"), actor_id(statement["actor"]), row["xapi_version"],
        row["repairs"] or [], orjson.dumps(statement),
    )  # fmt: skip


def suspicious(accounts: Iterable[str], words: re.Pattern[str]) -> re.Pattern[str]:
    """Finds JSON in which one of the accounts may stand: by its words, or its bare name as a JSON string."""
    names = {orjson.dumps(account.partition("|")[2]).decode() for account in accounts if "|" in account}
    parts = [re.escape(f'"name":{name}') for name in sorted(names)]
    return re.compile("|".join([*parts, words.pattern]), re.IGNORECASE)
