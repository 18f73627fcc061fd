"""Replies that never change in a process: it renders and tags their bytes once."""

import gzip
import json
import re
import threading
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.kit.http.anonymous import CACHE
from app.kit.http.constants import Constant, LateConstant
from app.kit.openapi import document as openapi
from app.main import create_app
from app.settings import Settings
from tests.calling import Client

CHANGING = {"/health", "/ready", "/metrics"}
"""Addresses outside `/v1` with changing replies, each with `no-store`."""
KEYS = {"name": "swagger-ui-bundle.js", "page": "quarters"}
"""Examples for the keys of undocumented addresses."""


@pytest.fixture(scope="module")
def application() -> FastAPI:
    application = create_app(Settings(_env_file=None, database_url="sqlite://"))
    application.openapi_schema = json.loads(openapi.COMMITTED.read_bytes())  # rendering it takes seconds
    return application


@pytest.fixture
def anonymous(application: FastAPI, portal: BlockingPortal) -> Iterator[TestClient]:
    client = Client(application, portal)
    yield client
    client.close()


def list_addresses(document: dict[str, Any], application: FastAPI) -> list[str]:
    """List the addresses outside `/v1`, with examples for their keys."""
    addresses = []
    for path, operations in document["paths"].items():
        if not path.startswith("/v1"):
            keys = {
                item["name"]: item.get("example") or item["schema"]["examples"][0]
                for item in operations["get"]["parameters"]
                if item["in"] == "path"
            }
            addresses.append(path.format(**keys))
    plain = [
        route.path for route in application.routes if isinstance(route, Route) and not route.include_in_schema
    ]
    addresses += [re.sub(r"\{(\w+)[^}]*\}", lambda key: KEYS[key[1]], path) for path in plain]
    return [address for address in dict.fromkeys(addresses) if address not in CHANGING]


def test_every_address_outside_of_v1_is_a_constant(application: FastAPI, anonymous: TestClient) -> None:
    document = json.loads(anonymous.get("/openapi.json").content)
    addresses = list_addresses(document, application)
    assert {
        "/",
        "/openapi.json",
        "/docs",
        "/docs/guide",
        "/docs/static/swagger-ui-bundle.js",
        "/findings",
    } <= set(addresses)
    assert len(addresses) >= 6
    for address in addresses:
        plain = anonymous.get(address, headers={"Accept-Encoding": "identity"})
        assert (plain.status_code, plain.headers["Cache-Control"]) == (200, CACHE), address
        assert "Accept-Encoding" in plain.headers["Vary"]
        packed = anonymous.get(address, headers={"Accept-Encoding": "br;q=1, gzip;q=0.5"})
        assert packed.content == plain.content, address
        is_packed = packed.headers.get("Content-Encoding") == "gzip"
        assert is_packed or len(plain.content) < 1000, address
        tag = plain.headers["ETag"]
        assert packed.headers["ETag"] == (tag.removesuffix('"') + '-gzip"' if is_packed else tag)
        refused = anonymous.get(address, headers={"Accept-Encoding": "gzip;q=0"})
        assert "Content-Encoding" not in refused.headers
        for sent in (tag, packed.headers["ETag"], f"W/{tag}"):
            same = anonymous.get(address, headers={"If-None-Match": sent})
            assert (same.status_code, same.content) == (304, b""), (address, sent)
            assert same.headers["ETag"] == sent.removeprefix("W/")
            assert same.headers["Cache-Control"] == CACHE
        assert anonymous.get(address, headers={"If-None-Match": '"other"'}).status_code == 200
        assert anonymous.head(address).headers["ETag"] == packed.headers["ETag"]


def test_the_document_declares_the_etags_of_constants(anonymous: TestClient) -> None:
    paths = anonymous.get("/openapi.json").json()["paths"]
    for path in ("/problems/{code}", "/findings", "/findings/{code}"):
        operation = paths[path]["get"]
        assert {"200", "304"} <= operation["responses"].keys()
        assert "ETag" in operation["responses"]["200"]["headers"]
    assert "304" not in paths["/health"]["get"]["responses"]


def test_the_document_is_rendered_once_and_outside_the_loop(
    portal: BlockingPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = create_app(Settings(_env_file=None, database_url="sqlite://"))
    makers: list[threading.Thread] = []

    class Committed:
        def read_bytes(self) -> bytes:
            makers.append(threading.current_thread())
            return b'{"openapi": "3.1.0", "servers": [{"url": "/"}], "externalDocs": {}, "paths": {}}'

    monkeypatch.setattr(openapi, "COMMITTED", Committed())
    client = Client(application, portal)
    replies = [client.get("/openapi.json") for _ in range(3)]
    client.close()
    loop = portal.call(threading.current_thread)
    assert [reply.status_code for reply in replies] == [200] * 3
    (maker,) = makers
    assert maker not in (loop, threading.main_thread())
    behind = TestClient(application, root_path="/rata").get("/openapi.json")
    assert behind.json()["servers"] == [{"url": "/rata"}, {"url": "/"}]
    assert replies[0].json()["servers"] == [{"url": "/"}]


def build_request(**headers: str) -> Request:
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "path": "/x", "headers": sent})


def test_replies_share_their_bytes() -> None:
    constant = Constant(b"x" * 2000, "text/plain")
    assert constant.answer(build_request()).body is constant.answer(build_request()).body is constant.body
    packed = [constant.answer(build_request(accept_encoding="gzip")).body for _ in range(2)]
    assert packed[0] is packed[1]
    assert gzip.decompress(bytes(packed[0])) == constant.body
    assert Constant(b"short", "text/plain").packed is None


def test_concurrent_first_requests_render_a_constant_once_despite_a_disconnect() -> None:
    go, calls = threading.Event(), []

    def make() -> Constant:
        go.wait(60)
        calls.append(1)
        return Constant(b"x", "text/plain")

    late, replies = LateConstant(make), list[Response]()

    async def ask() -> None:
        replies.append(await late.answer(build_request()))

    async def ask_together() -> None:
        async with anyio.create_task_group() as group:
            with anyio.move_on_after(0.01):
                await ask()
            for _ in range(50):
                group.start_soon(ask)
            await anyio.sleep(0)
            assert not replies, "the loop waited"
            go.set()

    anyio.run(ask_together)
    assert ([reply.body for reply in replies], calls) == ([b"x"] * 50, [1])


def test_a_constant_that_fails_to_render_fails_for_every_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    def fail() -> Constant:
        raise LookupError("no such file")

    late = LateConstant(fail)
    for _ in range(2):
        with pytest.raises(LookupError):
            anyio.run(late.answer, build_request())
