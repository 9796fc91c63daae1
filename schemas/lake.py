"""The Arrow schema of `lake/statements`: one row a statement, as landed. dbt staging reads nothing else."""

import pyarrow as pa

_TIME = pa.timestamp("us", tz="UTC")
_IRIS = pa.list_(pa.string())

STATEMENT_COLUMNS: dict[str, tuple[pa.DataType, str]] = {
    "topic": (pa.string(), "Topic that the record was read from."),
    "log_partition": (pa.int32(), "Partition of the topic."),
    "log_offset": (pa.int64(), "Offset in the partition; topic, partition and offset together name a row uniquely."),
    "received_at": (_TIME, "When the event log took the record."),
    "source": (pa.string(), "Which connector brought it, as its record header says."),
    "statement_id": (pa.string(), "The statement's id, lower case; made by uuid5 where the source gave none."),
    "occurred_at": (_TIME, "The statement's timestamp; received_at where it has none."),
    "actor_id": (pa.string(), "The actor's inverse functional identifier as one string; the record's key."),
    "actor_name": (pa.string(), "The actor's name."),
    "member_ids": (_IRIS, "Identifiers of the members, where the actor is a group; null for an agent."),
    "verb_id": (pa.string(), "IRI of the verb."),
    "object_type": (pa.string(), "Activity, Agent, Group, SubStatement or StatementRef."),
    "activity_id": (pa.string(), "IRI of the activity; null for other objects."),
    "activity_type": (pa.string(), "IRI of the activity's type."),
    "activity_name": (pa.string(), "Name of the activity: English where there is one, else the first given."),
    "activity_description": (pa.string(), "Description of the activity, chosen as its name is."),
    "interaction_type": (pa.string(), "Interaction type, for questions (cmi.interaction)."),
    "activity_extensions": (pa.string(), "Extensions of the activity's definition, as JSON."),
    "score_scaled": (pa.float64(), "Result score, -1 to 1."),
    "score_raw": (pa.float64(), "Result score as given."),
    "score_min": (pa.float64(), "Least possible raw score."),
    "score_max": (pa.float64(), "Greatest possible raw score."),
    "success": (pa.bool_(), "Whether the attempt succeeded."),
    "completion": (pa.bool_(), "Whether the activity was completed."),
    "response": (pa.string(), "The response given."),
    "duration": (pa.string(), "ISO 8601 duration of the experience."),
    "result_extensions": (pa.string(), "Extensions of the result, as JSON."),
    "registration": (pa.string(), "Registration (UUID) that the statement belongs to."),
    "platform": (pa.string(), "Platform that the context names."),
    "language": (pa.string(), "Language tag of the context."),
    "instructor_id": (pa.string(), "Identifier of the context's instructor."),
    "team_id": (pa.string(), "Identifier of the context's team."),
    "parent_ids": (_IRIS, "IRIs of the context's parent activities."),
    "grouping_ids": (_IRIS, "IRIs of the context's grouping activities."),
    "category_ids": (_IRIS, "IRIs of the context's category activities."),
    "context_extensions": (pa.string(), "Extensions of the context, as JSON."),
    "target_statement_id": (pa.string(), "Id of the statement that the object refers to."),
    "voids": (pa.bool_(), "Whether the statement voids its target (xAPI-Data 2.3.2)."),
    "authority_id": (pa.string(), "Identifier of the statement's authority."),
    "xapi_version": (pa.string(), "Data model that the statement was judged by: 1.0.3 or 2.0."),
    "repairs": (pa.list_(pa.string()), "Names of the repairs that mended the statement; empty for most."),
    "statement": (pa.string(), "The whole statement as JSON, after repairs, with its id."),
}

VERSION = 1  # of the columns; raise it with any change to them: `land` then writes older files anew

STATEMENTS = pa.schema(
    [
        pa.field(
            name,
            kind,
            nullable=name
            not in ("topic", "log_partition", "log_offset", "received_at", "statement_id", "occurred_at",
                    "actor_id", "verb_id", "statement"),
            metadata={"description": text},
        )
        for name, (kind, text) in STATEMENT_COLUMNS.items()
    ],
    metadata={"proficio.schema": "lake.statements", "proficio.version": str(VERSION)},
)  # fmt: skip
