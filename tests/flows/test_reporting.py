"""Reports: their figures are those of the marts, they need no network, and the PDF says what the page says."""

import json
import math
import re
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from lxml import html
from playwright.sync_api import Browser
from pypdf import PdfReader

from connectors import audit, pdf
from connectors.marts import Marts
from connectors.warehouse import parquet_rows
from flows.reading import one_person
from schemas.errors import UnavailableError
from tests.cohort import publish
from tests.home import Home
from transforms.coverage import expected
from transforms.languages import Language

WHO, ROLE = "learner0003@example.org", "responsible-ai-lead"


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("reports"))
    publish(home, people=24, days=200, seed=5)
    return home


@pytest.fixture
def marts(cohort: Home) -> Marts:
    return Marts(cohort.settings.published, cohort.settings.identified)


def percent(share: float) -> str:
    return Language("en").percent(share).replace("\xa0", " ")


def written(home: Home, *arguments: str) -> tuple[str, str]:
    """The text of the page, and of the PDF, of a report."""
    told = json.loads(home("report", *arguments, "--to", "out", "--json"))
    reader = PdfReader(home.folder / told["pdf"])
    assert reader.root_object["/MarkInfo"]["/Marked"]  # tagged, for those who do not see it
    return (home.folder / told["html"]).read_text("utf-8"), " ".join(page.extract_text() for page in reader.pages)


def tables(page: str) -> Iterator[tuple[str, list[list[str]]]]:
    """Each table of a page: the heading before it, its rows as texts of cells."""
    for table in html.fromstring(page).iter("table"):
        heading = table.xpath("preceding::*[self::h2 or self::h3][1]")[0].text_content()
        yield heading, [[" ".join(cell.text_content().split()) for cell in row] for row in table.xpath("tbody/tr")]


def test_a_persons_figures_are_those_of_the_marts(cohort: Home, marts: Marts) -> None:
    page, printed = written(cohort, WHO, "--role", ROLE)
    person = one_person(cohort.settings, WHO)
    levels = {row["competency_name"]: row for row in marts.levels([person])}
    shown = dict(tables(page))
    rows = {row[0]: row for row in shown["Levels"] if len(row) > 1}
    assert set(rows) == set(levels)
    for name, row in levels.items():
        known = not row["insufficient_evidence"]
        assert rows[name][1].removesuffix(" (old)") == (row["reported_level_name"] if known else "too little evidence")
        assert rows[name][4] == str(row["evidence_count"])
    gaps = {row["competency_name"]: row for row in marts.gaps(person) if row["role"] == ROLE}
    beside = {row[0]: row for row in shown["Beside the role Responsible AI lead"]}
    assert {name: row[3] for name, row in beside.items()} == {name: percent(row["p_met"]) for name, row in gaps.items()}
    for text in (row[3] for row in beside.values()):
        assert text in printed.replace("\xa0", " ")
    for heading, parts in tables(page):
        name = heading.split(":")[0]
        if parts and name in levels and re.match(r"[+−]", parts[0][0]):
            moved = sum(float(row[0].replace("−", "-")) for row in parts)
            assert moved == pytest.approx(levels[name]["ability_mean"], abs=0.05 * (len(parts) + 1))
    entry = audit.entries(cohort.settings.home / "audit.jsonl")[-1]
    assert (entry["action"], entry["kind"], entry["role"]) == ("report", "person", ROLE)
    assert WHO not in json.dumps(entry)
    assert person not in json.dumps(entry)


def test_changes_are_counted_from_the_day_that_is_given(cohort: Home, marts: Marts) -> None:
    page, _ = written(cohort, WHO, "--since", "2020-01-01")
    rows = next(rows for heading, rows in tables(page) if heading.startswith("Since"))
    assert {row[1] for row in rows} == {"no evidence"}
    levels = {row["competency_name"]: row for row in marts.levels([one_person(cohort.settings, WHO)])}
    assert {row[0]: row[5] for row in rows} == {
        name: str(row["evidence_count"]) for name, row in levels.items() if not row["insufficient_evidence"]
    }


def test_a_teams_plan_counts_who_is_short(cohort: Home) -> None:
    page, printed = written(cohort, "Sales", "--role", ROLE)
    members = parquet_rows(
        cohort.settings.published / "dim_person_attribute.parquet", "from mart where value = 'Sales'", []
    )
    people = [row["person"] for row in members]
    gaps = parquet_rows(
        cohort.settings.published / "mart_role_gaps.parquet",
        "select competency_name, required_level_name, sum(1 - p_met) as short, count(*) filter (status = 'met') as met from mart "
        "where role = $1 and list_contains($2, person) group by all", [ROLE, people],
    )  # fmt: skip
    shown = dict(tables(page))
    plan = {row[0]: row[1] for row in shown["Responsible AI lead: what to train first"]}
    short = {f"{row['competency_name']} to {row['required_level_name']}": row["short"] for row in gaps}
    assert set(plan) == {name for name, count in short.items() if count >= 0.5}
    assert [text.split(" ± ")[0] for text in plan.values()] == [
        f"{count:.1f}" for count in sorted((short[name] for name in plan), reverse=True)
    ]
    covered = {row[0]: row[2] for row in shown["Responsible AI lead: what the team has"]}
    assert covered == {row["competency_name"]: f"{row['met']} of {len(people)}" for row in gaps}
    assert len(shown["Everybody's levels"]) == len(people) == 6
    assert "what to train first" in printed


def test_a_role_orders_by_what_is_expected_and_says_who_is_alike(cohort: Home) -> None:
    page, _ = written(cohort, "Responsible AI lead", "--no-names")
    rows = dict(tables(page))["Who comes near"]
    gaps = parquet_rows(
        cohort.settings.published / "mart_role_gaps.parquet",
        "select person, sum(p_met) as met from mart where role = $1 group by person order by met desc, person limit 15", [ROLE],
    )  # fmt: skip
    assert [row[1] for row in rows] == [f"{row['person'][:8]}…" for row in gaps]
    assert [row[2].split(" ± ")[0] for row in rows] == [f"{row['met']:.1f}" for row in gaps]
    assert "cannot be told apart" in page
    assert "@example.org" not in page
    assert not re.search(r"Ada|Alan|Grace|learner", page)


def test_a_page_asks_nothing_of_the_network(cohort: Home, chromium: Browser) -> None:
    written(cohort, WHO)
    asked: list[str] = []
    with chromium.new_context(offline=True, viewport={"width": 1100, "height": 900}) as context:
        one = context.new_page()
        one.on("request", lambda request: asked.append(request.url))
        one.on("console", lambda message: pytest.fail(message.text))
        one.goto((cohort.folder / "out" / "report-learner0003-example-org.html").as_uri())
        assert one.get_by_role("heading", name="Levels", exact=True).is_visible()
        assert one.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nobody@example.org",), "is no person, team or role"),
        ((WHO, "--role", "astronaut"), "There is no role astronaut"),
        ((ROLE, "--team", "Nobody"), "There is no team Nobody"),
        (("Sales", "--as", "role"), "Sales is no role"),
    ],
)
def test_what_is_not_known_is_said(cohort: Home, arguments: tuple[str, ...], told: str) -> None:
    before = sorted(cohort.folder.rglob("*.html"))
    assert told in cohort("report", *arguments, "--to", "nowhere", expect=4)
    assert sorted(cohort.folder.rglob("*.html")) == before


def test_without_pango_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Missing:
        def find_spec(self, name: str, *_: Any) -> None:
            if name == "weasyprint":
                raise OSError("cannot load library 'libpango-1.0-0'")

    for name in [one for one in sys.modules if one.startswith("weasyprint")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("sys.meta_path", [Missing(), *sys.meta_path])
    with pytest.raises(UnavailableError, match="libpango"):
        pdf.write_pdf("<p>", tmp_path / "report.pdf")
    assert not list(tmp_path.iterdir())


def test_how_many_are_expected_to_meet_it_is_a_poisson_binomial() -> None:
    chances = [0.1, 0.5, 0.9]
    outcomes = list(product((0, 1), repeat=3))
    weights = [
        math.prod(chance if hit else 1 - chance for chance, hit in zip(chances, one, strict=True)) for one in outcomes
    ]
    mean = sum(weight * sum(one) for weight, one in zip(weights, outcomes, strict=True))
    variance = sum(weight * (sum(one) - mean) ** 2 for weight, one in zip(weights, outcomes, strict=True))
    assert expected(chances) == pytest.approx((mean, variance**0.5, 3))
