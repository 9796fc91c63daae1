"""How commands speak: tables and progress bars on a terminal, JSON where asked, errors without tracebacks."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from schemas.errors import ProficioError


def console() -> Console:
    """Standard output; no colours and wide lines into a pipe."""
    return Console() if sys.stdout.isatty() else Console(width=200, soft_wrap=True)


def say(result: dict[str, Any], as_json: bool, sentence: str) -> None:
    """One result: as JSON where asked, else as a sentence."""
    if as_json:
        print(json.dumps(result, default=_plain))
    else:
        console().print(sentence, highlight=False)


def say_rows(rows: Sequence[dict[str, Any]], as_json: bool, columns: dict[str, str], empty: str) -> None:
    """Rows: one JSON object a line where asked, else a table with the columns given (key → heading)."""
    if as_json:
        for row in rows:
            print(json.dumps(row, default=_plain, ensure_ascii=False))
        return
    if not rows:
        console().print(empty, highlight=False)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in columns.values():
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(key)) for key in columns))
    console().print(table)


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error where that is a terminal, nothing in a pipe; yields the function to advance it."""
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    columns = (SpinnerColumn(), TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)


def tell(text: str) -> None:
    """A line on how far a long command is, on standard error where that is a terminal."""
    if sys.stderr.isatty():
        Console(stderr=True).print(text, style="dim", highlight=False)


def complain(error: ProficioError, as_json: bool) -> None:
    """An expected error on standard error: what is wrong, and how to mend it."""
    if as_json:
        print(json.dumps({"error": str(error), "hint": error.hint, "exit_code": error.exit_code}), file=sys.stderr)
        return
    err = Console(stderr=True, soft_wrap=True)
    err.print(f"[bold red]Error:[/] {_escaped(str(error))}", highlight=False)
    if error.hint:
        err.print(f"[bold]Hint:[/]  {_escaped(error.hint)}", highlight=False)


def _escaped(text: str) -> str:
    return text.replace("[", "\\[")


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    return _escaped(str(value))


def _plain(value: Any) -> Any:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    return str(value)
