"""People with tokens of an issuer, and an application that trusts it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2 as httpx
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.access.issuer import Issuer, create_issuer
from tests.access.issuer import PERSON, RealIssuer

HEAD = "kepala-bappeda-kotabaru"
SECRETARIAT = [{"role": "secretariat", "region_code": "63.02"}]
ANY = {"If-Match": "*"}


def check_taken(reply: httpx.Response) -> None:
    """Check that a reply says `name_taken` and nothing else: no name, no list of errors."""
    body = reply.json()
    assert {name: body[name] for name in body.keys() - {"type", "instance", "request_id"}} == {
        "title": "Nama sudah dipakai",
        "status": 409,
        "code": "name_taken",
        "detail": "Nama ini sudah dipakai di layanan ini. Pilih nama lain.",
    }


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class PeopleApp:
    """The application, its issuer and its administrator."""

    def __init__(self, app: FastAPI, real: RealIssuer, administrator: TestClient, clock: Clock) -> None:
        self.app, self.real, self.administrator, self.clock = app, real, administrator, clock

    @classmethod
    @contextmanager
    def trusting(cls, app: FastAPI, real: RealIssuer, administrator: TestClient) -> Iterator["PeopleApp"]:
        before = app.state.settings, app.state.issuer
        clock = Clock()
        app.state.settings = real.settings
        issuer = create_issuer(real.settings)
        assert issuer is not None
        app.state.issuer = issuer
        issuer._clock = clock
        issuer.refresh_if_due()
        try:
            yield cls(app, real, administrator, clock)
        finally:
            issuer.stop()
            app.state.settings, app.state.issuer = before

    @property
    def issuer(self) -> Issuer:
        issuer: Issuer = self.app.state.issuer
        return issuer

    def enrol(self, name: str = HEAD, *, subject: str | None = PERSON, memberships: Any = SECRETARIAT) -> Any:
        body = {"region_code": "63.02", "subject": subject, "memberships": memberships}
        exists = self.administrator.get(f"/v1/principals/{name}").status_code == 200
        headers = ANY if exists else {}
        reply = self.administrator.put(f"/v1/principals/{name}", json=body, headers=headers)
        assert reply.status_code in (200, 201), reply.text
        return reply

    def ask(self, token: str, path: str = "/v1/me", **headers: str) -> Any:
        client = TestClient(self.app, headers={"Authorization": f"Bearer {token}", **headers})
        return client.get(path)
