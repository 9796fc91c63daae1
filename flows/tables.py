"""Tables: rows of CSV, XLSX and Parquet files go into the event log as the statements that a mapping makes of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import orjson

from connectors.sources.tables import rows
from flows.dead_letters import record_of
from flows.opening import repairs
from flows.pull import Progress, Pulled, append
from flows.settings import Settings
from schemas.errors import InputError
from schemas.mapping import Mapping, parse_mapping
from schemas.records import REJECTED, STATEMENTS, Record
from schemas.xapi import Statement
from transforms.statements import RefusedStatement, Rejection, key_of, validate
from transforms.tables import columns, statement


@dataclass(frozen=True)
class Trial:
    """What a mapping makes of a table: how many statements, the first of them, rows left out, each row refused with why."""

    statements: int
    first: list[Statement]
    left_out: int
    refused: list[dict[str, str]]


def ingest_table(
    settings: Settings, path: Path, mapping_file: Path, source: str = "file", progress: Progress = lambda count: None
) -> Pulled:
    """Append the rows of a table as statements, as a mapping says; rows that it does not fit go to the dead letters."""
    mapped = _mapped(path, _mapping(mapping_file))
    return append(settings, source, (_judged(one, source) for one in mapped if one.statement or one.refusal), progress)


def _judged(one: "_Mapped", source: str) -> tuple[str, Record]:
    if one.refusal:
        return REJECTED, record_of(one.where, one.row, one.refusal, {"source": source})
    return STATEMENTS, Record(key_of(one.statement or {}), orjson.dumps(one.statement), {"source": source})


def try_table(settings: Settings, path: Path, mapping_file: Path, shown: int = 10) -> Trial:
    """What `ingest_table` would do, without doing it; statements are judged as when they are landed."""
    count, left_out = 0, 0
    first: list[Statement] = []
    refused: list[dict[str, str]] = []
    mended = repairs(settings)
    for one in _mapped(path, _mapping(mapping_file)):
        refusal = one.refusal
        if one.statement:
            try:
                validate(dict(one.statement), mended, settings.land.xapi_version)
            except RefusedStatement as refused_later:
                refusal = refused_later.rejection
        if refusal:
            refused.append({"row": one.where, "reason": f"{refusal.path}: {refusal.reason}"})
        elif one.statement:
            count += 1
            first += [one.statement] if len(first) < shown else []
        else:
            left_out += 1
    return Trial(count, first, left_out, refused)


class _Mapped(NamedTuple):
    """A row, and the statement that it is, or why it is none; neither for one that is left out."""

    where: str
    row: bytes
    statement: Statement | None
    refusal: Rejection | None


def _mapped(path: Path, mapping: Mapping) -> Iterator[_Mapped]:
    for number, (where, row) in enumerate(rows(path, mapping.delimiter, mapping.sheet)):
        missing = columns(mapping) - set(row)
        if number == 0 and missing:
            raise InputError(
                f"{path} has no column {', '.join(sorted(missing))}.",
                f"Its columns are: {', '.join(row)}. Mend the mapping.",
            )
        text = orjson.dumps(row)
        try:
            yield _Mapped(where, text, statement(row, mapping), None)
        except RefusedStatement as refused:
            yield _Mapped(where, text, None, refused.rejection)


def _mapping(path: Path) -> Mapping:
    try:
        return parse_mapping(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"The mapping {path} cannot be read: {error}", "Give a YAML file: docs/sources/files.md."
        ) from None
