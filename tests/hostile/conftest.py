"""One service for this folder, with a check of its health after each test."""

from collections.abc import Iterator

import pytest

from app.kit.database.engine import Database
from tests.hostile.service import Service, run_service
from tests.hostile.test_payloads import OPERATIONS

GROWTH = 224 * 2**20
"""Bytes by which the memory of the service may grow in this folder: several threads parse bodies of 25 MB, and the
allocator keeps their memory."""
WARM = [
    ("GET", "/openapi.json", None),
    *(
        (operation.method.upper(), operation.address(), b"{}" if operation.takes_json else None)
        for operation in OPERATIONS
    ),
]
"""Each operation once, with an empty body."""


@pytest.fixture(scope="package")
def running(sqlite_template: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with run_service(sqlite_template, tmp_path_factory.mktemp("hostile")) as service:
        for method, target, body in WARM:  # memory of first requests is no growth
            service.ask(service.build_request(method, target, body=body))
        before = service.read_peak_memory()
        yield service
        grown = service.read_peak_memory() - before
        assert grown < GROWTH, f"grew by {grown // 2**20} MiB"


@pytest.fixture
def service(running: Service) -> Iterator[Service]:
    count = len(running.list_faults())
    yield running
    assert running.is_serving()
    assert running.list_faults()[count:] == []
