"""No request keeps the event loop busy: of each operation the largest of each kind, with a token and without.

What counts is the processor time of the loop's thread between two turns. A busy machine does not add to it.
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
from tests.load.loop import MeteredClient, metered

OPERATIONS = list(operations(json.loads(COMMITTED.read_bytes())))
LONGEST = 0.020
"""Seconds of processor time between two turns of the loop."""
HEAD = 60_000
"""Bytes of address and headers that the server takes."""
LARGEST_REPLY = 300_000

Kinds = Mapping[str, tuple[str, str, list[tuple[str, bytes]], bytes]]
"""Name of a kind → method, address, headers and body of a request."""


def queries(one: Operation) -> dict[str, str]:
    """Queries as large as the server takes them."""
    name = next(iter(one.query), "region")
    each, long = LONGEST_QUERY // MOST_PARAMETERS, LONGEST_QUERY - 40
    return {
        "a parameter 32,000 times": "&".join(["a="] * (HEAD // 3)),
        "many unknown names": "&".join(f"n{n}=" for n in range(HEAD // 7)),
        "as many unknown names as may be": "&".join(
            f"{'n' * (each - 8)}{n}=" for n in range(MOST_PARAMETERS)
        ),
        "a known parameter as often as may be": "&".join([f"{name}={'1' * (each - 30)}"] * MOST_PARAMETERS),
        "one long value": f"{name}={'1' * long}",
        "one value that is too long": f"{name}={'1' * HEAD}",
        "one long name": "n" * long,
        "escapes": f"{name}={'%41' * (long // 3)}",
    }


HEADERS: dict[str, tuple[str, bytes]] = {
    "languages": ("Accept-Language", b"x;q=0.1," * (HEAD // 8)),
    "commas for languages": ("Accept-Language", b"," * HEAD),
    "formats": ("Accept", b"a/b;q=0.1," * (HEAD // 10)),
    "codings": ("Accept-Encoding", b"gzip;q=0," * (HEAD // 9)),
    "tags that one has": ("If-None-Match", b'"a",' * (HEAD // 4)),
    "tags to change": ("If-Match", b'"a",' * (HEAD // 4)),
    "ranges": ("Range", b"bytes=" + b"0-1," * (HEAD // 4)),
    "a long token": ("Authorization", b"Bearer " + b"a" * HEAD),
    "a token with dots": ("Authorization", b"Bearer a.b." + b"a" * HEAD),
    "a long key": ("Idempotency-Key", b"a" * HEAD),
    "a long media type": ("Content-Type", b"application/json" + b";a=b" * (HEAD // 4)),
    "a long request id": ("X-Request-Id", b"a" * HEAD),
}


def bodies(size: int) -> dict[str, bytes]:
    """JSON of this size, or as large as its other bounds allow."""
    return {
        "values": b'{"items":[' + b"0," * (size // 2) + b"0]}",
        "values as many as may be": b'{"items":[' + b"0," * 45_000 + b"0]}",
        "names": b"{" + b",".join(b'"n%d":1' % n for n in range(size // 12)) + b"}",
        "names as many as may be": b"{" + b",".join(b'"n%d":1' % n for n in range(45_000)) + b"}",
        "depth": b"[" * size,
        "text": b'{"title":"' + b"x" * size + b'"}',
        "items": b'{"items":[' + b"{}," * 999 + b"{}]}",
    }


def forms(size: int) -> dict[str, bytes]:
    """Forms of this size that are slow to parse."""
    part = b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n'
    file = part.replace(b'"%b"', b'"file"; filename="a.csv"')
    return {
        "parts": b"".join(part % b"p" + b"x\r\n" for _ in range(size // 70)),
        "nearly ends": file + b"\r\n--a" * (size // 5) + b"\r\n--b--\r\n",
    }


def largest(one: Operation, json_bodies: dict[str, bytes], form_bodies: dict[str, bytes]) -> list[Kinds]:
    """The largest requests to an operation, by what is large in them."""
    method, address = one.method.upper(), one.address()
    asked = f"{address}?" + "&".join(f"{name}={value}" for name, value in one.needed.items())
    sent = [("If-Match", b"*")] if one.is_conditional else []
    groups: list[Kinds] = [
        {f"query: {kind}": (method, f"{address}?{query}", sent, b"") for kind, query in queries(one).items()},
        {f"path: {name}": (method, one.address(**{name: "a" * HEAD}), sent, b"") for name in one.keys},
        {f"header: {kind}": (method, asked, [*sent, header], b"") for kind, header in HEADERS.items()},
    ]
    if one.body is not None:
        form = [*sent, ("Content-Type", b"multipart/form-data; boundary=b")]
        told = [*sent, ("Content-Type", b"application/json")] if one.takes_json else form
        found = json_bodies if one.takes_json else form_bodies
        groups.append({f"body: {kind}": (method, asked, told, body) for kind, body in found.items()})
    return [group for group in groups if group]


def hold_to_bounds(
    client: MeteredClient, bearer: bytes | None, groups: Iterable[tuple[Operation, Kinds]]
) -> None:
    """Each request leaves the loop free, its reply is bounded and no fault of the server."""
    slow: list[tuple[Any, ...]] = []
    for one, kinds in groups:
        for kind, (method, target, headers, body) in kinds.items():
            token = [("Authorization", bearer)] if bearer and "token" not in kind else []
            sent = (method, target, [*token, *headers], body)
            status, size, longest = client.send(*sent)
            if longest > LONGEST:  # work repeats each time; page faults of a suite's large process do not
                longest = min(client.send(*sent)[2] for _ in range(3))
            if longest > LONGEST or status >= 500 or size > LARGEST_REPLY:
                slow.append((str(one), kind, status, size, f"{longest * 1000:.0f} ms"))
    assert not slow, "\n".join(map(str, slow))


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with own_database("sqlite") as database:
        yield database


@pytest.fixture(scope="module")
def caller(database: Database) -> Iterator[MeteredClient]:
    settings = Settings(_env_file=None, database_url="sqlite://")
    app: FastAPI = create_app(settings, database)
    app.openapi_schema = json.loads(COMMITTED.read_bytes())  # making it takes seconds
    gc.collect()
    gc.disable()  # what the suite keeps alive is not the service's to look through
    with metered(app) as client:
        client.send("GET", "/openapi.json", [])
        yield client
    gc.enable()


@pytest.fixture(scope="module", params=[False, True], ids=["stranger", "administrator"])
def bearer(request: pytest.FixtureRequest, database: Database) -> bytes | None:
    if not request.param:
        return None
    return f"Bearer {token_for(database, ('administrator', '0'))}".encode()


def test_no_request_keeps_the_loop(caller: MeteredClient, bearer: bytes | None) -> None:
    """Of a body and of one other group one kind, in turn, from one of the two callers.

    `make proofs GROUP=loop` sends all, and larger bodies.
    """
    found, uploads = bodies(2**20), forms(2**20)

    def chosen() -> Iterator[tuple[Operation, Kinds]]:
        for turn, one in enumerate(OPERATIONS):
            if turn % 2 == (bearer is None):
                continue
            groups = largest(one, found, uploads)
            others = groups[: len(groups) - (one.body is not None)]
            for kinds in (others[turn // 2 % len(others)], *groups[len(others) :]):
                name = list(kinds)[turn // 2 % len(kinds)]
                yield one, {name: kinds[name]}

    hold_to_bounds(caller, bearer, chosen())


def test_what_a_body_was_made_into_is_freed_elsewhere(caller: MeteredClient, database: Database) -> None:
    """Of half a million values that fit and are refused by a rule: freeing a million took the loop 70 ms."""
    services = [{"service": f"service-{n}", "eligible": 140 + n, "served": 26 + n} for n in range(22)]
    rest = {"target_families": 140, "source": "DTSEN", "source_period": "2026-Q1", "services": services}
    items = [{"village": f"63.02.05.{n:04}", **rest} for n in range(5_000)]
    body = json.dumps({"items": items}).encode()
    token = f"Bearer {token_for(database, ('administrator', '0'))}".encode()
    headers = [("Authorization", token), ("Content-Type", b"application/json"), ("If-Match", b"*")]
    status, _, longest = caller.send("PUT", "/v1/coverage/2026-Q2", headers, body)
    assert status == 422
    assert longest <= LONGEST
