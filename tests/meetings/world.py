"""Shared by the tests of meetings and commitments: requests and a fixed clock."""

from datetime import datetime, tzinfo
from typing import Any

from fastapi.testclient import TestClient

from tests.plans.world import ANY, HEALTH, SOCIAL

HOME = "/v1/regions/63.02"
K1 = f"{HOME}/commitments/K-1"
R1 = f"{HOME}/meetings/R-1"

MEETING: dict[str, Any] = {"date": "2025-03-11", "title": "Rakor I", "agencies_present": [SOCIAL, HEALTH]}
COMMITMENT: dict[str, Any] = {
    "text": "Menyerahkan daftar keluarga desil 1",
    "responsible_agency": SOCIAL,
    "due": "2025-06-30",
}
NOTE = {"note": "Sudah diserahkan"}
EVER = 36_500
"""Days of a token's validity, enough for any clock of a test."""


class Clock:
    """A stand-in for `datetime` where a request takes its instant."""

    def __init__(self) -> None:
        self.at = "2025-05-02T03:00:00.123456+00:00"

    def now(self, zone: tzinfo) -> datetime:
        return datetime.fromisoformat(self.at).astimezone(zone)


def put_meeting(client: TestClient, code: str, region: str = "63.02", **changes: Any) -> Any:
    done = client.put(f"/v1/regions/{region}/meetings/{code}", json={**MEETING, **changes})
    assert done.status_code == 201, done.text
    return done.json()


def commit(client: TestClient, code: str, region: str = "63.02", **changes: Any) -> Any:
    done = client.put(f"/v1/regions/{region}/commitments/{code}", json={**COMMITMENT, **changes})
    assert done.status_code == 201, done.text
    return done.json()


def step(client: TestClient, verb: str, at: str = K1, **options: Any) -> Any:
    """Take a step and return the reply's body."""
    done = client.post(f"{at}/{verb}", json={**NOTE, **options}, headers=ANY)
    assert done.status_code == 200, done.text
    return done.json()


def list_codes(client: TestClient, path: str, **query: Any) -> list[str]:
    reply = client.get(path, params=query)
    assert reply.status_code == 200, reply.text
    return [f"{item['region_code']}/{item['code']}" for item in reply.json()["items"]]
