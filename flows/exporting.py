"""Everything that is held on a person, as one folder: a page to read, and files for programs (GDPR, Articles 15 and 20)."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shutil import copyfile
from typing import Any

import orjson

from connectors import audit, consents
from connectors.event_log import EventLog
from connectors.ledger import ledger
from connectors.marts import Marts
from connectors.receiver import attachments
from flows.backlog import backlog
from flows.dead_letters import dead_letters
from flows.opening import erased, event_log, lake_of, lti_store, state
from flows.persons import Person
from flows.settings import Settings
from flows.sinks import listed
from schemas.errors import InputError
from schemas.records import STATEMENTS
from schemas.xapi import Statement
from transforms.erasure import redacted, words_of
from transforms.erasure_rows import matching, suspicious
from transforms.person_page import FILES, person_page
from transforms.statements import actor_id


@dataclass(frozen=True)
class Export:
    """What an export wrote."""

    page: str
    files: tuple[str, ...]
    statements: int
    mentions: int


def export(settings: Settings, person: Person, folder: Path) -> Export:
    """Write what is held on a person into a new folder. InputError where it is there already, or nothing is held.

    Other people whom the statements name are left out of them, as an agent without a name.
    """
    if folder.exists():
        raise InputError(f"{folder} is there already.", "Name a folder that is not.")
    with event_log(settings) as log:
        own, mentions, letters = _statements(settings, log, person)
    marts = Marts(settings.published, settings.identified).all_of(person.key)
    held = _held(settings, person)
    if not own and not mentions and not letters and not any(marts.values()):
        raise InputError(f"Nothing is held on {', '.join(person.accounts)}.", "Try another of the person's accounts.")
    folder.mkdir(parents=True)
    _write_lines(folder / "statements.ndjson", own)
    _write_lines(folder / "mentions.ndjson", mentions)
    _write_lines(folder / "dead_letters.ndjson", letters)
    (folder / "person.json").write_text(json.dumps(held, indent=1, ensure_ascii=False, default=str), "utf-8")
    for mart, rows in marts.items():
        _write_lines(folder / f"{mart}.ndjson", rows)
    files = {one["sha2"].lower() for one in attachments.of(own)}
    for name in sorted(files):
        path = settings.home / "attachments" / name
        if path.is_file():
            (folder / "attachments").mkdir(exist_ok=True)
            copyfile(path, folder / "attachments" / name)
    written = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    told = {name: FILES.get(name.split("/")[0], "") for name in written}
    page = folder / "index.html"
    page.write_text(person_page(held, own, marts, told, datetime.now(UTC)), "utf-8")
    digest = erased(settings).digest_of(person.accounts[0])
    audit.note(settings.home / "audit.jsonl", "export", person=digest, statements=len(own))
    return Export(str(page), tuple(written), len(own), len(mentions))


def _statements(
    settings: Settings, log: EventLog, person: Person
) -> tuple[list[Statement], list[Statement], list[dict[str, Any]]]:
    """The person's statements, those of others that name them, and the dead letters that do."""
    theirs = frozenset(person.accounts)
    search = suspicious(person.accounts, words_of(person.accounts, [person.key]))
    own: list[Statement] = []
    mentions: list[Statement] = []
    for statement in _found(settings, log, search):
        if redacted(statement, theirs.__contains__) is statement:
            continue
        alone = redacted(statement, lambda account: account not in theirs)
        (own if _actors(statement) & theirs else mentions).append(alone)
    letters = []
    for letter in dead_letters(log):
        text = letter.value.decode(errors="replace")
        if search.search(text):
            letters.append({"reason": letter.reason, "refused_at": letter.rejected_at.isoformat(), "original": text})
    return own, mentions, letters


def _found(settings: Settings, log: EventLog, search: re.Pattern[str]) -> Iterator[Statement]:
    """Statements of the lake, and of the event log behind it, that a pattern finds something in."""
    where = lake_of(settings)
    for file in where.published():
        rows = where.read(file, ["statement"])
        for text in rows.filter(matching(rows, search))["statement"].to_pylist():
            yield orjson.loads(text)
    for partition, (_, first, end) in backlog(settings, log).items():
        for record in log.read(STATEMENTS, partition, first, end):
            if record.value and search.search(record.value.decode(errors="replace")):
                try:
                    found = orjson.loads(record.value)
                except orjson.JSONDecodeError:
                    continue  # it becomes a dead letter
                if isinstance(found, dict) and "actor" in found:
                    yield found


def _actors(statement: Statement) -> set[str]:
    actor = statement["actor"]
    return {actor_id(actor), *(actor_id(member) for member in actor.get("member", ()))}


def _held(settings: Settings, person: Person) -> dict[str, Any]:
    """What is held beside statements and marts."""
    told: list[dict[str, Any]] = []
    if settings.ledger.exists():
        with ledger(settings.ledger) as opened:
            told = opened.of(person.key)
    said = [one._asdict() for one in consents.said(state(settings, "consents.db")) if one.account in person.accounts]
    launched = lti_store(settings).known_of(list(person.accounts))
    return {
        "person": person.key, "accounts": list(person.accounts), "consents": said, "lti": launched, "told": told,
        "recipients": [{"name": one.name, "kind": one.kind, "title": one.title} for one in listed(settings)],
    }  # fmt: skip


def _write_lines(path: Path, rows: list[Any]) -> None:
    if rows:
        path.write_bytes(b"".join(orjson.dumps(row, default=str) + b"\n" for row in rows))
