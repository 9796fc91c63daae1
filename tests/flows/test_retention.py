"""Retention by source: what was kept long enough is nowhere any more, and levels are made of the rest."""

import json
from datetime import UTC, datetime, timedelta

import orjson

from connectors.event_log.sqlite import SqliteEventLog
from flows.opening import event_log, lake_of
from flows.retention import expire
from flows.settings import RetentionSettings, Settings
from schemas.records import STATEMENTS, Record
from tests.home import GOOD, Home
from transforms.statements import key_of


def test_statements_go_by_the_rule_of_their_source(home: Home) -> None:
    days = {"moodle": 30, "*": 400}
    settings: Settings = home.settings.model_copy(update={"retention": RetentionSettings(days=days)})
    with event_log(settings) as log:
        for source in ("moodle", "git"):
            for number in range(3):
                one = {**GOOD, "id": f"00000000-0000-4000-8000-{len(source):06x}{number:06x}"}
                log.append(STATEMENTS, [Record(key_of(one), orjson.dumps(one), {"source": source})])
    for step in ("land", "estimate", "publish"):
        home(step)
    assert expire(settings).statements == 0  # nothing is as old
    moment = datetime.now(UTC)
    assert expire(settings, now=moment + timedelta(days=20)).statements == 0
    assert expire(settings, now=moment + timedelta(days=70)).statements == 3
    assert {row["source"] for row in home.rows()} == {"git"}
    with event_log(settings) as log:
        assert isinstance(log, SqliteEventLog)
        kept = [
            record
            for partition, at in log.offsets(STATEMENTS).items()
            for record in log.read(STATEMENTS, partition, *at)
        ]
    assert [record.headers["source"] for record in kept] == ["git"] * 3
    levels = [json.loads(line) for line in home("levels", "ada@example.org", "--json").splitlines()]
    assert sum(row["evidence_count"] for row in levels) == 3
    assert "1 entries, unaltered" in home("audit", "verify")
    assert expire(settings, now=moment + timedelta(days=500)).statements == 3
    assert home.rows() == []
    assert len(lake_of(settings).published()) > 0  # the names go on saying what was landed
    assert "0 statements landed" in home("land")
