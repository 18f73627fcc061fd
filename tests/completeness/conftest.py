"""Kotabaru with three lines of two agencies, of which one has a report of the second quarter."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from tests.database import OneTransaction
from tests.plans.world import HEALTH, LEAN, SOCIAL, furnish, put_many, put_plan, report


@pytest.fixture
def client(database: OneTransaction, connect: Callable[..., TestClient]) -> TestClient:
    """The secretariat of Kotabaru."""
    furnish(database)
    client = connect(("secretariat", "63.02"))
    put_plan(client)
    lines = [
        {**LEAN, "code": "A-1", "lead_agency": SOCIAL},
        {**LEAN, "code": "A-2", "lead_agency": SOCIAL, "first_month": 1, "last_month": 3},
        {**LEAN, "code": "A-3", "lead_agency": HEALTH, "first_month": 9, "last_month": 12},
    ]
    put_many(client, lines)
    report(client, "A-1", 2, spent=40)
    report(client, "A-2", 1, spent=100)
    report(client, "A-3", 3, spent=10)
    return client
