"""Fixtures of every test: a database of either engine, an application over it, clients with roles."""

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, settings

from app.access.commands import LastUses
from app.access.models import Membership, Principal, Token, TokenScope
from app.access.queries import hash_secret
from app.access.rules import find_common_region
from app.convergence.scorecards.cache import FiguresCache
from app.kit.database.engine import Database, get_table
from app.main import create_app
from app.settings import Settings
from app.wiring import wire
from tests.calling import Client
from tests.database import ENGINES, OneTransaction, own_database, rolled_back
from tests.docs.server import Demo, running_demo
from tests.sentences import hold_sentences

ConnectAs = Callable[..., TestClient]

# Without deadlines: on a busy machine examples are slow.
settings.register_profile(
    "suite", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=30
)
settings.load_profile("suite")

# Each role has one fixture below, which defines its rights. A folder that needs content beforehand overrides the
# fixture with one of that name, which takes it, writes the content and returns the client.


@pytest.fixture(scope="session")
def sqlite_template() -> Iterator[Database]:
    with own_database("sqlite") as database:
        yield database


def pytest_configure(config: pytest.Config) -> None:
    wire()
    hold_sentences()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # a shell ignores SIGINT in background jobs, and every process that a test stops would inherit that
        signal.signal(signal.SIGINT, signal.default_int_handler)
    structlog.configure(processors=[structlog.stdlib.add_log_level, structlog.processors.JSONRenderer()])
    # the export cache of this run's applications
    spool = tempfile.TemporaryDirectory(prefix="rata-spool-")
    config.add_cleanup(spool.cleanup)
    os.environ["RATA_SPOOL_FOLDER"] = spool.name
    # rate limits that no test reaches; replies still report them
    for budget in ("READS", "WRITES", "FAILURES"):
        os.environ[f"RATA_{budget}_PER_MINUTE"] = "10000000"


@pytest.fixture(scope="session")
def postgres_template() -> Iterator[Database]:
    with own_database("postgres") as database:
        yield database


@pytest.fixture(params=ENGINES)
def template(request: pytest.FixtureRequest) -> Database:
    """The committed database of one engine; tests that commit copy it first."""
    template: Database = request.getfixturevalue(f"{request.param}_template")
    return template


@pytest.fixture
def database(template: Database) -> Iterator[OneTransaction]:
    with rolled_back(template) as database:
        yield database


@pytest.fixture(scope="session")
def built_app() -> FastAPI:
    """The application, built once, since that takes as long as a test."""
    settings = Settings(_env_file=None, database_url="sqlite://")
    return create_app(settings, Database(settings.database_url))


@pytest.fixture
def app(built_app: FastAPI, database: OneTransaction) -> FastAPI:
    """The application over the test's own database."""
    put_over(built_app, database)
    return built_app


def put_over(app: FastAPI, database: OneTransaction) -> None:
    """Set the database of the application and empty its caches."""
    app.state.database = database
    app.state.last_uses = LastUses()
    app.state.figures_cache = FiguresCache()


_principals = sa.insert(get_table(Principal)).values(version=1).returning(sa.column("id"))
_tokens = sa.insert(get_table(Token)).values(version=1)
_memberships = sa.insert(get_table(Membership))


def token_for(
    database: Database,
    *roles: tuple[str, str] | tuple[str, str, str],
    scopes: tuple[TokenScope, ...] = tuple(TokenScope),
    networks: tuple[str, ...] = (),
    days: int = 1,
    prefix: str = "",
) -> str:
    """Create a token with (role, region[, agency]) memberships, or with none; return its secret.

    It inserts rows without a journal: the command would take a tenth of a test's time.
    """
    now = datetime.now(UTC)
    label = prefix + "-".join(["-".join(role) for role in roles] or ["stranger"])
    name = f"{label[:25]}-{time.time_ns() % 10**14}"  # the longest valid key
    secret = f"rata_{token_urlsafe(32)}"
    owner = {"name": name, "region_code": find_common_region(role[1] for role in roles), "created_at": now}
    token = {
        "name": name,
        "hash": hash_secret(secret),
        "scopes": [str(scope) for scope in scopes],
        "networks": list(networks),
        "created_at": now,
        "expires_at": now + timedelta(days=days),
    }
    memberships = [
        {"role": role[0], "region_code": role[1], "agency_code": "".join(role[2:])} for role in roles
    ]
    with database.writing() as session:
        principal = {"principal_id": session.scalar(_principals, owner)}
        session.connection().execute(_tokens, {**token, **principal})
        if memberships:
            session.connection().execute(
                _memberships, [{**membership, **principal} for membership in memberships]
            )
    return secret


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    """One event loop for the clients of all tests, which would otherwise start one for each request."""
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture
def connect(app: FastAPI, database: OneTransaction, portal: BlockingPortal) -> Iterator[ConnectAs]:
    """A function: `connect(("secretariat", "63.02"))` returns a client with these memberships."""
    with open_connector(app, database, portal) as connect_as:
        yield connect_as


@contextmanager
def open_connector(app: FastAPI, database: OneTransaction, portal: BlockingPortal) -> Iterator[ConnectAs]:
    """Yield a function that makes clients with memberships; close them at the end."""
    opened: list[TestClient] = []

    def connect_as(*roles: Any, **options: Any) -> TestClient:
        secret = token_for(database, *roles, **options)
        headers = {"Authorization": f"Bearer {secret}"}
        opened.append(Client(app, portal, headers=headers, in_loop=True))
        return opened[-1]

    yield connect_as
    for client in opened:
        client.close()


def begin_with(make: Callable[[ConnectAs, OneTransaction], object]) -> tuple[Any, Any]:
    """Return the fixtures `world` and `database` of a module with content that `make` writes for all tests.

    `make` runs once for a module and engine; the changes of each test roll back. SQLite allows one writer at a time,
    so such a module uses no other database of the engine.
    """

    @pytest.fixture(scope="module", params=ENGINES)
    def world(request: pytest.FixtureRequest) -> Iterator[OneTransaction]:
        app, portal = request.getfixturevalue("built_app"), request.getfixturevalue("portal")
        with rolled_back(request.getfixturevalue(f"{request.param}_template")) as database:
            put_over(app, database)
            with open_connector(app, database, portal) as connect_as:
                make(connect_as, database)
            yield database

    @pytest.fixture
    def database(world: OneTransaction) -> Iterator[OneTransaction]:
        point = world.connection.begin_nested()
        world.statements.clear()
        yield world
        point.rollback()

    return world, database


@pytest.fixture
def secretariat(connect: ConnectAs) -> TestClient:
    """A client of the secretariat of Kotabaru (63.02)."""
    return connect(("secretariat", "63.02"))


@pytest.fixture
def provincial_reader(connect: ConnectAs) -> TestClient:
    """A reader of Kalimantan Selatan (63), without drafts."""
    return connect(("reader", "63"))


@pytest.fixture
def provincial_reviewer(connect: ConnectAs) -> TestClient:
    """The reviewer of Kalimantan Selatan (63), with the drafts of its regencies."""
    return connect(("reviewer", "63"))


@pytest.fixture
def provincial_administrator(connect: ConnectAs) -> TestClient:
    """The administrator of Kalimantan Selatan (63)."""
    return connect(("administrator", "63"))


@pytest.fixture
def national_administrator(connect: ConnectAs) -> TestClient:
    """The administrator of the nation (0)."""
    return connect(("administrator", "0"))


@pytest.fixture
def stranger(connect: ConnectAs) -> TestClient:
    """A client with a valid token and without memberships."""
    return connect()


@pytest.fixture
def anonymous(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A running `rata demo` for tests from outside."""
    with running_demo(tmp_path_factory.mktemp("demo")) as demo:
        yield demo


@pytest.fixture(scope="session")
def root() -> Path:
    return Path(__file__).parents[1]
