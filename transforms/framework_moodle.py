"""A framework as Moodle has it: groups as domains, competencies below them, the levels as the values of a scale."""

import csv
import io
import json
from collections.abc import Iterator
from html import escape
from typing import Any

from schemas.framework import Competency, Framework

TAXONOMIES = "domain,competency,competency,competency"  # of the four depths that Moodle knows
HTML = 1  # FORMAT_HTML
_PROFICIENT = 2  # the level from which Moodle counts a learner as proficient
# The columns of tool_lpimportcsv, by their English names.
_HEADER = (
    "Parent ID number", "ID number", "Short name", "Description", "Description format", "Scale values", "Scale configuration",
    "Rule type (optional)", "Rule outcome (optional)", "Rule config (optional)", "Cross-referenced competency ID numbers",
    "Exported ID (optional)", "Is framework", "Taxonomy",
)  # fmt: skip


def scale_values(framework: Framework) -> list[str]:
    """The values of the scale, from the lowest on."""
    return [level.name for level in framework.levels]


def scale_configuration(framework: Framework, scale: int) -> str:
    """Which value is the default and which are proficient, as Moodle's JSON; `scale` is the scale's id, 0 for one to be made."""
    values = [
        {"id": place, "scaledefault": int(place == 1), "proficient": int(place >= _PROFICIENT)}
        for place in range(1, len(framework.levels) + 1)
    ]
    return json.dumps([{"scaleid": str(scale)}, *values])


def description(framework: Framework, competency: Competency) -> str:
    """A competency's description with what it looks like at each level, as HTML."""
    levels = "".join(
        f"<dt>{escape(level.name)}</dt><dd>{escape(competency.levels.get(level.id, level.description))}</dd>"
        for level in framework.levels
    )
    return f"{paragraph(competency.description)}<dl>{levels}</dl>"


def paragraph(text: str) -> str:
    """A text as HTML."""
    return f"<p>{escape(text)}</p>"


def to_moodle_csv(framework: Framework) -> str:
    """The table that Moodle imports (Site administration, Competencies, Import competency framework); it makes the scale too."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    writer.writerow(
        ("", framework.id, framework.title, "", HTML, ",".join(scale_values(framework)), scale_configuration(framework, 0),
         "", "", "", "", "", 1, TAXONOMIES)
    )  # fmt: skip
    for parent, one, name, about in _rows(framework):
        writer.writerow((parent, one, name, about, HTML, "", "", "", "", "", "", "", 0, ""))
    return text.getvalue()


def _rows(framework: Framework) -> Iterator[tuple[Any, ...]]:
    for group in framework.groups:
        yield "", group.id, group.name, paragraph(group.description)
        for one in group.competencies:
            if not one.retired:
                yield group.id, one.id, one.name, description(framework, one)
