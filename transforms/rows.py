"""From valid statements to rows of `lake/statements`: one projection, in SQL over the statements' JSON."""

import json
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from schemas.lake import STATEMENTS
from schemas.xapi import VOIDED, parse_timestamp
from transforms.statements import Judged

_ACTOR = {
    "mbox": "VARCHAR",
    "mbox_sha1sum": "VARCHAR",
    "openid": "VARCHAR",
    "account": {"homePage": "VARCHAR", "name": "VARCHAR"},
}
_SHAPE: dict[str, Any] = {
    "actor": {"objectType": "VARCHAR", "name": "VARCHAR", "member": [_ACTOR]},
    "verb": {"id": "VARCHAR"},
    "object": {
        "objectType": "VARCHAR",
        "id": "VARCHAR",
        "definition": {
            "type": "VARCHAR",
            "name": "JSON",
            "description": "JSON",
            "interactionType": "VARCHAR",
            "extensions": "JSON",
        },
    },
    "result": {
        "score": {"scaled": "DOUBLE", "raw": "DOUBLE", "min": "DOUBLE", "max": "DOUBLE"},
        "success": "BOOLEAN",
        "completion": "BOOLEAN",
        "response": "VARCHAR",
        "duration": "VARCHAR",
        "extensions": "JSON",
    },
    "context": {
        "registration": "VARCHAR",
        "platform": "VARCHAR",
        "language": "VARCHAR",
        "instructor": _ACTOR,
        "team": _ACTOR,
        "contextActivities": {"parent": "JSON", "grouping": "JSON", "category": "JSON"},
        "extensions": "JSON",
    },
    "authority": _ACTOR,
}


def _identifier(actor: str) -> str:
    return (
        f"coalesce({actor}.account.homePage || '|' || {actor}.account.name, lower({actor}.mbox), "
        f"'sha1:' || lower({actor}.mbox_sha1sum), {actor}.openid)"
    )


def _words(language_map: str) -> str:
    return (
        f"coalesce(json_extract_string({language_map}, '$.en'), json_extract_string({language_map}, '$.en-US'), "
        f"json_extract_string({language_map}, '$.*')[1])"
    )


def _ids(activities: str) -> str:
    return (
        f"case when {activities} is null then [] when json_type({activities}) = 'ARRAY' "
        f"then json_extract_string({activities}, '$[*].id') else [json_extract_string({activities}, '$.id')] end"
    )


# One expression for each column that is read from the JSON; the others come from judging the record.
_EXPRESSIONS = {
    "actor_name": "s.actor.name",
    "member_ids": f"case when s.actor.objectType = 'Group' then coalesce("
    f"list_transform(s.actor.member, lambda member: {_identifier('member')}), []) end",
    "verb_id": "s.verb.id",
    "object_type": "coalesce(s.object.objectType, 'Activity')",
    "activity_id": "case when s.object.objectType is null or s.object.objectType = 'Activity' then s.object.id end",
    "activity_type": "s.object.definition.type",
    "activity_name": _words("s.object.definition.name"),
    "activity_description": _words("s.object.definition.description"),
    "interaction_type": "s.object.definition.interactionType",
    "activity_extensions": "s.object.definition.extensions",
    "score_scaled": "s.result.score.scaled",
    "score_raw": "s.result.score.raw",
    "score_min": "s.result.score.min",
    "score_max": "s.result.score.max",
    "success": "s.result.success",
    "completion": "s.result.completion",
    "response": "s.result.response",
    "duration": "s.result.duration",
    "result_extensions": "s.result.extensions",
    "registration": "s.context.registration",
    "platform": "s.context.platform",
    "language": "s.context.language",
    "instructor_id": _identifier("s.context.instructor"),
    "team_id": _identifier("s.context.team"),
    "parent_ids": _ids("s.context.contextActivities.parent"),
    "grouping_ids": _ids("s.context.contextActivities.grouping"),
    "category_ids": _ids("s.context.contextActivities.category"),
    "context_extensions": "s.context.extensions",
    "target_statement_id": "case when s.object.objectType = 'StatementRef' then lower(s.object.id) end",
    "voids": f"s.verb.id = '{VOIDED}'",
    "authority_id": _identifier("s.authority"),
}
_PROJECTION = (
    f"with shaped as (select *, json_transform(statement, '{json.dumps(_SHAPE)}') as s from judged) select "  # noqa: S608 - constants
    + ", ".join(f"{_EXPRESSIONS.get(name, name)} as {name}" for name in STATEMENTS.names)
    + " from shaped"
)
_JUDGED = pa.schema(
    [
        STATEMENTS.field(name).remove_metadata()
        for name in ("topic", "log_partition", "log_offset", "received_at", "source", "statement_id", "occurred_at", "actor_id",
                     "xapi_version", "repairs", "statement")
    ]
)  # fmt: skip


def to_table(judged: list[Judged]) -> pa.Table:
    """An Arrow table of `schemas.lake.STATEMENTS`, a row a statement, in the order given.

    A statement without a timestamp occurred when it was received (xAPI-Data 2.4.7: the LRS sets it to `stored`).
    """
    columns: list[Any] = list(zip(*judged, strict=True)) or [()] * len(_JUDGED)
    arrays: dict[str, pa.Array] = {}
    for field, values in zip(_JUDGED, columns, strict=True):
        if field.name == "occurred_at":
            arrays[field.name] = pc.coalesce(_instants(values), arrays["received_at"])
        elif field.name == "statement":
            arrays[field.name] = pa.array(values, pa.binary()).cast(pa.string())
        else:
            arrays[field.name] = pa.array(values, field.type)
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("judged", pa.Table.from_pydict(arrays))
        projected = connection.sql(_PROJECTION).to_arrow_table()
    return projected.cast(STATEMENTS)


def _instants(texts: tuple[str | None, ...]) -> pa.Array:
    kind = STATEMENTS.field("occurred_at").type
    try:
        return pa.array(texts, pa.string()).cast(kind)
    except pa.ArrowInvalid:  # digits beyond microseconds, or another spelling that ISO 8601 allows
        return pa.array([parse_timestamp(text) if text else None for text in texts], kind)
