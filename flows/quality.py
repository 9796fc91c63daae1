"""Quality: Great Expectations over evidence, levels and drift; what stops, what warns, and where it is kept."""

from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb
import pandas as pd

from connectors import warehouse
from expectations import checkpoints
from expectations.run import Finding
from flows.logs import logger
from flows.settings import Settings
from schemas.errors import InputError, QualityError

_MOST = 200_000  # pieces, the newest; older ones were checked before
_TABLES = {
    "evidence": f"select person, outcome, pitched_level, weight from mart_evidence order by occurred_at desc limit {_MOST}",  # noqa: S608
    "levels": "select person, level, columns('p_at_least_.'), ability_mean, ability_sd from mart_levels",
    "drift": "from mart_drift",
}


@dataclass(frozen=True)
class Quality:
    """What was found: warnings, by source where they are of one. `docs` is the first page of the Data Docs."""

    warnings: tuple[str, ...]
    docs: str


def quality(settings: Settings) -> Quality:
    """Run the checkpoints over what was estimated, and keep what they find for `mart_data_quality`.

    QualityError, before anything is published, where a critical expectation is not met. Warnings are logged.
    """
    folder = settings.home / "quality"
    if not settings.warehouse.exists():
        raise InputError("Nothing was estimated yet.", "Estimate first: proficio estimate --daily.")
    with warehouse.alone(settings.warehouse):
        try:
            tables = {name: warehouse.frame(settings.warehouse, query) for name, query in _TABLES.items()}
        except duckdb.CatalogException:  # an older version made it
            raise InputError("There is no mart_drift yet.", "Estimate first: proficio estimate --daily.") from None
        found = checkpoints.run(folder, {name: table for name, table in tables.items() if len(table)}, {"drift"})
        warnings = [
            warning
            for name, some in found.items()
            for one in some
            if one.severity != "critical"
            for warning in _warnings(name, one, tables[name])
        ]
        warehouse.note_findings(settings.warehouse, datetime.now(UTC).date(), warnings)
    critical = [(name, one) for name, some in found.items() for one in some if one.severity == "critical"]
    docs = checkpoints.docs(folder)
    if critical:
        name, first = critical[0]
        raise QualityError(
            f"{name} miss {len(critical)} critical expectations. The first: {first.expectation}: {first.why}",
            f"Nothing was published. See {docs}.",
        )
    told = tuple(f"{source or 'no source'}: {text}" if source is not None else text for source, text in warnings)
    for text in told:
        logger().warning("Quality: %s", text)
    return Quality(told, str(docs))


def _warnings(name: str, finding: Finding, table: pd.DataFrame) -> list[tuple[str | None, str]]:
    """What a finding says: of each source that it names a row of, else of the table."""
    if not finding.rows:
        return [(None, f"{name}: {finding.expectation}: {finding.why}")]
    rows = table.iloc[list(finding.rows)]
    return [
        (str(source), f"{finding.column} is {value:.2f}. {finding.why}")
        for source, value in zip(rows["source"], rows[finding.column], strict=True)
    ]
