"""Rows of tables in files: CSV, XLSX, Parquet; a row at a time."""

import csv
import zipfile
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import InputError

_MOST_BYTES = 2_000_000_000  # of a workbook, unpacked
_DELIMITERS = ",;\t|"

Placed = tuple[str, dict[str, str]]  # where the row stands, and its cells as text; empty for none


def rows(path: Path, delimiter: str | None = None, sheet: str | None = None) -> Iterator[Placed]:
    """The rows of a table whose first row names the columns. InputError for a file that cannot be read."""
    readers = {".csv": _csv, ".tsv": _csv, ".txt": _csv, ".xlsx": _xlsx, ".parquet": _parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(
            f"{path} is no table: its name ends in none of {', '.join(readers)}.", "Export it as one of them."
        )
    try:
        yield from reader(path, delimiter, sheet)
    except (
        OSError,
        csv.Error,
        UnicodeDecodeError,
        pa.ArrowInvalid,
        zipfile.BadZipFile,
        KeyError,
        SyntaxError,
    ) as error:
        raise InputError(f"{path} cannot be read as {path.suffix[1:].upper()}: {error}", "Export it again.") from error


def _csv(path: Path, delimiter: str | None, _: str | None) -> Iterator[Placed]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        if delimiter is None:
            header = file.readline()
            file.seek(0)
            delimiter = max(_DELIMITERS, key=header.count)
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        names = _names(next(reader, []), path)
        for cells in reader:
            where = f"{path.name}, line {reader.line_num}"
            if len(cells) > len(names):
                raise InputError(
                    f"{where}: {len(cells)} cells, but {len(names)} columns.", "Check the delimiter and the quotes."
                )
            if any(cells):
                yield where, _row(names, cells)


def _xlsx(path: Path, _: str | None, sheet: str | None) -> Iterator[Placed]:
    import openpyxl

    with zipfile.ZipFile(path) as packed:
        size = sum(one.file_size for one in packed.infolist())
    if size > _MOST_BYTES:
        raise InputError(f"{path} unpacks to {size:,} bytes; {_MOST_BYTES:,} is the most.", "Export it as CSV.")
    with closing(openpyxl.load_workbook(path, read_only=True, data_only=True)) as book:
        if sheet is not None and sheet not in book.sheetnames:
            raise InputError(f"{path} has no sheet {sheet!r}.", f"Sheets are: {', '.join(book.sheetnames)}.")
        lines = (book[sheet] if sheet else book.worksheets[0]).iter_rows(values_only=True)
        names = _names([_text(cell) for cell in next(lines, ())], path)
        for number, cells in enumerate(lines, 2):
            if any(cell is not None for cell in cells):
                yield f"{path.name}, row {number}", _row(names, [_text(cell) for cell in cells])


def _parquet(path: Path, _: str | None, __: str | None) -> Iterator[Placed]:
    number = 0
    with pq.ParquetFile(path) as file:
        names = _names(file.schema_arrow.names, path)
        for batch in file.iter_batches(10_000):
            for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                number += 1
                yield f"{path.name}, row {number}", dict(zip(names, map(_text, cells), strict=True))


def _names(cells: list[str], path: Path) -> list[str]:
    names = [cell.strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise InputError(f"{path} is empty: its first row should name the columns.", "Export it with a header.")
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise InputError(f"{path} has two columns {', '.join(sorted(twice))}.", "Give each column a name of its own.")
    return names


def _row(names: list[str], cells: list[str]) -> dict[str, str]:
    """The cells by their columns; a row that ends early is empty from there on."""
    return {name: cells[number] if number < len(cells) else "" for number, name in enumerate(names)}


def _text(cell: Any) -> str:
    """A cell as text: times as ISO 8601, whole numbers without a point."""
    if cell is None:
        return ""
    if isinstance(cell, datetime | date):
        return cell.isoformat()
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)
