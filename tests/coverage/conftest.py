"""Coverage of Kotabaru: its secretariat, and whoever sees more."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient


@pytest.fixture
def nation(connect: Callable[..., TestClient]) -> TestClient:
    """The nation's administrator."""
    return connect(("administrator", "0"))


@pytest.fixture
def client(secretariat: TestClient) -> TestClient:
    """The secretariat of Kotabaru."""
    return secretariat
