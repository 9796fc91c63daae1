"""What is held on a person as one HTML page that needs no network."""

from collections import Counter
from datetime import datetime
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from schemas.xapi import Statement

FILES = {
    "statements.ndjson": "What you did, as the systems you did it in reported it (xAPI statements, one a line).",
    "mentions.ndjson": "What others did that names you; they are left out.",
    "dead_letters.ndjson": "Reports that were refused, and why.",
    "person.json": "Your accounts, what you agreed to, from where you opened your page, who was told of your levels.",
    "attachments": "Files that came with statements.",
    "mart_levels.ndjson": "Your levels, with their uncertainty.",
    "mart_level_history.ndjson": "Your levels as they were, and as they are known now, by day.",
    "mart_evidence.ndjson": "The evidence that the levels rest on.",
    "mart_explanations.ndjson": "What moved each level, and by how much.",
    "mart_people.ndjson": "A summary of your levels.",
    "mart_role_gaps.ndjson": "Your levels beside what roles require.",
    "mart_role_readiness.ndjson": "The same, summed over each role.",
    "mart_next_steps.ndjson": "What would be worth doing next.",
    "mart_stuck.ndjson": "Competencies at which you go on working without a change of level.",
    "mart_portfolio.ndjson": "Your best work by field of application and tool.",
    "mart_continuous_learning.ndjson": "How you keep up.",
    "mart_disputes.ndjson": "Evidence that you disputed.",
    "dim_person.ndjson": "Your name and address.",
    "dim_account.ndjson": "Your accounts, with the names they were given.",
    "dim_person_attribute.ndjson": "What you are grouped by, such as your team.",
}


def person_page(
    held: dict[str, Any],
    statements: list[Statement],
    marts: dict[str, list[dict[str, Any]]],
    written: dict[str, str],
    now: datetime,
) -> str:
    """The page. `held` is as person.json has it, `marts` the rows of each, `written` the files with what they hold."""
    template = files("transforms").joinpath("person_page.html.j2").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    moments = sorted(one["timestamp"] for one in statements if "timestamp" in one)
    verbs = Counter(one["verb"]["id"].rstrip("/").rsplit("/", 1)[-1] for one in statements)
    levels = sorted(marts.get("mart_levels", ()), key=lambda row: str(row["competency_name"]))
    return environment.from_string(template).render(
        held=held, levels=levels, statements=len(statements), verbs=verbs.most_common(), first=moments[:1], last=moments[-1:],
        evidence=len(marts.get("mart_evidence", ())), written=written, now=now,
    )  # fmt: skip
