"""The gates that a batch passes before it is published: expectations of its rows, and how much of it may be refused."""

import pyarrow as pa

from expectations.run import check
from flows.dead_letters import record_of
from flows.logs import logger
from flows.settings import Settings
from schemas.errors import QualityError
from schemas.records import Record
from transforms.statements import Rejection


def passed(settings: Settings, table: pa.Table, rejected: list[Record]) -> tuple[pa.Table, list[Record]]:
    """The rows of a batch that may be published, and its dead letters: those given, and of rows that miss expectations.

    QualityError where the batch as a whole may not, or too much of it would be rejected.
    """
    records = table.num_rows + len(rejected)
    table, unexpected = _expected(table)
    rejected = rejected + unexpected
    share = len(rejected) / max(1, records)
    if records >= settings.land.reject_share_from and share > settings.land.max_reject_share:
        first = rejected[0].headers
        raise QualityError(
            f"{len(rejected):,} of {records:,} records ({share:.0%}) would be rejected, more than "
            f"land.max_reject_share = {settings.land.max_reject_share:.0%}. "
            f"The first, {first['origin']}: {first['clause']}: {first['reason']}",
            "Nothing of the batch was landed or lost. Mend the source or the repairs, or raise the share, and land again.",
        )
    return table, rejected


def _expected(table: pa.Table) -> tuple[pa.Table, list[Record]]:
    """The rows that meet the suite, and dead letters for those that do not. Warnings are logged."""
    bad: dict[int, str] = {}
    for finding in check(table):
        if finding.severity != "critical":
            logger().warning(
                "Expectation not met: %s, %d rows. %s", finding.expectation, len(finding.rows), finding.why
            )
        elif not finding.rows:
            raise QualityError(f"{finding.expectation} is not met. {finding.why}", "Mend the source, then land again.")
        else:
            bad.update(dict.fromkeys(finding.rows, f"{finding.expectation}: {finding.why}"))
    letters = []
    for position, reason in bad.items():
        row = table.slice(position, 1).to_pylist()[0]
        place = f"{row['topic']}-{row['log_partition']}@{row['log_offset']}"
        rejection = Rejection("expectations/statements.json", "", reason)
        letters.append(record_of(place, row["statement"].encode(), rejection, {"source": row["source"]}))
    if bad:
        table = table.filter(pa.array([position not in bad for position in range(table.num_rows)]))
    return table, letters
