"""Feedback: each changed level is told once, whatever is killed when."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from connectors.ledger import Ledger
from flows.feedback import Told, due, feedback
from flows.opening import event_log
from flows.publish import LIVE, publish
from schemas.errors import InputError
from schemas.records import LEVELS
from tests.graded import CALIBRATION, answered, voiding
from tests.home import GOOD, Home
from tests.pipeline import Pipeline


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return Pipeline.at(tmp_path_factory.mktemp("feedback"), CALIBRATION)


def take(pipeline: Pipeline, statements: list[dict[str, Any]]) -> None:
    pipeline.take(statements)
    publish(pipeline.settings, LIVE, database=False)


def told(pipeline: Pipeline) -> list[tuple[str, dict[str, Any] | None]]:
    """Every record of the topic, in the order of appending within a partition."""
    with event_log(pipeline.settings) as log:
        return [
            (str(record.key), orjson.loads(record.value) if record.value else None)
            for partition, offsets in log.offsets(LEVELS).items()
            for record in log.read(LEVELS, partition, *offsets)
        ]


def test_what_changed_is_told_once_and_what_is_gone_is_taken_back(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = [
        answered(n, person, "data-literacy", 2, 1, n)
        for person in range(3)
        for n in range(10 * person, 10 * person + 6)
    ]
    take(pipeline, pieces)
    assert len(due(pipeline.settings)) == 3
    assert told(pipeline) == []  # a dry run tells nothing
    with monkeypatch.context() as killed:  # between the record and the ledger
        killed.setattr(Ledger, "note", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            feedback(pipeline.settings)
    assert feedback(pipeline.settings) == Told(3, 0)
    assert feedback(pipeline.settings) == Told(0, 0)
    records = told(pipeline)
    assert len({key for key, _ in records}) == 3
    first = records[0][1]
    assert first
    assert first["level"] >= 2
    assert len(first["p_at_least"]) == 4
    assert first["competency"] == "data-literacy"
    take(pipeline, [answered(100 + n, 0, "data-literacy", 4, 1, 300 + n, activity=10 + n) for n in range(20)])
    [change] = due(pipeline.settings)
    assert change["reported_level"] > change["told_level"]
    assert feedback(pipeline.settings) == Told(1, 0)
    take(pipeline, [voiding(900 + n, one["id"]) for n, one in enumerate(pieces[-6:])])
    assert feedback(pipeline.settings) == Told(0, 1)
    newest = dict(told(pipeline))
    assert sum(value is None for value in newest.values()) == 1


def test_more_levels_than_fit_at_once_are_told_piece_by_piece(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.ledger._AT_ONCE", 3)
    take(
        pipeline,
        [
            answered(1000 + 10 * person + n, 50 + person, "programming-skills", 2, 1, n)
            for person in range(10)
            for n in range(6)
        ],
    )
    before = len(told(pipeline))
    expected = len(due(pipeline.settings))
    assert expected >= 10
    assert feedback(pipeline.settings).told == expected
    assert len(told(pipeline)) == before + expected


def test_it_is_a_command_and_says_what_is_missing(home: Home, tmp_path: Path) -> None:
    assert "Run proficio estimate" in home("feedback", expect=4)
    lines = [{**GOOD, "object": {"id": f"https://lms.example.org/data-literacy/intermediate/{n}"}} for n in range(6)]
    home("ingest", "-", stdin=b"\n".join(map(orjson.dumps, lines)))
    for step in ("land", "estimate", "publish"):
        home(step)
    assert "data-literacy" in home("feedback", "--dry-run")
    assert "1 levels were told, 0 taken back" in home("feedback")
    assert "Nothing is to be told" in home("feedback", "--dry-run")


def test_without_levels_there_is_nothing_to_tell(pipeline: Pipeline, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no published levels"):
        feedback(pipeline.settings.model_copy(update={"home": tmp_path}))
