"""Kotabaru with three lines of two agencies; one line has a report of the second quarter."""

import pytest
from fastapi.testclient import TestClient

from tests.database import OneTransaction
from tests.plans.world import HEALTH, LEAN, SOCIAL, furnish, put_many, put_plan, report


@pytest.fixture
def secretariat(secretariat: TestClient, database: OneTransaction) -> TestClient:
    """The secretariat of Kotabaru, with three lines and their reports."""
    furnish(database)
    put_plan(secretariat)
    lines = [
        {**LEAN, "code": "A-1", "lead_agency": SOCIAL},
        {**LEAN, "code": "A-2", "lead_agency": SOCIAL, "first_month": 1, "last_month": 3},
        {**LEAN, "code": "A-3", "lead_agency": HEALTH, "first_month": 9, "last_month": 12},
    ]
    put_many(secretariat, lines)
    report(secretariat, "A-1", 2, spent=40)
    report(secretariat, "A-2", 1, spent=100)
    report(secretariat, "A-3", 3, spent=10)
    return secretariat
