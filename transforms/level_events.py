"""A level that changed as an event for other systems: CloudEvents 1.0 (https://github.com/cloudevents/spec), JSON format."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid5

import orjson

from transforms.level_records import level_record
from transforms.statements import NAMESPACE

SOURCE = "https://w3id.org/proficio"
CHANGED, WITHDRAWN = "org.w3id.proficio.level.changed", "org.w3id.proficio.level.withdrawn"


def level_event(change: Mapping[str, Any], sink: str) -> tuple[str, bytes]:
    """The id and the JSON of an event. The same change of level has the same id, whenever it is told to a sink.

    `data` is the record of competency.levels with `told_level`, what the sink was told before (None: nothing).
    """
    record = level_record(change)
    marks = (
        sink,
        record.key,
        change["told_level"],
        change["reported_level"],
        change["evidence_count"],
        change["last_evidence_at"],
    )
    event_id = str(uuid5(NAMESPACE, "\n".join(map(str, marks))))
    known = (
        orjson.loads(record.value) if record.value else {"person": change["person"], "competency": change["competency"]}
    )
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": SOURCE,
        "type": CHANGED if record.value else WITHDRAWN,
        "subject": record.key,
        "datacontenttype": "application/json",
        "data": {**known, "told_level": change["told_level"]},
    }
    return event_id, orjson.dumps(event)
