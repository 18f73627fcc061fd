"""A service over a database that keeps commits, a receiver, and workers over the same database."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from anyio.from_thread import BlockingPortal
from cryptography.fernet import Fernet
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.access.commands import Write
from app.access.rules import CONSOLE
from app.agencies.commands import put_agency
from app.agencies.models import AgencyIn, AgencyKind
from app.changes.webhooks.models import WebhookRow
from app.changes.webhooks.rules import create_sealer
from app.changes.webhooks.sending import Sender
from app.changes.webhooks.worker import Worker
from app.kit.database.engine import Database, get_table
from app.kit.database.journal import Author
from app.main import create_app
from app.settings import Settings
from tests.calling import Client
from tests.common import token_for
from tests.database import ENGINES, own_database
from tests.plans.world import ANY
from tests.webhooks.receiver import Receiver, run_receiver

ADMINISTRATOR = ("administrator", "63")


class Place:
    """The service with clients and workers; a test can move the workers' `now` forward."""

    def __init__(self, database: Database, portal: BlockingPortal) -> None:
        self.database, self._portal = database, portal
        self.settings = Settings(
            _env_file=None,
            database_url="sqlite://",
            secrets_key=Fernet.generate_key().decode(),
            webhooks_allow_loopback=True,
        )
        self.app: FastAPI = create_app(self.settings, database)
        self.waited = timedelta()
        self._agencies = 0

    def connect(self, *roles: Any, **options: Any) -> TestClient:
        secret = token_for(self.database, *roles, **options)
        return Client(self.app, self._portal, headers={"Authorization": f"Bearer {secret}"})

    def worker(self, **options: Any) -> Worker:
        options = {"now": self.now, "luck": lambda: 0.0, "threads": 1, **options}
        return Worker(self.database, create_sealer(self.settings), Sender(allow_loopback=True), **options)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.waited

    def write(self, region: str = "63.02") -> str:
        """Write a change in a region."""
        self._agencies += 1
        content = AgencyIn(name="Dinas", kind=AgencyKind.dinas)
        code = f"X-{self._agencies}"
        with self.database.writing() as session:
            author = Author("test", datetime.now(UTC))
            put_agency(Write(session, author, CONSOLE), region, code, content)
        return code


class Hook:
    """A webhook with a secret, as its administrator uses it."""

    def __init__(self, client: TestClient, name: str, address: str, **content: Any) -> None:
        self.client, self.at = client, f"/v1/webhooks/{name}"
        self.content = {"address": address, "region_code": "63.02", **content}
        made = client.put(self.at, json=self.content)
        assert made.status_code == 201, made.text
        self.secret = self.add_secret("first")

    def add_secret(self, name: str) -> str:
        made = self.client.put(f"{self.at}/secrets/{name}", json={})
        assert made.status_code == 201, made.text
        return str(made.json()["secret"])

    def change(self, **content: Any) -> Any:
        self.content |= content
        reply = self.client.put(self.at, json=self.content, headers=ANY)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def replay(self, **body: str) -> Any:
        return self.client.post(f"{self.at}/replay", json=body)

    @property
    def state(self) -> str:
        return str(self.client.get(self.at).json()["state"])

    @property
    def log(self) -> Any:
        """Return its deliveries, the newest first."""
        return self.client.get(f"{self.at}/deliveries").json()["items"]


@pytest.fixture(scope="module", params=ENGINES)
def place(request: pytest.FixtureRequest, portal: BlockingPortal) -> Iterator[Place]:
    with own_database(request.param) as database:
        yield Place(database, portal)


@pytest.fixture(scope="module")
def provincial_administrator(place: Place) -> TestClient:
    return place.connect(ADMINISTRATOR, days=30)


@pytest.fixture
def receiver(place: Place) -> Iterator[Receiver]:
    """A receiver; the fixture deletes the webhooks at the end."""
    with run_receiver() as receiver:
        yield receiver
    place.waited = timedelta()
    with place.database.writing() as session:
        session.execute(sa.delete(get_table(WebhookRow)))


@pytest.fixture
def hook(provincial_administrator: TestClient, receiver: Receiver) -> Hook:
    return Hook(provincial_administrator, "dasbor", receiver.address)
