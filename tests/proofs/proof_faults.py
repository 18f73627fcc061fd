"""Hundreds of pulls by killed processes over connections that drop, reset, delay, lose and change bytes."""

from pathlib import Path

import pytest

from tests.client.conftest import served  # noqa: F401 - a fixture
from tests.client.test_faults import pull_over_faults, token  # noqa: F401 - a fixture
from tests.client.world import Served
from tests.proofs import read_number


def test_no_fault_of_the_connection_leaves_a_wrong_file(
    served: Served,  # noqa: F811
    token: str,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pull_over_faults(served, token, tmp_path, monkeypatch, read_number("COUNT", 200))
