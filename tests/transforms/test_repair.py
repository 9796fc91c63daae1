"""Named repairs on what real LMSs emit."""

from importlib.resources import files
from typing import Any

import orjson
import pytest

from schemas.errors import SettingsError
from schemas.records import StoredRecord
from schemas.repairs import parse_repairs
from transforms.statements import RefusedStatement, judge

TEXT = files("schemas").joinpath("repairs.yaml").read_text("utf-8")
BROKEN = [107, 108, 116, 117, 118, 119, 120, 121]


def record(statement: dict[str, Any]) -> StoredRecord:
    return StoredRecord("xapi.statements", 0, 0, 0, None, orjson.dumps(statement), {"source": "openedx"})


def test_all_real_statements_land_and_only_broken_ones_are_mended(real_statements: list[dict[str, Any]]) -> None:
    repairs = parse_repairs(TEXT)
    mended = {number: judge(record(one), repairs)[9] for number, one in enumerate(real_statements)}
    assert len(mended) == 125
    assert [number for number, names in mended.items() if names] == BROKEN
    assert mended[107] == ["openedx-attempt-id"]
    assert mended[118] == ["openedx-group-activity"]


def test_repairs_can_be_switched_off(real_statements: list[dict[str, Any]]) -> None:
    refused = []
    for number, one in enumerate(real_statements):
        try:
            judge(record(one), parse_repairs(TEXT, frozenset({"*"})))
        except RefusedStatement:
            refused.append(number)
    assert refused == BROKEN
    with pytest.raises(RefusedStatement):
        judge(record(real_statements[107]), parse_repairs(TEXT, frozenset({"openedx-attempt-id"})))
    with pytest.raises(SettingsError, match="no-such-repair"):
        parse_repairs(TEXT, frozenset({"no-such-repair"}))


def test_the_deviation_of_one_source_is_not_forgiven_to_another(real_statements: list[dict[str, Any]]) -> None:
    statement = real_statements[118]
    stranger = {**statement, "context": {**statement["context"], "extensions": {}}}
    with pytest.raises(RefusedStatement):
        judge(record(stranger), parse_repairs(TEXT))
