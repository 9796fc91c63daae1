"""The command line on people and frameworks: explain, gaps, next, framework."""

import json

import pytest

from tests.home import GOOD, Home


def test_levels_are_explained_and_held_against_roles(home: Home) -> None:
    lines = [
        json.dumps({**GOOD, "object": {"id": f"https://lms.example.org/data-literacy/intermediate/{n}"},
                    "result": {"success": n != 3}, "timestamp": f"2026-01-{n + 1:02d}T00:00:00Z"})
        for n in range(8)
    ] + [
        json.dumps({**GOOD, "actor": {"mbox": "mailto:alan@example.org"}, "result": {"success": False},
                    "object": {"id": f"https://lms.example.org/data-literacy/{level}/9"}})
        for level in ("beginner", "intermediate", "advanced")
    ]  # fmt: skip
    (home.folder / "people.csv").write_text("account,team\nada@example.org,Red\nalan@example.org,Red\n")
    toml = home.folder / "proficio.toml"
    toml.write_text(toml.read_text("utf-8").replace("[identity]", '[identity]\nattributes = "people.csv"'), "utf-8")
    home("ingest", "-", stdin="\n".join(lines).encode())
    home("land")
    home("estimate", "--daily")
    home("publish")
    told = json.loads(home("explain", "ada@example.org", "data-literacy", "--json"))
    assert sum(part["contribution"] for part in told["parts"]) == pytest.approx(told["ability_mean"], abs=1e-9)
    assert [part["component"] for part in told["parts"]].count("evidence") == 8
    better, worse = (
        next(one for one in told["changes"] if (one["pitched_level"], one["outcome"]) == (3, outcome))
        for outcome in (1, 0)
    )
    assert better["ability_mean"] > told["ability_mean"] > worse["ability_mean"]
    assert "Data literacy: Intermediate" in home("explain", "Ada")
    assert "There is no competency cooking" in home("explain", "Ada", "cooking", expect=4)
    gaps = [json.loads(line) for line in home("gaps", "ai-product-manager", "ada@example.org", "--json").splitlines()]
    assert len(gaps) == 7
    assert {one["status"] for one in gaps if one["competency"] != "data-literacy"} == {"insufficient evidence"}
    team = [json.loads(line) for line in home("gaps", "ai-product-manager", "--team", "Red", "--json").splitlines()]
    mine = next(one for one in team if one["competency"] == "data-literacy")
    assert (mine["people"], mine["risk"], len(mine["met_by"])) == (2, "one person", 1)
    assert "AI product manager" in home("framework", "roles")
    assert "There is no role chef" in home("gaps", "chef", expect=4)
    assert "There is no team Blue" in home("gaps", "ai-product-manager", "--team", "Blue", expect=4)
    steps = [
        json.loads(line) for line in home("next", "ada@example.org", "generative-ai-engineer", "--json").splitlines()
    ]
    failed = next(one for one in steps if one["activity_id"] == "https://lms.example.org/data-literacy/intermediate/3")
    assert "tried before without success" in failed["reason"]


def test_an_organisation_brings_its_own_framework(home: Home) -> None:
    assert "14 competencies" in home("framework", "check")
    assert "Ethics and bias" in home("framework", "show")
    assert "latent space" in home("framework", "show", "generative-models")
    assert "no competency cooking" in home("framework", "show", "cooking", expect=4)
    home("framework", "export", "out.json")
    home("framework", "export", "out.csv")
    home("framework", "export", "copied")
    assert "is valid" in home("framework", "check", "copied")
    home("framework", "import", "out.json", "--folder", "taken")
    assert "holds a framework already" in home("framework", "import", "out.csv", "--folder", "taken", expect=4)
    toml = home.folder / "proficio.toml"
    toml.write_text(toml.read_text("utf-8").replace("[estimate]", '[estimate]\nframework = "taken"'), "utf-8")
    home("framework", "export", "again.json")
    assert json.loads((home.folder / "again.json").read_text()) == json.loads((home.folder / "out.json").read_text())
    table = (home.folder / "out.csv").read_text("utf-8")
    (home.folder / "bad.csv").write_text(table.replace("indicator,,data-literacy", "indicator,,cooking"), "utf-8")
    told = home("framework", "import", "bad.csv", "--folder", "other", expect=4)
    assert "line 14: there is no competency 'cooking' above it" in told
    assert not (home.folder / "other").exists()
    for name, text, expected in (
        (
            "roles.yaml",
            "- {id: r, name: R, description: R, requires: {cooking: guru}}",
            "competency 'cooking' is not in the framework",
        ),
        (
            "roles.yaml",
            "- {id: r, name: R, description: R, requires: {data-literacy: guru}}",
            "level 'guru' is not in the framework",
        ),
        (
            "criteria.yaml",
            "- {id: c, name: C, description: C, competency: x, level: master, needs: {}}",
            "expected one of all, any, evidence",
        ),
        ("activity_types.yaml", "- {interaction_type: choice, guess: 2}", "less than or equal to 0.9"),
    ):
        (home.folder / "taken" / name).write_text(text)
        assert expected in home("framework", "check", "taken", expect=3, COLUMNS="300").replace("\n", " ")
        (home.folder / "taken" / name).write_text("[]")


def test_the_criteria_that_ship_as_examples_are_valid(home: Home) -> None:
    home("framework", "export", "copied")
    file = home.folder / "copied" / "criteria.yaml"
    text = file.read_text("utf-8")
    examples = text[text.index("# - id:") :].splitlines()
    file.write_text("\n".join(line.removeprefix("# ") for line in examples), "utf-8")
    assert json.loads(home("framework", "check", "copied", "--json"))["criteria"] == 2
