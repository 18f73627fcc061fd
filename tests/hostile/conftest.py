"""One service for all of this folder, and after each test the question whether it is still well."""

from collections.abc import Iterator

import pytest

from app.kit.db import Database
from tests.hostile.service import Service, serving

GROWTH = 160 * 2**20
"""Bytes by which its memory may grow, over all of it."""


@pytest.fixture(scope="package")
def running(sqlite_template: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(sqlite_template, tmp_path_factory.mktemp("hostile")) as service:
        service.ask(service.request("GET", "/openapi.json"))  # made by the first who asks
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
