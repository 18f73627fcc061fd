"""An issuer with invalid answers: the service follows, keeps and awaits nothing of them."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from app.access.issuer import FETCH_BYTES, IssuerUnreachable, create_issuer
from app.settings import Settings
from tests.access.issuer import AUDIENCE, RealIssuer

DISCOVERY = "/.well-known/openid-configuration"


class Strange(HTTPServer):
    """A server that answers each path as a test set: (status, Location, body)."""

    answers: dict[str, tuple[int, str, bytes]]
    requests: list[str]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, path: str, value: Any = None, *, status: int = 200, location: str = "") -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.answers[path] = (status, location, body)


class Handler(BaseHTTPRequestHandler):
    server: Strange

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        status, location, body = self.server.answers.get(self.path, (404, "", b""))
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture
def strange() -> Iterator[Strange]:
    server = Strange(("127.0.0.1", 0), Handler)
    server.answers, server.requests = {}, []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


KEY = {"kty": "oct", "k": "c2VjcmV0", "kid": "k"}


@pytest.mark.parametrize(
    ("discovery", "keys", "requests"),
    [
        ({"value": None, "status": 302, "location": "/elsewhere"}, {}, 1),
        ({"value": b"<html>"}, {}, 1),
        ({"value": ["issuer"]}, {}, 1),
        ({"value": b" " * (FETCH_BYTES + 1)}, {}, 1),
        ({"value": {"issuer": "https://issuer.example", "jwks_uri": "{at}/keys"}}, {}, 1),
        ({"value": {"issuer": "{at}"}}, {}, 1),
        ({"value": {"issuer": "{at}", "jwks_uri": "http://issuer.example/keys"}}, {}, 1),
        ({"value": {"issuer": "{at}", "jwks_uri": "file:///etc/passwd"}}, {}, 1),
        ({"value": {"issuer": "{at}", "jwks_uri": "{at}/keys"}}, {"value": {"keys": []}}, 2),
        ({"value": {"issuer": "{at}", "jwks_uri": "{at}/keys"}}, {"value": {"keys": [KEY, 7]}}, 2),
        (
            {"value": {"issuer": "{at}", "jwks_uri": "{at}/keys"}},
            {"status": 302, "location": "/elsewhere"},
            2,
        ),
    ],
)
def test_invalid_answers_give_no_keys(
    strange: Strange, issuer: RealIssuer, discovery: dict[str, Any], keys: dict[str, Any], requests: int
) -> None:
    def fill_address(template: dict[str, Any]) -> dict[str, Any]:
        value = template.get("value")
        if isinstance(value, dict) and "issuer" in value:
            value = {name: text.replace("{at}", strange.address) for name, text in value.items()}
        return {**template, "value": value}

    strange.answer(DISCOVERY, **fill_address(discovery))
    strange.answer("/keys", **fill_address(keys))
    strange.answer("/elsewhere", {"issuer": strange.address, "jwks_uri": f"{strange.address}/keys"})
    created = create_issuer(
        Settings(
            _env_file=None,
            oidc_issuer=strange.address,
            oidc_audience=AUDIENCE,
            oidc_algorithms="RS512",
        )
    )
    assert created is not None
    for _ in range(3):
        created.refresh_if_due()
        with pytest.raises(IssuerUnreachable):
            created.verify_token(issuer.sign(iss=strange.address))
    assert len(strange.requests) == requests, "asked again at once, or led elsewhere"
    assert "/elsewhere" not in strange.requests
