"""Taking rows out of the lake, and the records that they came from out of the event log."""

from collections.abc import Callable
from datetime import date
from typing import NamedTuple

import pyarrow as pa

from connectors import lake
from connectors.event_log import EventLog
from flows.late import records_of
from flows.opening import lake_of
from flows.settings import Settings
from schemas.records import STATEMENTS, StoredRecord
from transforms.erasure_rows import Left


class Taken(NamedTuple):
    """How many statements went, and how many changed."""

    gone: int = 0
    changed: int = 0


def take_out(
    settings: Settings, log: EventLog, left_in: Callable[[pa.Table], Left], before: date | None = None
) -> Taken:
    """Write each file anew in which `left_in` finds rows that are to go or change; of all days, or those `before` one.

    The log is cleared first and at once: killed in between, the lake still says which records they are.
    UnavailableError while something lands.
    """
    where = lake_of(settings)
    with where.locked():
        touched: list[lake.LakeFile] = []
        records: list[StoredRecord] = []
        for file in where.published():
            if before is None or file.day < before:
                left = left_in(where.read(file))
                if left.gone or left.changed:
                    touched.append(file)
                    records += records_of(left)
        log.forget(STATEMENTS, records)
        gone = changed = 0
        for file in touched:
            left = left_in(where.read(file))
            with where.replacing(file) as writer:
                writer.write_table(left.table)
            gone, changed = gone + len(left.gone), changed + len(left.changed)
        where.sweep(at_once=True)  # what merged files were made of, and what was never published, has the same rows
    return Taken(gone, changed)
