"""Thousands of randomly malformed requests against a running service, reproducible by their seed."""

from tests.hostile.conftest import running, service  # noqa: F401 - fixtures
from tests.hostile.service import Service
from tests.hostile.test_fuzz import SEED, send_changed_by_chance
from tests.proofs import read_number


def test_randomly_changed_requests_have_a_valid_reply(service: Service) -> None:  # noqa: F811
    send_changed_by_chance(service, read_number("COUNT", 6_000), read_number("SEED", SEED))
