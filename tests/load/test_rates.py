"""Rate limits per principal and per address, reported in every reply."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.kit.server.rate_limit import (
    MOST_CALLERS,
    RECOGNISED_SECONDS,
    SHARED_WINDOWS,
    Budget,
    Caller,
    RecognisedSecrets,
)
from app.main import create_app
from app.settings import Settings
from tests.common import token_for
from tests.database import OneTransaction
from tests.plans.world import put_plan

pytestmark = pytest.mark.one_engine

READS, WRITES = 3, 1
A, B, C = (Caller("address", name) for name in "abc")


@pytest.fixture
def limited(database: OneTransaction) -> FastAPI:
    settings = Settings(
        _env_file=None, database_url="sqlite://", reads_per_minute=READS, writes_per_minute=WRITES
    )
    return create_app(settings, database)


@pytest.fixture
def secretariat(limited: FastAPI, database: OneTransaction) -> Iterator[TestClient]:
    secret = token_for(database, ("secretariat", "63.02"))
    with TestClient(limited, headers={"Authorization": f"Bearer {secret}"}) as client:
        yield client


def test_each_reply_reports_the_remaining_requests_and_then_is_429(secretariat: TestClient) -> None:
    replies = [secretariat.get("/v1/me"), secretariat.head("/v1/me"), secretariat.get("/v1/plans/99.99-2026")]
    assert [reply.status_code for reply in replies] == [200, 200, 404]
    for left, reply in zip((2, 1, 0), replies, strict=True):
        assert reply.headers["RateLimit-Policy"] == f'"reads";q={READS};w=60'
        assert reply.headers["RateLimit"].startswith(f'"reads";r={left};t=')
    refused = secretariat.get("/v1/me", headers={"Accept-Language": "en", "X-Request-Id": "mine"})
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit"] == f'"reads";r=0;t={refused.headers["Retry-After"]}'
    assert f"{READS} read requests" in refused.json()["detail"]
    assert refused.headers["X-Request-Id"] == refused.json()["request_id"] == "mine"
    assert secretariat.head("/v1/me").content == b""


def test_writes_have_their_own_budget_and_a_refused_write_keeps_nothing(secretariat: TestClient) -> None:
    put_plan(secretariat)
    refused = secretariat.put("/v1/plans/63.02-2027", json={"title": "RAT Kotabaru"})
    assert refused.status_code == 429
    assert refused.headers["RateLimit"].startswith('"writes";r=0;t=')
    assert secretariat.get("/v1/plans/63.02-2027").status_code == 404


def test_each_principal_and_each_anonymous_address_has_its_own_budget(
    secretariat: TestClient, limited: FastAPI, database: OneTransaction
) -> None:
    while secretariat.get("/v1/me").status_code == 200:
        pass
    other = {"Authorization": f"Bearer {token_for(database, ('reader', '63'))}"}
    assert secretariat.get("/v1/me", headers=other).status_code == 200
    with TestClient(limited) as anonymous:
        assert [anonymous.get("/v1/me").status_code for _ in range(READS + 1)] == [401] * READS + [429]
        health = [anonymous.get("/health") for _ in range(READS + 1)]
    assert {reply.status_code for reply in health} == {200}
    assert "RateLimit" not in health[0].headers


def test_without_limits_no_request_is_counted_or_reported(database: OneTransaction) -> None:
    settings = Settings(
        _env_file=None,
        database_url="sqlite://",
        reads_per_minute=0,
        writes_per_minute=0,
        failures_per_minute=0,
    )
    application = create_app(settings, database)
    with TestClient(application, headers={"Authorization": "Bearer forged"}) as client:
        replies = [client.get("/v1/me") for _ in range(3)]
    assert [(reply.status_code, "RateLimit" in reply.headers) for reply in replies] == [(401, False)] * 3
    rates = application.state.rates
    assert [len(budget) for budget in (rates.reads, rates.failures)] == [0, 0]


def test_a_budget_renews_a_minute_after_the_first_request_and_drops_old_callers() -> None:
    budget = Budget("reads", 2)
    assert [budget.spend(A, 1000.0) for _ in range(3)] == [(True, 1, 60), (True, 0, 60), (False, 0, 60)]
    assert budget.spend(A, 1045.5) == budget.peek(A, 1045.5) == (False, 0, 15)
    assert budget.peek(B, 1045.5) == (True, 2, 60)
    assert budget.spend(B, 1045.5) == (True, 1, 60)
    assert budget.spend(A, 1060.0) == (True, 1, 60)
    budget.refund(A, 1060.0)
    budget.refund(A, 1060.0)
    assert budget.peek(A, 1060.0) == (True, 2, 60)
    budget.spend(C, 2000.0)
    assert len(budget) == 1


def test_a_flood_of_addresses_resets_no_budget_and_uses_bounded_memory() -> None:
    budget, kept = Budget("failures", 1, most=100), Caller("principal", "a")
    budget.spend(A, 0.0)
    for number in range(5000):
        budget.spend(Caller("address", f"flood {number}"), 1.0)
    assert len(budget) <= 100 + SHARED_WINDOWS
    assert not budget.peek(A, 2.0).is_within, "the flood gave a spent budget back"
    assert budget.spend(kept, 2.0).is_within, "the flood took a principal's budget"
    # An address without its own window is within its budget again with the others.
    assert budget.spend(Caller("address", "late"), 61.0).is_within


def test_recognised_secrets_are_bounded_and_count_for_ten_minutes() -> None:
    known = RecognisedSecrets(most=2)
    for at, secret in enumerate((b"1", b"2", b"1", b"3")):
        known.keep(secret, A, float(at))
    assert [known.find(secret, 4.0) for secret in (b"1", b"2", b"3")] == [A, None, A]
    assert known.find(b"3", 3.0 + RECOGNISED_SECONDS) is None
    known.drop(b"3")
    assert (known.find(b"3", 4.0), len(known)) == (None, 1)
    assert MOST_CALLERS >= 10_000
