"""The largest requests of each kind to each operation, with and without a token, do not block the event loop.

The tests measure the processor time of the loop's thread between two turns, which a busy machine does not raise.
"""

import gc
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest
from fastapi import FastAPI

from app.kit.database.engine import Database
from app.kit.http.bodies import LONGEST_QUERY, MOST_PARAMETERS
from app.kit.openapi.document import COMMITTED
from app.main import create_app
from app.settings import Settings
from tests.common import token_for
from tests.contract.operations import Operation, operations
from tests.database import own_database
from tests.load.loop import MeteredClient, open_metered

OPERATIONS = list(operations(json.loads(COMMITTED.read_bytes())))
LONGEST = 0.020
"""Seconds of processor time between two turns of the loop."""
HEAD = 60_000
"""Bytes of address and headers that the server accepts."""
LARGEST_REPLY = 300_000

Kinds = Mapping[str, tuple[str, str, list[tuple[str, bytes]], bytes]]
"""Name of a kind → method, address, headers and body of a request."""


def build_queries(operation: Operation) -> dict[str, str]:
    """Return queries as large as the server accepts."""
    name = next(iter(operation.query), "region")
    each, long = LONGEST_QUERY // MOST_PARAMETERS, LONGEST_QUERY - 40
    return {
        "a parameter 32,000 times": "&".join(["a="] * (HEAD // 3)),
        "many unknown names": "&".join(f"n{n}=" for n in range(HEAD // 7)),
        "most unknown names": "&".join(f"{'n' * (each - 8)}{n}=" for n in range(MOST_PARAMETERS)),
        "a known parameter most often": "&".join([f"{name}={'1' * (each - 30)}"] * MOST_PARAMETERS),
        "one long value": f"{name}={'1' * long}",
        "a value over the limit": f"{name}={'1' * HEAD}",
        "one long name": "n" * long,
        "escapes": f"{name}={'%41' * (long // 3)}",
    }


HEADERS: dict[str, tuple[str, bytes]] = {
    "languages": ("Accept-Language", b"x;q=0.1," * (HEAD // 8)),
    "commas for languages": ("Accept-Language", b"," * HEAD),
    "formats": ("Accept", b"a/b;q=0.1," * (HEAD // 10)),
    "codings": ("Accept-Encoding", b"gzip;q=0," * (HEAD // 9)),
    "tags of reads": ("If-None-Match", b'"a",' * (HEAD // 4)),
    "tags of writes": ("If-Match", b'"a",' * (HEAD // 4)),
    "ranges": ("Range", b"bytes=" + b"0-1," * (HEAD // 4)),
    "a long token": ("Authorization", b"Bearer " + b"a" * HEAD),
    "a token with dots": ("Authorization", b"Bearer a.b." + b"a" * HEAD),
    "a long key": ("Idempotency-Key", b"a" * HEAD),
    "a long media type": ("Content-Type", b"application/json" + b";a=b" * (HEAD // 4)),
    "a long request id": ("X-Request-Id", b"a" * HEAD),
}


def build_bodies(size: int) -> dict[str, bytes]:
    """Return JSON of this size, or as large as other limits allow."""
    return {
        "values": b'{"items":[' + b"0," * (size // 2) + b"0]}",
        "most values": b'{"items":[' + b"0," * 45_000 + b"0]}",
        "names": b"{" + b",".join(b'"n%d":1' % n for n in range(size // 12)) + b"}",
        "most names": b"{" + b",".join(b'"n%d":1' % n for n in range(45_000)) + b"}",
        "depth": b"[" * size,
        "text": b'{"title":"' + b"x" * size + b'"}',
        "items": b'{"items":[' + b"{}," * 999 + b"{}]}",
    }


def build_forms(size: int) -> dict[str, bytes]:
    """Return forms of this size that are slow to parse."""
    part = b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n'
    file = part.replace(b'"%b"', b'"file"; filename="a.csv"')
    return {
        "parts": b"".join(part % b"p" + b"x\r\n" for _ in range(size // 70)),
        "nearly ends": file + b"\r\n--a" * (size // 5) + b"\r\n--b--\r\n",
    }


def build_largest(
    operation: Operation, json_bodies: dict[str, bytes], form_bodies: dict[str, bytes]
) -> list[Kinds]:
    """Return the largest requests to an operation, grouped by their large part."""
    method, address = operation.method.upper(), operation.address()
    target = f"{address}?" + "&".join(f"{name}={value}" for name, value in operation.needed.items())
    sent = [("If-Match", b"*")] if operation.is_conditional else []
    groups: list[Kinds] = [
        {
            f"query: {kind}": (method, f"{address}?{query}", sent, b"")
            for kind, query in build_queries(operation).items()
        },
        {
            f"path: {name}": (method, operation.address(**{name: "a" * HEAD}), sent, b"")
            for name in operation.keys
        },
        {f"header: {kind}": (method, target, [*sent, header], b"") for kind, header in HEADERS.items()},
    ]
    if operation.body is not None:
        form = [*sent, ("Content-Type", b"multipart/form-data; boundary=b")]
        lines = [*sent, ("Content-Type", b"application/json")] if operation.takes_json else form
        bodies = json_bodies if operation.takes_json else form_bodies
        groups.append({f"body: {kind}": (method, target, lines, body) for kind, body in bodies.items()})
    return [group for group in groups if group]


def check_bounds(
    client: MeteredClient, bearer: bytes | None, groups: Iterable[tuple[Operation, Kinds]]
) -> None:
    """Check that no request blocks the loop, has a large reply or a server error."""
    slow: list[tuple[Any, ...]] = []
    for operation, kinds in groups:
        for kind, (method, target, headers, body) in kinds.items():
            token = [("Authorization", bearer)] if bearer and "token" not in kind else []
            sent = (method, target, [*token, *headers], body)
            status, size, longest = client.send(*sent)
            if longest > LONGEST:  # work repeats each time, page faults of a large process do not
                longest = min(client.send(*sent)[2] for _ in range(3))
            if longest > LONGEST or status >= 500 or size > LARGEST_REPLY:
                slow.append((str(operation), kind, status, size, f"{longest * 1000:.0f} ms"))
    assert not slow, "\n".join(map(str, slow))


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with own_database("sqlite") as database:
        yield database


@pytest.fixture(scope="module")
def caller(database: Database) -> Iterator[MeteredClient]:
    settings = Settings(_env_file=None, database_url="sqlite://")
    app: FastAPI = create_app(settings, database)
    app.openapi_schema = json.loads(COMMITTED.read_bytes())  # rendering it takes seconds
    gc.collect()
    gc.disable()  # the suite's objects would slow down collections
    with open_metered(app) as client:
        client.send("GET", "/openapi.json", [])
        yield client
    gc.enable()


@pytest.fixture(scope="module", params=[False, True], ids=["stranger", "administrator"])
def bearer(request: pytest.FixtureRequest, database: Database) -> bytes | None:
    if not request.param:
        return None
    return f"Bearer {token_for(database, ('administrator', '0'))}".encode()


def test_no_request_blocks_the_loop(caller: MeteredClient, bearer: bytes | None) -> None:
    """The operations each get one kind of body and one of another group, from one of the two callers.

    `make proofs GROUP=loop` sends all, and larger bodies.
    """
    bodies, uploads = build_bodies(2**20), build_forms(2**20)

    def choose() -> Iterator[tuple[Operation, Kinds]]:
        for turn, operation in enumerate(OPERATIONS):
            if turn % 2 == (bearer is None):
                continue
            groups = build_largest(operation, bodies, uploads)
            others = groups[: len(groups) - (operation.body is not None)]
            for kinds in (others[turn // 2 % len(others)], *groups[len(others) :]):
                name = list(kinds)[turn // 2 % len(kinds)]
                yield operation, {name: kinds[name]}

    check_bounds(caller, bearer, choose())


def test_the_values_of_a_body_are_freed_outside_the_loop(caller: MeteredClient, database: Database) -> None:
    """The body has half a million valid values and breaks a rule: freeing a million blocked the loop for 70 ms."""
    services = [{"service": f"service-{n}", "eligible": 140 + n, "served": 26 + n} for n in range(22)]
    rest = {"target_families": 140, "source": "DTSEN", "source_period": "2026-Q1", "services": services}
    items = [{"village": f"63.02.05.{n:04}", **rest} for n in range(5_000)]
    body = json.dumps({"items": items}).encode()
    token = f"Bearer {token_for(database, ('administrator', '0'))}".encode()
    headers = [("Authorization", token), ("Content-Type", b"application/json"), ("If-Match", b"*")]
    status, _, longest = caller.send("PUT", "/v1/coverage/2026-Q2", headers, body)
    assert status == 422
    assert longest <= LONGEST
