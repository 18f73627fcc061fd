"""Network limits behind a proxy: the service believes trusted proxies only."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2 as httpx
import pytest
import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError

from app.kit.database.engine import Database
from app.main import create_app
from app.settings import Settings
from app.startup.serving import build_options
from tests.common import token_for
from tests.database import own_database

OFFICE = "203.0.113.7"


@contextmanager
def serve(app: FastAPI, settings: Settings) -> Iterator[str]:
    """Serve the application as `rata serve` does, in a thread; yield its address."""
    server = uvicorn.Server(uvicorn.Config(app, **{**build_options(settings), "port": 0, "lifespan": "off"}))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def committed() -> Iterator[Database]:
    with own_database("sqlite") as database:
        yield database


@pytest.mark.parametrize(
    ("proxies", "forwarded", "status"),
    [
        ("127.0.0.1", OFFICE, 200),
        ("10.0.0.0/8, 127.0.0.0/8", OFFICE, 200),
        ("127.0.0.1", "198.51.100.9", 401),
        # The service does not believe addresses that the caller put before the proxy's.
        ("127.0.0.1", f"{OFFICE}, 198.51.100.9", 401),
        ("192.0.2.1", OFFICE, 401),
        ("", OFFICE, 401),
    ],
)
def test_only_a_trusted_proxy_gives_the_address_of_the_caller(
    committed: Database, monkeypatch: pytest.MonkeyPatch, proxies: str, forwarded: str, status: int
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    secret = token_for(committed, ("reader", "63"), networks=(f"{OFFICE}/32",))
    settings = Settings(_env_file=None, database_url=str(committed.url), trusted_proxies=proxies)
    headers = {"Authorization": f"Bearer {secret}", "X-Forwarded-For": forwarded}
    with serve(create_app(settings, committed), settings) as address:
        assert httpx.get(f"{address}/v1/me", headers=headers, timeout=60).status_code == status


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"trusted_proxies": "proxy.example"}, "trusted_proxies"),
        ({"public_regions": "63, true"}, "public_regions"),
        ({"public_regions": "63.02.01.2001"}, "public_regions"),
        ({"oidc_issuer": "http://issuer.example", "oidc_audience": "x"}, "oidc_issuer"),
        ({"oidc_issuer": "https://issuer.example?tenant=1", "oidc_audience": "x"}, "oidc_issuer"),
        ({"oidc_issuer": "https://user@issuer.example", "oidc_audience": "x"}, "oidc_issuer"),
        ({"oidc_issuer": "issuer.example", "oidc_audience": "x"}, "oidc_issuer"),
        ({"oidc_issuer": "https://issuer.example"}, "oidc_audience"),
        ({"oidc_algorithms": "HS256"}, "oidc_algorithms"),
        ({"oidc_algorithms": "RS256,none"}, "oidc_algorithms"),
        ({"oidc_algorithms": ""}, "oidc_algorithms"),
    ],
)
def test_insecure_settings_are_refused_by_name(wrong: dict[str, str], named: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(_env_file=None, **wrong)  # type: ignore[arg-type]  # wrong on purpose
    assert [error["loc"] for error in refused.value.errors()] == [(named,)]
