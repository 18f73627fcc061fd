"""Last use: exact to within minutes, written after the requests, at no cost for them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.access.commands import USE_PRECISION
from app.access.models import Token
from app.kit.database.engine import Database, get_table
from app.main import create_app
from app.settings import Settings
from tests.access.people import HEAD, PeopleApp
from tests.common import ConnectAs, token_for
from tests.database import OneTransaction, own_database


def read_last_use(client: TestClient) -> Any:
    return client.get("/v1/me").json()["last_used_at"]


def test_a_use_is_noted_by_the_request_and_written_later(
    connect: ConnectAs, app: FastAPI, database: OneTransaction
) -> None:
    client = connect(("reader", "63"))
    before = len(database.statements)
    client.get("/v1/me")
    assert len(database.statements) - before == 1
    assert read_last_use(client) is None
    app.state.last_uses.write(database)
    first = read_last_use(client)
    assert datetime.now(UTC) - datetime.fromisoformat(first) < timedelta(minutes=1)
    before = len(database.statements)
    app.state.last_uses.write(database)
    assert len(database.statements) == before, "what was used a moment ago is not written again"


def test_an_older_use_is_replaced_and_a_newer_one_stays(
    connect: ConnectAs, app: FastAPI, database: OneTransaction
) -> None:
    client = connect(("reader", "63"))
    client.get("/v1/me")
    tokens = get_table(Token)
    newest = tokens.c.id == sa.select(sa.func.max(tokens.c.id)).scalar_subquery()
    now = datetime.now(UTC)
    for stored, stays in ((now + USE_PRECISION, True), (now - 2 * USE_PRECISION, False)):
        client.get("/v1/me")
        database.connection.execute(sa.update(tokens).where(newest).values(last_used_at=stored))
        client.get("/v1/me")
        app.state.last_uses.write(database)
        assert (datetime.fromisoformat(read_last_use(client)) == stored) is stays


@pytest.mark.both_engines
def test_administrators_see_the_last_use_of_tokens_and_of_people(
    people: PeopleApp, database: OneTransaction
) -> None:
    people.enrol()
    people.ask(people.real.sign())
    secret = people.administrator.put(
        f"/v1/principals/{HEAD}/tokens/skrip", json={"scopes": ["read"]}
    ).json()["secret"]
    people.ask(secret)
    people.app.state.last_uses.write(database)
    person = people.administrator.get(f"/v1/principals/{HEAD}").json()
    (token,) = people.administrator.get(f"/v1/principals/{HEAD}/tokens").json()["items"]
    assert person["last_used_at"]
    assert token["last_used_at"]
    assert (person["version"], token["version"]) == (1, 1)


class Broken(Database):
    """A database that takes no writes."""

    def __init__(self) -> None:
        super().__init__("sqlite:////nowhere/at/all.db")


def test_a_failed_write_fails_no_request_and_is_retried(
    connect: ConnectAs, app: FastAPI, database: OneTransaction
) -> None:
    client = connect(("reader", "63"))
    client.get("/v1/me")
    app.state.last_uses.write(Broken())
    assert read_last_use(client) is None
    app.state.last_uses.write(database)
    assert read_last_use(client)


def test_a_stopping_service_writes_noted_uses() -> None:
    with own_database("sqlite") as database:
        secret = token_for(database, ("reader", "63"))
        app = create_app(Settings(_env_file=None, database_url=str(database.url)))
        headers = {"Authorization": f"Bearer {secret}"}
        with TestClient(app, headers=headers) as client:
            assert read_last_use(client) is None
        with database.read_session() as session:
            assert session.scalar(sa.select(sa.func.max(get_table(Token).c.last_used_at))) is not None
