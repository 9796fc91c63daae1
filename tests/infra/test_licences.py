"""Which licences `make lint` lets pass beside Apache-2.0."""

import runpy
from pathlib import Path

import pytest

allowed = runpy.run_path(str(Path(__file__).parents[2] / "infra" / "security" / "sbom.py"))["allowed"]


@pytest.mark.parametrize(
    ("licences", "passes"),
    [
        (["MIT"], True),
        (["BSD-3-Clause AND Apache-2.0"], True),
        (["MIT OR GPL-3.0-only"], True),
        (["(MIT OR GPL-3.0-only) AND ISC"], True),
        (["Apache Software License", "GPL"], True),  # classifiers: at choice
        (["MIT AND GPL-3.0-only"], False),
        (["GNU Affero General Public License v3"], False),
        (["AGPL-3.0-or-later"], False),
        (["SSPL-1.0"], False),
        ([], False),
    ],
)
def test_a_licence_passes_where_all_of_it_may_stand_beside_ours(licences: list[str], passes: bool) -> None:
    assert allowed("some-package", licences) is passes


def test_what_was_looked_at_by_hand_passes() -> None:
    assert allowed("protobuf", [])
