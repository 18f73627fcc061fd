"""One service for all of this folder, and after each test the question whether it is still well."""

from collections.abc import Iterator

import pytest

from app.kit.database.engine import Database
from tests.hostile.service import Service, serving
from tests.hostile.test_payloads import OPERATIONS

GROWTH = 224 * 2**20
"""Bytes by which its memory may grow, over all of it: some bodies of 25 MB, received, parsed and judged by several
threads; the allocator keeps what each of them once had."""
WARM = [
    ("GET", "/openapi.json", None),
    *((one.method.upper(), one.address(), b"{}" if one.takes_json else None) for one in OPERATIONS),
]
"""Each operation once, with nothing in it."""


@pytest.fixture(scope="package")
def running(sqlite_template: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(sqlite_template, tmp_path_factory.mktemp("hostile")) as service:
        for method, target, body in WARM:  # what is built by the first who asks is no growth
            service.ask(service.request(method, target, body=body))
        before = service.memory()
        yield service
        grown = service.memory() - before
        assert grown < GROWTH, f"grew by {grown // 2**20} MiB"


@pytest.fixture
def service(running: Service) -> Iterator[Service]:
    told = len(running.faults())
    yield running
    assert running.serves()
    assert running.faults()[told:] == []
