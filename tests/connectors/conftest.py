"""A receiver for the tests of a file to share."""

from collections.abc import Iterator

import pytest

from tests.receiver import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    one = Server(tmp_path_factory.mktemp("receiver"))
    yield one
    assert "Traceback" not in one.stop()
