"""Frameworks as CASE packages and as tables: the round trip is exact, mistakes are named with their place."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.opening import definitions
from flows.settings import Settings
from schemas.errors import InputError
from schemas.framework import Application, Competency, Framework, Group, Item, Level, Tool
from transforms.framework_case import from_case, identifiers, to_case
from transforms.framework_csv import from_csv, to_csv

SHIPPED = definitions(Settings()).framework
CHANGED = "2026-01-01T00:00:00+00:00"
TEXT = st.text(st.characters(exclude_categories=["C"], exclude_characters="\r\n"), min_size=1, max_size=20)


@st.composite
def frameworks(draw: st.DrawFn) -> Framework:
    def item(kind: str, number: int) -> dict[str, Any]:
        return {"id": f"{kind}-{number}", "name": draw(TEXT), "description": draw(TEXT)}

    cuts = sorted(draw(st.sets(st.floats(-4, 4), min_size=4, max_size=4)))
    levels = [Level(**item("l", n), cut=cut) for n, cut in enumerate(cuts)]
    competencies = [
        Competency(
            **item("c", n), indicators=draw(st.lists(TEXT, max_size=2)), formerly=[f"old-{n}"] * draw(st.integers(0, 1)),
            retired=draw(st.booleans()), levels={one.id: draw(TEXT) for one in levels} if draw(st.booleans()) else {},
        )
        for n in range(draw(st.integers(1, 4)))
    ]  # fmt: skip
    cut = draw(st.integers(1, len(competencies)))
    parts = [part for part in (competencies[:cut], competencies[cut:]) if part]
    return Framework(
        id="own", version=draw(st.sampled_from(["1", "2.0-draft"])), title=draw(TEXT), purpose=draw(st.lists(TEXT, max_size=2)),
        levels=levels, groups=[Group(**item("g", n), competencies=part) for n, part in enumerate(parts)],
        applications=[Application(**item("a", 0), examples=draw(st.lists(TEXT, max_size=2)))],
        tools=[Tool(**item("t", 0), kind="cloud")], continuous_learning=[Item(**item("k", 0))],
    )  # fmt: skip


@given(frameworks())
def test_what_goes_out_comes_back_equal(framework: Framework) -> None:
    assert from_csv(to_csv(framework), "table") == framework
    assert from_case(to_case(framework, CHANGED), "package", SHIPPED) == framework


def test_the_shipped_framework_goes_round_and_keeps_its_identifiers() -> None:
    package = to_case(SHIPPED, CHANGED)
    assert from_case(package, "package", SHIPPED) == SHIPPED
    assert len({item["identifier"] for item in package["CFItems"]}) == len(package["CFItems"])
    foreign = copy.deepcopy(package)
    foreign["CFItems"][1]["identifier"] = "11111111-1111-4111-8111-111111111111"
    again = to_case(SHIPPED, CHANGED, identifiers(foreign))
    assert again["CFItems"][1]["identifier"] == "11111111-1111-4111-8111-111111111111"


def foreign(*pairs: tuple[str, str | None]) -> dict[str, Any]:
    """A package as another tool may write one: statements under statements, no types, no rubrics."""

    def uri(key: str | None) -> dict[str, str]:
        return {"identifier": key or "doc", "title": key or "doc", "uri": f"https://example.org/{key}"}

    return {
        "CFDocument": {"identifier": "doc", "title": "Nursing", "uri": "https://example.org/doc"},
        "CFItems": [{"identifier": key, "fullStatement": f"Can do {key}"} for key in dict(pairs)],
        "CFAssociations": [{"identifier": f"a{key}", "associationType": "isChildOf", "originNodeURI": uri(key),
                            "destinationNodeURI": uri(over)} for key, over in pairs],
    }  # fmt: skip


def test_a_foreign_package_becomes_groups_and_competencies() -> None:
    found = from_case(foreign(("top", None), ("mid", "top"), ("b", "mid"), ("a", "mid"), ("alone", None)), "p", SHIPPED)
    assert [(group.id, [one.id for one in group.competencies]) for group in found.groups] == [
        ("top", ["b", "a"]),
        ("other", ["alone"]),
    ]
    assert [level.cut for level in found.levels] == [level.cut for level in SHIPPED.levels]


@pytest.mark.parametrize(
    ("package", "told"),
    [
        ([], "expected an object with CFDocument"),
        ({"CFDocument": {}, "CFItems": [{}], "CFAssociations": 3}, "CFItems.0: identifier, fullStatement is missing"),
        (foreign(("a", "b"), ("b", "c"), ("c", "a")), "a isChildOf b isChildOf c isChildOf a"),
        (foreign(("a", "gone")), "there is no CFItem gone"),
        (foreign(("A", None), ("a", None)), "competency ids must be unique; a stands twice"),
    ],
)  # fmt: skip
def test_what_is_no_framework_is_refused_with_its_place(package: Any, told: str) -> None:
    with pytest.raises(InputError, match="(?s)" + told.replace(".", r"\.")):
        from_case(package, "p.json", SHIPPED)


def test_lines_of_a_table_that_are_wrong_are_named() -> None:
    lines = to_csv(SHIPPED).splitlines()
    with pytest.raises(InputError, match="expected the columns"):
        from_csv("a,b\n", "t.csv")
    broken = [*lines[:4], "level,x,,X,y,high", "colour,,,,,", "indicator,,nothing,,t,", "too,few", *lines[4:]]
    with pytest.raises(InputError) as told:
        from_csv("\n".join(broken), "t.csv")
    for part in ("found 'high'", "no kind 'colour'", "no competency 'nothing'", "expected 6 cells; found 2"):
        assert part in str(told.value)
