"""A Git commit as an xAPI statement."""

from dataclasses import replace
from datetime import UTC, datetime

import orjson
import tincan

from schemas import xapi
from transforms.commits import FEATURES, Commit, FileChange, features, statement, statements

COMMIT = Commit(
    repository="https://git.example.org/team/app",
    sha="a" * 40,
    parents=("b" * 40,),
    author_name="Ada",
    author_email="ada@example.org",
    authored_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    message="Train the model\n\nWith a longer schedule.\n\nCo-authored-by: Alan <alan@example.org>",
    files=(FileChange("src/train.py", 10, 2), FileChange("tests/test_train.py", 5, 0), FileChange("docs/a.md", 1, 0)),
    tags=("v1",),
)


def test_tincan_reads_back_what_we_made() -> None:
    made = statement(COMMIT)
    assert xapi.violations(made) == []
    parsed = tincan.Statement.from_json(orjson.dumps(made).decode())
    assert parsed.as_version() == made
    assert parsed.actor.mbox == "mailto:ada@example.org"


def test_a_commit_is_one_statement_however_often_it_is_read() -> None:
    assert statement(COMMIT) == statement(COMMIT)
    assert statement(COMMIT)["id"] != statement(replace(COMMIT, repository="https://other.example.org"))["id"]


def test_features_tell_what_was_worked_on() -> None:
    assert features(COMMIT) == ["kind:coauthored", "kind:code", "kind:docs", "kind:test", "language:Python"]
    assert statement(COMMIT)["context"]["extensions"][FEATURES] == features(COMMIT)
    notebook = replace(COMMIT, message="x", files=(FileChange("a.ipynb", 1, 1), FileChange("Dockerfile", 1, 0)))
    assert features(notebook) == ["kind:infrastructure", "kind:notebook"]


def test_merges_and_mere_renames_show_no_work() -> None:
    assert features(replace(COMMIT, parents=("b" * 40, "c" * 40))) == ["kind:merge"]
    moved = replace(COMMIT, message="Move", files=(FileChange("src/new.py", 0, 0, "src/old.py"),))
    assert features(moved) == []


def test_a_revert_names_what_it_reverts() -> None:
    revert = replace(COMMIT, message=f'Revert "x"\n\nThis reverts commit {"d" * 40}.')
    assert "kind:revert" in features(revert)
    reverts = statement(revert)["context"]["extensions"]["https://w3id.org/proficio/extensions/reverts"]
    assert reverts == f"{COMMIT.repository}/commit/{'d' * 40}"


def test_an_author_without_a_mail_address_has_an_account() -> None:
    made = statement(replace(COMMIT, author_email="root@"))
    assert made["actor"]["account"] == {"homePage": COMMIT.repository, "name": "root@"}
    assert xapi.violations(made) == []


def test_a_commit_is_told_of_its_co_authors_too() -> None:
    message = (
        "Pair\n\nCo-authored-by: Grace <grace@example.org>\nco-authored-by: octo <7+octo@users.noreply.github.com>\n"
        "Co-authored-by: Grace again <GRACE@example.org>\nCo-authored-by: no address\n"
    )
    made = statements(replace(COMMIT, message=message))
    assert [one["actor"]["name"] for one in made] == [COMMIT.author_name, "Grace", "octo"]
    assert made[2]["actor"]["account"] == {"homePage": "https://github.com", "name": "octo"}
    assert len({one["id"] for one in made}) == 3
    assert {one["object"]["id"] for one in made} == {made[0]["object"]["id"]}
    alone = replace(COMMIT, message=f"Own\n\nCo-authored-by: Me <{COMMIT.author_email}>")
    assert len(statements(alone)) == 1
