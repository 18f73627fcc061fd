"""A follower of the feed, killed at 50 instants during writes, on each engine."""

from pathlib import Path

import httpx

from app.client import Rata
from tests.client.conftest import served  # noqa: F401 - a fixture
from tests.client.test_following import at_work, follow_and_kill, rata, token  # noqa: F401 - fixtures
from tests.client.world import Served
from tests.proofs import read_number


def test_a_killed_follower_ends_equal_to_the_source(
    served: Served,  # noqa: F811
    token: str,  # noqa: F811
    at_work: httpx.Client,  # noqa: F811
    rata: Rata,  # noqa: F811
    tmp_path: Path,
) -> None:
    follow_and_kill(served, token, rata, tmp_path, read_number("COUNT", 50))
