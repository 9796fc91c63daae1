"""Tables become statements, as a mapping says."""

import json
from datetime import datetime
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from tests.home import Home

DOCS = Path(__file__).parents[2] / "docs" / "sources" / "files.md"
HEADER = "First name;Last name;E-mail;Status;Course id;Course;Points;Finished;Programme"
LINES = [
    'Ada;Lovelace;ada@example.org;Done;7;"Prompts; and more";87,5;02.03.2026 14:30;ai',
    "Alan;Turing;alan@example.org;Failed;7;Prompts;;03.03.2026 09:00;",
    "Grace;Hopper;grace@example.org;Enrolled;7;Prompts;;;ai",
    "No;Mail;;Done;7;Prompts;1;03.03.2026 09:00;ai",
    "Bad;Date;bad@example.org;Done;7;Prompts;1;2026-03-03;ai",
    "Bad;Points;bad@example.org;Done;7;Prompts;many;03.03.2026 09:00;ai",
    "Bad;Points;bad@example.org;Done;7;Prompts;8.7;03.03.2026 09:00;ai",
    "Bad;Status;bad@example.org;Perhaps;7;Prompts;1;03.03.2026 09:00;ai",
    "Bad;Score;bad@example.org;Done;7;Prompts;101;03.03.2026 09:00;ai",
]


@pytest.fixture
def mapped(home: Home) -> Home:
    """A home with the mapping that the documentation shows."""
    mapping = DOCS.read_text("utf-8").partition("```yaml\n")[2].partition("```")[0]
    (home.folder / "mapping.yaml").write_text(mapping, "utf-8")
    (home.folder / "grades.csv").write_text("\n".join([HEADER, *LINES]), "utf-8")
    return home


def test_a_dry_run_tells_and_takes_nothing(mapped: Home) -> None:
    told = json.loads(mapped("ingest", "grades.csv", "--mapping", "mapping.yaml", "--dry-run", "--json"))
    assert (told["statements"], told["left_out"], len(told["refused"])) == (2, 1, 6)
    first = told["first"][0]
    assert first["actor"] == {"objectType": "Agent", "name": "Ada Lovelace", "mbox": "mailto:ada@example.org"}
    assert first["object"]["definition"]["name"] == {"en": "Prompts; and more"}
    assert first["result"] == {"score": {"raw": 87.5, "max": 100}}
    assert first["timestamp"] == "2026-03-02T14:30:00+01:00"
    assert first["context"]["contextActivities"]["grouping"] == [{"id": "https://hr.example.org/programmes/ai"}]
    assert "result" not in told["first"][1]
    assert [one["row"] for one in told["refused"]] == [f"grades.csv, line {n}" for n in range(5, 11)]
    assert "grades.csv, line 8" in mapped("ingest", "grades.csv", "--mapping", "mapping.yaml", "--dry-run")
    mapped("land")
    assert mapped.rows() == []


def test_a_table_counts_once_and_refused_rows_are_dead_letters(mapped: Home) -> None:
    for _ in range(2):
        assert "5 pieces" in mapped("ingest", "grades.csv", "--mapping", "mapping.yaml", expect=4)
    (mapped.folder / "proficio.toml").write_text("[land]\nmax_reject_share = 1.0\n")
    mapped("land")
    assert len({row["statement_id"] for row in mapped.rows()}) == 2
    refused = [json.loads(line) for line in mapped("rejected", "--json").splitlines()]
    assert len(refused) >= 6
    assert any("Perhaps" in one["reason"] for one in refused)


def test_workbooks_and_parquet_say_the_same(mapped: Home) -> None:
    mapping = (mapped.folder / "mapping.yaml").read_text("utf-8")
    (mapped.folder / "typed.yaml").write_text(
        mapping.replace('time_format: "%d.%m.%Y %H:%M"', "").replace('","', '"."'), "utf-8"
    )
    columns = HEADER.split(";")
    cells = [
        "Ada",
        "Lovelace",
        "ada@example.org",
        "Done",
        7,
        "Prompts; and more",
        87.5,
        datetime(2026, 3, 2, 14, 30),
        "ai",
    ]
    book = openpyxl.Workbook()
    book.active.append(columns)
    book.active.append(cells)
    book.save(mapped.folder / "grades.xlsx")
    pd.DataFrame([cells], columns=columns).to_parquet(mapped.folder / "grades.parquet")
    found = [
        json.loads(mapped("ingest", name, "--mapping", mapping, "--dry-run", "--json"))["first"][0]
        for name, mapping in (
            ("grades.csv", "mapping.yaml"),
            ("grades.xlsx", "typed.yaml"),
            ("grades.parquet", "typed.yaml"),
        )
    ]
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", "", "is empty"), ("a.csv", "x,y\n1,2\n", "has no column"), ("a.csv", "x,x\n", "two columns"),
        ("a.csv", HEADER + "\n" + ";" * 20 + "\n", "21 cells"), ("a.csv", b"\xff\xfe", "cannot be read"),
        ("a.xlsx", "no workbook", "cannot be read"), ("a.parquet", "no parquet", "cannot be read"), ("a.pdf", "", "is no table"),
        ("missing.csv", None, "cannot be read"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_read_is_told(mapped: Home, name: str, content: str | bytes | None, told: str) -> None:
    if content is not None:
        (mapped.folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert told in mapped("ingest", name, "--mapping", "mapping.yaml", expect=4)


def test_a_wrong_mapping_is_told(mapped: Home) -> None:
    (mapped.folder / "wrong.yaml").write_text("actor: {mail: x}\nverb: v\ntime_zone: Moon/Sea\nnonsense: 1\n")
    told = mapped("ingest", "grades.csv", "--mapping", "wrong.yaml", expect=3)
    for place in ("activity", "timestamp", "Moon/Sea", "nonsense"):
        assert place in told
    assert "--mapping" in mapped("ingest", "grades.csv", "--dry-run", expect=4)
