"""Rate limits that no spelling, no forged token and no further token of a principal evades."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from app.access.commands import Write
from app.access.models import Role, TokenIn, TokenScope
from app.access.queries import list_tokens
from app.access.rules import CONSOLE, Grant
from app.access.tokens import create_token, revoke_token
from app.kit.database.journal import Author
from app.kit.http.credentials import read_address, read_secret
from app.kit.problems import TooManyFailures
from app.kit.server.rate_limit import RECOGNISED_SECONDS, WINDOW_SECONDS, Charge, RateBudgets
from app.main import create_app
from app.settings import Settings
from tests.common import token_for
from tests.database import OneTransaction

pytestmark = pytest.mark.one_engine

FAILURES = 6


class Limited:
    """An application with rate limits and a clock of the test."""

    def __init__(self, database: OneTransaction, reads: int) -> None:
        settings = Settings(
            _env_file=None, database_url="sqlite://", reads_per_minute=reads, failures_per_minute=FAILURES
        )
        self.database, self.now = database, 1000.0
        self.app: FastAPI = create_app(settings, database)
        self.rates: RateBudgets = self.app.state.rates
        self.rates.clock = lambda: self.now

    @contextmanager
    def connect(self, authorization: str, address: str = "203.0.113.7") -> Iterator[TestClient]:
        headers = {"Authorization": authorization, "Accept-Language": "en"}
        with TestClient(self.app, headers=headers, client=(address, 50000)) as client:
            yield client

    def list_statuses(self, secrets: list[str], address: str = "203.0.113.7") -> list[int]:
        """Send a request with each secret; return the statuses."""
        with self.connect("", address) as client:
            return [
                client.get("/v1/me", headers={"Authorization": f"Bearer {secret}"}).status_code
                for secret in secrets
            ]


@pytest.fixture
def limited(database: OneTransaction) -> Limited:
    return Limited(database, reads=1000)


def forge(count: int) -> list[str]:
    return [f"rata_forged{number}" for number in range(count)]


# Spelling

BLANKS = st.text(" \t", max_size=4)
SECRETS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF), min_size=1, max_size=40)
SCHEMES = st.tuples(*[st.sampled_from([letter, letter.upper()]) for letter in "bearer"]).map("".join)


def build_scope(header: str, address: str | None = "203.0.113.7") -> dict[str, object]:
    client = None if address is None else (address, 1)
    headers = [(b"authorization", header.encode("latin-1"))]
    return {"type": "http", "method": "GET", "path": "/v1/me", "headers": headers, "client": client}


@given(secret=SECRETS, other=SECRETS, scheme=SCHEMES, before=BLANKS, between=BLANKS, after=BLANKS)
def test_every_spelling_of_a_secret_has_one_budget(
    secret: str, other: str, scheme: str, before: str, between: str, after: str
) -> None:
    rates = RateBudgets(reads=9, writes=9, failures=9, clock=lambda: 0.0)
    Charge(rates, build_scope(f"Bearer {secret}")).recognise("of secret")
    Charge(rates, build_scope(f"Bearer {other}")).recognise("of other")
    spelling = build_scope(f"{before}{scheme} {between}{secret}{after}")
    assert read_secret(spelling) == secret
    assert Charge(rates, spelling).caller == ("principal", "of other" if secret == other else "of secret")


@given(header=st.text(st.characters(max_codepoint=0xFF), max_size=30))
def test_a_header_is_charged_to_a_principal_exactly_if_its_secret_authenticates(header: str) -> None:
    rates = RateBudgets(reads=9, writes=9, failures=9, clock=lambda: 0.0)
    Charge(rates, build_scope("Bearer x")).recognise("of x")
    is_charged = Charge(rates, build_scope(header)).caller.kind == "principal"
    assert is_charged == (read_secret(build_scope(header)) == "x")


@pytest.mark.parametrize("spelling", ["bearer  {}", "BEARER {} ", "Bearer\t{}", "beaRer \t{}\t"])
def test_a_token_has_the_budget_of_its_usual_spelling(database: OneTransaction, spelling: str) -> None:
    limited, secret = Limited(database, reads=3), token_for(database, ("reader", "63"))
    with limited.connect(f"Bearer {secret}") as usual, limited.connect(spelling.format(secret)) as other:
        replies = [client.get("/v1/me") for client in (usual, other, usual, other)]
    assert [reply.status_code for reply in replies] == [200, 200, 200, 429]
    assert [reply.headers["RateLimit"] for reply in replies] == [
        f'"reads";r={left};t=60' for left in (2, 1, 0, 0)
    ]


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer\t", "Basic eA==", "Bearerx", "x Bearer y"]
)
def test_a_header_without_a_secret_costs_no_look_up(limited: Limited, header: str) -> None:
    before = len(limited.database.statements)
    with limited.connect(header) as client:
        assert client.get("/v1/me").status_code == 401
    assert len(limited.database.statements) == before
    assert len(limited.rates.failures) == 0


# Addresses


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:203.0.113.7", "203.0.113.7", True),
        ("203.0.113.7", "203.0.113.8", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("no:address", "other:no", False),
    ],
)
def test_an_ipv6_address_counts_as_its_network(first: str, second: str, is_same: bool) -> None:
    assert (read_address(build_scope("", first)) == read_address(build_scope("", second))) == is_same


def test_requests_without_a_client_share_one_address() -> None:
    assert read_address(build_scope("", None)) == ""


# Forged tokens


def test_forged_tokens_of_an_address_cause_a_bounded_number_of_look_ups(limited: Limited) -> None:
    before = len(limited.database.statements)
    assert limited.list_statuses(forge(20)) == [401] * FAILURES + [429] * 14
    assert len(limited.database.statements) - before == FAILURES
    assert limited.list_statuses(forge(1), "203.0.113.8") == [401], "another address is another"
    assert len(limited.rates.reads) == 2, "a forged token has no window of its own"
    limited.now += WINDOW_SECONDS
    assert limited.list_statuses(forge(1)) == [401]


def test_the_429_names_its_cause_in_both_languages(limited: Limited) -> None:
    limited.list_statuses(forge(FAILURES))
    limited.now += 15.5
    with limited.connect("Bearer forged") as client:
        replies = [client.get("/v1/me", headers={"Accept-Language": language}) for language in ("en", "id")]
    for reply, sentence in zip(replies, ("sent 6 invalid tokens", "mengirim 6 token"), strict=True):
        assert (reply.status_code, reply.json()["code"]) == (429, "too_many_failures")
        assert sentence in reply.json()["detail"]
        assert reply.headers["Retry-After"] == "45"
        assert reply.headers["RateLimit"] == '"failures";r=0;t=45'
        assert reply.headers["RateLimit-Policy"] == '"failures";q=6;w=60'


def test_a_recognised_token_works_at_an_address_over_its_limit(
    limited: Limited, database: OneTransaction
) -> None:
    known, late = token_for(database, ("reader", "63")), token_for(database, ("reader", "63"))
    assert limited.list_statuses([known]) == [200]
    limited.list_statuses(forge(FAILURES))
    assert limited.list_statuses([known, late]) == [200, 429]
    assert limited.list_statuses([late], "203.0.113.8") == [200]
    limited.now += RECOGNISED_SECONDS
    limited.list_statuses(forge(FAILURES))
    assert limited.list_statuses([known]) == [429]


def test_a_revoked_token_counts_as_a_failure_of_its_address(
    limited: Limited, database: OneTransaction
) -> None:
    secret = token_for(database, ("reader", "63"))
    assert limited.list_statuses([secret]) == [200]
    with database.writing() as session:
        ((row, _, _),) = list_tokens(session)
        revoke_token(Write(session, Author("test", datetime.now(UTC)), CONSOLE), name=row.name)
    before = len(database.statements)
    assert limited.list_statuses([secret] * (FAILURES + 1)) == [401] * FAILURES + [429]
    assert len(database.statements) - before == FAILURES


def test_requests_outside_the_networks_of_a_token_never_charge_its_principal(
    limited: Limited, database: OneTransaction
) -> None:
    secret = token_for(database, ("reader", "63"), networks=("203.0.113.7/32",))
    assert limited.list_statuses([secret] * 3, "198.51.100.9") == [401] * 3
    with limited.connect(f"Bearer {secret}") as client:
        assert client.get("/v1/me").headers["RateLimit"] == '"reads";r=999;t=60'
        # The worker has recognised the token, and still does not charge its principal.
        assert limited.list_statuses([secret] * 3, "198.51.100.9") == [401] * 3
        assert client.get("/v1/me").headers["RateLimit"] == '"reads";r=998;t=60'


def test_concurrent_look_ups_are_at_most_the_remaining_failures() -> None:
    rates = RateBudgets(reads=9, writes=9, failures=2, clock=lambda: 0.0)
    with ExitStack() as under_way:
        for number in range(2):
            under_way.enter_context(Charge(rates, build_scope(f"Bearer {number}")).look_up())
        with pytest.raises(TooManyFailures), Charge(rates, build_scope("Bearer third")).look_up():
            pytest.fail("looked up")
    with Charge(rates, build_scope("Bearer third")).look_up():
        pass  # the two succeeded, so they refunded their failures


def test_valid_requests_refund_the_failure(limited: Limited, database: OneTransaction) -> None:
    secrets = [token_for(database, ("reader", "63")) for _ in range(FAILURES + 5)]
    assert limited.list_statuses(secrets) == [200] * len(secrets)


# Many tokens of one principal


def test_the_tokens_of_a_principal_share_its_budget(database: OneTransaction) -> None:
    limited, now = Limited(database, reads=5), datetime.now(UTC)
    with database.writing() as session:
        secrets = [
            create_token(
                Write(session, Author("test", now), CONSOLE),
                name=f"dashboard-{number}",
                principal="dashboard",
                grants=[Grant(Role.reader, "63", None)],
                content=TokenIn(scopes=[TokenScope.read], expires_at=now + timedelta(days=1)),
            )
            for number in range(7)
        ]
    other = token_for(database, ("reader", "63"))
    assert limited.list_statuses(secrets) == [200] * 5 + [429] * 2
    assert limited.list_statuses([secrets[0], other]) == [429, 200]
    limited.now += WINDOW_SECONDS
    assert limited.list_statuses(secrets[:1]) == [200]
