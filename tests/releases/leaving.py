"""Keep what this release leaves behind, for every later one to open: python -m tests.releases.leaving

Writes tests/releases/VERSION.tar.zst, a backup, and VERSION.json, what must be found in it. Run once for each release, before it is
tagged; the files of a release that is out are never made anew.
"""

import json
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from connectors import consents
from connectors.ledger import ledger
from tests.home import Home
from tests.http_server import HttpServer
from tests.receiver import Server, multipart, statement

FOLDER = Path(__file__).parent
PEOPLE, ACTIVITIES = 12, 8
SINK = """
[[sinks.webhook]]
name = "hr"
url = "{url}/levels"
secret_file = "secret"
"""
VOIDED = "http://adlnet.gov/expapi/verbs/voided"


def leave(folder: Path) -> dict[str, Any]:
    """Make a home that holds something of everything that is kept; what must be found in it ever after."""
    server = Server(folder)
    home, sink = server.home, HttpServer(lambda *_: (204, {}, b""))
    content = b"what was written"
    (folder / "secret").write_text("for-a-test-alone-0123456789")
    with (folder / "proficio.toml").open("a") as file:
        file.write(SINK.format(url=sink.url))
    wrong = answer(1, 0)
    voiding = statement(verb={"id": VOIDED}, object={"objectType": "StatementRef", "id": wrong["id"]})
    with server.client() as client:
        for number in range(PEOPLE):
            client.post("/statements", json=[answer(number, one) for one in range(ACTIVITIES)]).raise_for_status()
        client.post("/statements", json=[wrong]).raise_for_status()
        client.post("/statements", json=[voiding]).raise_for_status()
        client.post("/statements", **multipart(answer(2, 1), content)).raise_for_status()
    home("ingest", "-", stdin=b'{"actor": 1}\n')
    home("run", PROFICIO_LAND__MAX_REJECT_SHARE="1")
    home("consent", "p1@example.org", "--sink", "hr")
    home("consent", "p2@example.org", "--sink", "hr")
    home("consent", "p2@example.org", "--sink", "hr", "--withdraw")
    home("feedback")
    home("person", "erase", "p3@example.org", "--yes")
    server.stop()
    sink.close()
    home("backup", str(folder / "backup.tar.zst"))
    return found(home)


def found(home: Home) -> dict[str, Any]:
    """What later releases must find as it was, of everything that is kept."""
    levels = [json.loads(line) for line in home("levels", "--json").splitlines()]
    with ledger(home.settings.home / "feedback.duckdb") as book:
        told = [row for one in sorted({row["person"] for row in levels}) for row in book.of(one)]
    return {
        "statements": sorted(row["statement_id"] for row in home.rows()),
        "evidence": sorted([row["person"], row["competency"], row["evidence_count"]] for row in levels),
        "dead_letters": len(home("rejected", "--json").splitlines()),
        "told": [[row[name] for name in ("sink", "person", "competency", "level")] for row in told],
        "consents": [list(one) for one in consents.said(home.settings.home / "consents.db")],
        "attachments": sorted(file.name for file in (home.settings.home / "attachments").iterdir()),
        "clients": sorted(json.loads(line)["name"] for line in home("clients", "list", "--json").splitlines()),
        "audit": home("audit", "verify").split(" entries")[0],
    }


def person(number: int) -> dict[str, Any]:
    return {"mbox": f"mailto:p{number}@example.org"}


def answer(number: int, activity: int) -> dict[str, Any]:
    competency = ("data-literacy", "ethics-bias")[activity % 2]
    thing = {"id": f"https://lms.example.org/{competency}/{('beginner', 'intermediate')[activity % 4 // 2]}/{activity}"}
    return statement(actor=person(number), object=thing, result={"success": (number + activity) % 3 > 0})


if __name__ == "__main__":
    with TemporaryDirectory() as temporary:
        left = leave(Path(temporary))
        (FOLDER / f"{version('proficio')}.json").write_text(json.dumps(left) + "\n")
        (FOLDER / f"{version('proficio')}.tar.zst").write_bytes((Path(temporary) / "backup.tar.zst").read_bytes())
