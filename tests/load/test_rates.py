"""Budgets per token: told on every reply, spent by refusals too, and nobody else's when they are spent."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.kit.rates import WINDOW_SECONDS, Budget
from app.main import create_app
from app.settings import Settings
from tests.conftest import token_for
from tests.database import OneTransaction
from tests.plans.world import put_plan

READS, WRITES = 3, 1


@pytest.fixture
def limited(database: OneTransaction) -> FastAPI:
    settings = Settings(
        _env_file=None, database_url="sqlite://", reads_per_minute=READS, writes_per_minute=WRITES
    )
    return create_app(settings, database)


@pytest.fixture
def client(limited: FastAPI, database: OneTransaction) -> Iterator[TestClient]:
    secret = token_for(database, ("secretariat", "63.02"))
    with TestClient(limited, headers={"Authorization": f"Bearer {secret}"}) as client:
        yield client


def test_each_reply_says_what_is_left_and_beyond_it_is_429(client: TestClient) -> None:
    replies = [client.get("/v1/me"), client.head("/v1/me"), client.get("/v1/plans/99.99-2026")]
    assert [reply.status_code for reply in replies] == [200, 200, 404]
    for left, reply in zip((2, 1, 0), replies, strict=True):
        assert reply.headers["RateLimit-Policy"] == f'"reads";q={READS};w=60'
        assert reply.headers["RateLimit"].startswith(f'"reads";r={left};t=')
    refused = client.get("/v1/me", headers={"Accept-Language": "en", "X-Request-Id": "mine"})
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit"] == f'"reads";r=0;t={refused.headers["Retry-After"]}'
    assert f"{READS} requests (reads)" in refused.json()["detail"]
    assert refused.headers["X-Request-Id"] == refused.json()["request_id"] == "mine"
    assert client.head("/v1/me").content == b""


def test_writes_have_a_budget_of_their_own_and_a_refused_one_leaves_nothing(client: TestClient) -> None:
    put_plan(client)
    refused = client.put("/v1/plans/63.02-2027", json={"title": "RAT Kotabaru"})
    assert refused.status_code == 429
    assert refused.headers["RateLimit"].startswith('"writes";r=0;t=')
    assert client.get("/v1/plans/63.02-2027").status_code == 404


def test_another_token_and_who_sends_none_have_their_own(
    client: TestClient, limited: FastAPI, database: OneTransaction
) -> None:
    while client.get("/v1/me").status_code == 200:
        pass
    other = {"Authorization": f"Bearer {token_for(database, ('reader', '63'))}"}
    assert client.get("/v1/me", headers=other).status_code == 200
    with TestClient(limited) as anonymous:
        assert [anonymous.get("/v1/me").status_code for _ in range(READS + 1)] == [401] * READS + [429]
        here = [anonymous.get("/health") for _ in range(READS + 1)]
    assert {reply.status_code for reply in here} == {200}
    assert "RateLimit" not in here[0].headers


def test_without_limits_nothing_is_counted_or_told(database: OneTransaction) -> None:
    settings = Settings(_env_file=None, database_url="sqlite://", reads_per_minute=0, writes_per_minute=0)
    with TestClient(create_app(settings, database)) as client:
        assert "RateLimit" not in client.get("/v1/me").headers


def test_a_budget_begins_anew_a_minute_after_the_first_request_and_forgets_who_went() -> None:
    now = 1000.0
    budget = Budget("reads", 2, clock=lambda: now)
    assert [budget.spend(b"a") for _ in range(3)] == [(True, 1, 60), (True, 0, 60), (False, 0, 60)]
    now += 45.5
    assert budget.spend(b"a") == (False, 0, 15)
    assert budget.spend(b"b") == (True, 1, 60)
    now += 14.5
    assert budget.spend(b"a") == (True, 1, 60)
    now += 10 * WINDOW_SECONDS
    budget.spend(b"c")
    assert len(budget) == 1
