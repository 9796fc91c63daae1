"""The pages of docs/reference, from the code: `make generated` writes them."""

import re
from pathlib import Path
from typing import Any

import typer
import yaml

from flows.cli import app
from flows.opening import topics
from flows.settings import Settings
from flows.settings_file import TEMPLATE
from schemas.lake import STATEMENT_COLUMNS
from schemas.records import LEVELS, REJECTED, STATEMENTS

ROOT = Path(__file__).parent.parent
_TOPICS = {
    STATEMENTS: ("identifier of the actor", "an xAPI statement, JSON", "`source`, `xapi-version`, `received-by`"),
    REJECTED: ("that of the record", "the record as it came", "why it was refused, by which clause, from which place"),
    LEVELS: ("person and competency", "a told level, JSON; a tombstone where a person was erased", "none"),
}


def pages() -> dict[str, str]:
    """Name of each page → its text."""
    return {
        "cli.md": _cli(),
        "settings.md": _settings(),
        "topics.md": _topics(),
        "lake.md": _lake(),
        "marts.md": _marts(),
    }


def _cli() -> str:
    command = typer.main.get_command(app)
    page = [
        "# The command line",
        "",
        "Generated from the commands' own help. `--json` prints JSON for programs, errors too;",
    ]
    page += ["`--config FILE` before the command names the settings."]
    return "\n".join([*page, *_commands(command, "proficio", typer.Context(command, info_name="proficio"))]) + "\n"


def _commands(command: Any, called: str, context: Any) -> list[str]:
    if hasattr(command, "list_commands"):
        page: list[str] = []
        for name in sorted(command.list_commands(context)):
            found = command.get_command(context, name)
            assert found
            page += _commands(found, f"{called} {name}", typer.Context(found, info_name=name, parent=context))
        return page
    page = ["", f"## {called}", ""]
    for paragraph in (command.help or "").split("\n\n"):
        text = " ".join(paragraph.split())
        if text.startswith("Example: "):
            page += ["```console", f"$ {text.removeprefix('Example: ')}", "```", ""]
        else:
            page += [text, ""]
    rows = [_parameter(one) for one in command.params if one.name != "help"]
    return [*page, "| argument or option | meaning |", "|---|---|", *rows] if rows else page[:-1]


def _parameter(one: Any) -> str:
    help_text = " ".join((getattr(one, "help", "") or "").split())
    names = " / ".join([*one.opts, *one.secondary_opts]) if one.param_type_name == "option" else str(one.name).upper()
    default = one.default
    shown = (
        f" Default: `{default}`."
        if isinstance(default, (int, float, str)) and not isinstance(default, bool) and default != ""
        else ""
    )
    return f"| `{names}` | {_cell(help_text)}{shown} |"


def _settings() -> str:
    text = TEMPLATE.rstrip("\n")
    return (
        "# Settings\n\nGenerated: `proficio.toml` as `proficio init` writes it, with every setting and its default. A variable of the\n"
        "environment stands over each: `PROFICIO_EVENT_LOG__KIND` is `event_log.kind`, `PROFICIO_HOME` is `home`. Relative paths are\n"
        f"relative to the file.\n\n```toml\n{text}\n```\n"
    )


def _topics() -> str:
    page = [
        "# Topics",
        "",
        "Generated from `schemas/records.py`. With SQLite they are tables of `events.db`, with the same offsets.",
        "",
    ]
    page += ["| topic | partitions | kept | key | value | headers |", "|---|---|---|---|---|---|"]
    for one in topics(Settings()):
        key, value, headers = _TOPICS[one.name]
        kept = "compacted" if one.compacted else "by time or size, as you set"
        page.append(f"| `{one.name}` | {one.partitions} | {kept} | {key} | {value} | {headers} |")
    return "\n".join(page) + "\n"


def _lake() -> str:
    page = [
        "# The lake",
        "",
        "Generated from `schemas/lake.py`: one row a statement, as Parquet, in `lake/statements/` of the data folder.",
        "",
    ]
    page += ["| column | type | meaning |", "|---|---|---|"]
    page += [f"| `{name}` | {kind} | {_cell(meaning)} |" for name, (kind, meaning) in STATEMENT_COLUMNS.items()]
    return "\n".join(page) + "\n"


def _marts() -> str:
    source = "dbt_project/models/marts"
    files = sorted((ROOT / source).glob("*.yml"), key=lambda path: (path.name.startswith("dim_"), path.name))
    models: list[dict[str, Any]] = [
        model for path in files for model in yaml.safe_load(path.read_text("utf-8"))["models"]
    ]
    page = ["# The marts", "", f"Generated from `{source}/*.yml`; times are UTC, abilities are logits."]
    for model in models:
        page += ["", f"## {model['name']}", "", " ".join(model["description"].split()), ""]
        page += ["| column | type | meaning |", "|---|---|---|"]
        page += [f"| `{one['name']}` | {one['data_type']} | {one['description']} |" for one in model["columns"]]
    return "\n".join(page) + "\n"


def _cell(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\|", text)
