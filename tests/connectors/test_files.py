"""Files of statements: NDJSON and arrays, compressed and not, broken in every way."""

import gzip
import io
import json
import random
import tracemalloc
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from connectors.sources.files import pieces
from schemas.errors import InputError

ROWS = [{"n": n, "text": 'a "quoted" \\ , ] } text', "list": [{"x": [1, 2]}, "y"]} for n in range(5000)]
LIMIT = 1_000_000


def values(path: Path, limit: int = LIMIT) -> list[object]:
    return [json.loads(piece.value) for piece in pieces(path, limit)]


@pytest.mark.parametrize("shape", ["lines", "array", "indented array", "lines without the last break", "windows lines"])
@pytest.mark.parametrize("packing", ["plain", "gz", "zst"])
def test_every_shape_and_packing_gives_the_same(tmp_path: Path, shape: str, packing: str) -> None:
    text = {
        "lines": "\n".join(map(json.dumps, ROWS)) + "\n",
        "lines without the last break": "\n".join(map(json.dumps, ROWS)),
        "windows lines": "\r\n".join(map(json.dumps, ROWS)) + "\r\n\r\n",
        "array": json.dumps(ROWS),
        "indented array": json.dumps(ROWS, indent=2),
    }[shape].encode()
    packed = {"plain": text, "gz": gzip.compress(text), "zst": zstandard.compress(text)}[packing]
    path = tmp_path / "file"
    path.write_bytes(packed)
    assert values(path) == ROWS


@given(
    st.lists(
        st.dictionaries(st.text(), st.recursive(st.text(), lambda kid: st.lists(kid) | st.dictionaries(st.text(), kid)))
    )
)
def test_an_array_is_cut_where_its_elements_end(tmp_path_factory: pytest.TempPathFactory, rows: list[object]) -> None:
    path = tmp_path_factory.mktemp("array") / "file.json"
    path.write_text(json.dumps(rows, indent=random.choice([None, 1])))
    assert values(path) == rows


def test_reading_may_stop_anywhere_in_an_array(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"text": text} for text in ("\\", "\\\\", 'a\\"b', '"', "[{,")]
    data = json.dumps(rows).encode()
    for size in range(8, len(data)):
        stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(data), buffer_size=size))
        monkeypatch.setattr("sys.stdin", stdin)
        assert [json.loads(piece.value) for piece in pieces(None, LIMIT)] == rows


def test_an_empty_file_and_a_missing_one_are_told(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b" \n ")
    with pytest.raises(InputError, match="holds no statements"):
        values(tmp_path / "empty")
    with pytest.raises(InputError, match="cannot be read"):
        values(tmp_path / "missing")


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_a_file_that_breaks_off_gives_what_it_has_and_says_so(tmp_path: Path, packing: str) -> None:
    text = "\n".join(json.dumps({**row, "r": random.random()}) for row in ROWS).encode()
    packed = gzip.compress(text) if packing == "gz" else zstandard.compress(text)
    path = tmp_path / "file"
    path.write_bytes(packed[: len(packed) * 2 // 3])
    found = []
    with pytest.raises(InputError, match="breaks off"):
        for piece in pieces(path, LIMIT):
            found.append(piece)
    assert len(found) > 100 or packing == "zst"


def test_an_array_that_does_not_end_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(json.dumps(ROWS)[:-2])
    with pytest.raises(InputError, match="array does not end"):
        values(tmp_path / "file")


@pytest.mark.parametrize("array", [False, True])
def test_a_huge_piece_is_refused_in_little_memory_and_the_rest_is_kept(tmp_path: Path, array: bool) -> None:
    huge = '{"a": "' + "x" * 50_000_000 + '"}'
    parts = ['{"n": 1}', huge, '{"n": 2}']
    path = tmp_path / "file"
    path.write_text("[" + ",".join(parts) + "]" if array else "\n".join(parts))
    del huge, parts
    tracemalloc.start()
    found = list(pieces(path, LIMIT))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [bool(piece.fault) for piece in found] == [False, True, False]
    assert "50,000,009 bytes" in found[1].fault
    assert len(found[1].value) == 65_536
    assert found[1].where.endswith("[1]" if array else ":2")
    assert peak < 20_000_000
