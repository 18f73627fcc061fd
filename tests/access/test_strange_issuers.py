"""An issuer that answers with what it should not: nothing of it is followed, kept or waited for."""

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
    """Answers each path with what a test gave it: (status, Location, body)."""

    answers: dict[str, tuple[int, str, bytes]]
    asked: list[str]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, path: str, value: Any = None, *, status: int = 200, location: str = "") -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.answers[path] = (status, location, body)


class Handler(BaseHTTPRequestHandler):
    server: Strange

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        status, location, body = self.server.answers.get(self.path, (404, "", b""))
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing to say."""


@pytest.fixture
def strange() -> Iterator[Strange]:
    server = Strange(("127.0.0.1", 0), Handler)
    server.answers, server.asked = {}, []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


KEY = {"kty": "oct", "k": "c2VjcmV0", "kid": "k"}


@pytest.mark.parametrize(
    ("discovery", "keys", "asked"),
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
def test_what_is_no_issuers_word_gives_no_keys(
    strange: Strange, issuer: RealIssuer, discovery: dict[str, Any], keys: dict[str, Any], asked: int
) -> None:
    def here(said: dict[str, Any]) -> dict[str, Any]:
        value = said.get("value")
        if isinstance(value, dict) and "issuer" in value:
            value = {name: text.replace("{at}", strange.address) for name, text in value.items()}
        return {**said, "value": value}

    strange.answer(DISCOVERY, **here(discovery))
    strange.answer("/keys", **here(keys))
    strange.answer("/elsewhere", {"issuer": strange.address, "jwks_uri": f"{strange.address}/keys"})
    found = create_issuer(
        Settings(
            _env_file=None,
            oidc_issuer=strange.address,
            oidc_audience=AUDIENCE,
            oidc_algorithms="RS512",
        )
    )
    assert found is not None
    for _ in range(3):
        found.refresh_if_due()
        with pytest.raises(IssuerUnreachable):
            found.verify_token(issuer.sign(iss=strange.address))
    assert len(strange.asked) == asked, "asked again at once, or led elsewhere"
    assert "/elsewhere" not in strange.asked
