"""What breaks silently is noticed within a day; what must not be published is not."""

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import pyarrow.parquet as pq
import pytest

from connectors import warehouse
from flows.daily import daily
from flows.estimate import estimate
from flows.land import land
from flows.opening import event_log
from flows.publish import publish
from flows.quality import quality
from flows.settings import Settings
from schemas.errors import QualityError
from schemas.records import STATEMENTS, Record
from tests.home import GOOD, Home

NOW = datetime.now(UTC).replace(hour=1, minute=0, second=0, microsecond=0)
DAYS, A_DAY = 36, 60
BROKEN = {
    "silent": "silent_to_usual",
    "fewer": "volume_to_usual",
    "renamed": "unaligned_rise",
    "rescaled": "score_stability",
}


def brought(source: str, days_ago: int, number: int) -> dict[str, Any] | None:
    """What a source brought at some hour of a day; on the last whole day each but `steady` breaks in its way."""
    last = days_ago == 1
    if (source == "silent" and days_ago <= 3) or (source == "fewer" and last and number % 10):
        return None
    place = "unknown" if source == "renamed" and last else "data-literacy/intermediate"
    score = 0.05 * (number % 20) / (10 if source == "rescaled" and last else 1)
    return {
        **GOOD, "actor": {"mbox": f"mailto:p{number % 20}@example.org"}, "result": {"score": {"scaled": score}},
        "object": {"id": f"https://lms.example.org/{place}/{number % 9}"},
        "timestamp": (NOW - timedelta(days=days_ago, minutes=24 * number)).isoformat(),
    }  # fmt: skip


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = Home(tmp_path_factory.mktemp("quality"))
    moments = []
    with event_log(home.settings) as log:
        for source in ("steady", *BROKEN):
            for days_ago in range(DAYS, -1, -1):
                for number in reversed(range(A_DAY)):
                    moment = NOW - timedelta(days=days_ago - 1, minutes=24 * number)
                    one = brought(source, days_ago, number)
                    if one and moment <= datetime.now(UTC):
                        record = Record(source, json.dumps({**one, "id": str(uuid4())}).encode(), {"source": source})
                        moments.append((record, moment))
        log.append(STATEMENTS, [record for record, _ in moments])
    stamp(home.settings, moments)
    with event_log(home.settings) as log:
        land(home.settings, log)
        estimate(home.settings, log=log)
        daily(home.settings, log=log)
    return home.settings


def stamp(settings: Settings, moments: list[tuple[Record, datetime]]) -> None:
    """Let the log have taken each record when it came."""
    times = {record.value: round(moment.timestamp() * 1000) for record, moment in moments}
    with sqlite3.connect(settings.home / "events.db") as connection:
        rows = [(times[value], row) for row, value in connection.execute("select id, value from records")]
        connection.executemany("update records set timestamp = ? where id = ?", rows)


def test_a_source_that_breaks_is_noticed_on_the_next_day(settings: Settings) -> None:
    found = quality(settings)
    by_source = {source: {one.split(": ")[1].split(" is ")[0] for one in found.warnings if one.startswith(f"{source}: ")}
                 for source in ("steady", *BROKEN)}  # fmt: skip
    assert by_source["steady"] == set()
    assert all(column in by_source[source] for source, column in BROKEN.items()), by_source
    assert by_source["renamed"] == {"unaligned_rise"} and by_source["fewer"] == {"volume_to_usual"}
    publish(settings)
    rows = pq.read_table(settings.published / "mart_data_quality.parquet").to_pylist()
    told = {row["source"]: row["findings"] for row in rows if row["findings"]}
    assert set(told) == set(BROKEN)
    assert "its connector may be broken" in told["silent"]
    assert "drift" in Path(found.docs).read_text()


def test_what_was_never_estimated_is_told(home: Home) -> None:
    assert "Nothing was estimated yet" in home("quality", expect=4)


def test_docs_name_nobody(settings: Settings) -> None:
    people = {row["person"] for row in warehouse.rows(settings.warehouse, "select distinct person from mart_levels")}
    assert people
    for path in (settings.home / "quality").rglob("*"):
        if path.is_file():
            text = path.read_bytes().decode(errors="replace")
            assert not [one for one in people if one in text]


def test_levels_that_cannot_be_are_not_published(settings: Settings) -> None:
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute(
            "update int_estimates set level = 7 where load_id = (select max(load_id) from int_estimates)"
        )
    with pytest.raises(QualityError, match=r"levels miss 1 critical .*in_set\(level\)"):
        quality(settings)
