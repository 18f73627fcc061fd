"""Invalid requests: each reply is a problem with its cause, never a 500 or a partial write."""

import json
from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest

from app.kit.http.pagination import _digest, _seal
from app.main import create_app
from app.settings import Settings
from tests.contract.operations import Operation
from tests.contract.world import World, check_problem

JSON = "application/json"


@pytest.fixture
def world(one_world: World) -> World:
    """A world on one engine: most input never reaches it, and PostgreSQL refuses more."""
    return one_world


TURNS = count()
DEEP = b'{"title":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
BODIES: dict[str, tuple[bytes, set[int]]] = {
    "nothing": (b"", {422}),
    "not JSON": (b"{", {400}),
    "deep": (DEEP, {400}),
    "NaN": (b'{"title": NaN}', {400}),
    "infinity": (b'{"allocation": -Infinity}', {400}),
    "invalid UTF-8": (b'{"title": "\xff\xfe"}', {400}),
    "half a character": (b'{"title": "\\ud800"}', {400}),
    "half a character in a name": (b'{"\\udfff": 1}', {400}),
    "NUL": (b'{"title": "a\\u0000b"}', {422}),
    "NUL in a name": (b'{"a\\u0000b": 1}', {422}),
    "too many digits": (b'{"allocation": ' + b"9" * 5000 + b"}", {400}),
    "huge integer": (b'{"allocation": ' + b"9" * 400 + b"}", {422}),
    "huge float": (b'{"allocation": 1e999}', {422}),
    "array": (b"[]", {422}),
    "text": (b'"text"', {422}),
    "null": (b"null", {422}),
    "number": (b"7", {422}),
    "byte order mark": (b"\xef\xbb\xbf{}", {400}),
    "unknown fields": (json.dumps({"~/" * 50: 1, "id": 7, "state": "adopted"}).encode(), {422}),
    "wrong types": (
        json.dumps(
            {"items": 7, "title": 7, "name": [], "into": {}, "spent": "7", "priority_locations": True}
        ).encode(),
        {422},
    ),
}


def list_with_body(world: World) -> list[Operation]:
    operations = [operation for operation in world if operation.takes_json]
    assert len(operations) > 8
    return operations


def send(world: World, operation: Operation, body: bytes, kind: str | None = JSON, **headers: str) -> Any:
    if operation.is_conditional:
        headers["If-Match"] = "*"
    reply = world.get_client(operation).request(
        operation.method,
        operation.address(),
        content=body,
        headers={**headers, **({"Content-Type": kind} if kind else {})},
        params=operation.needed,
    )
    world.check(operation, reply)
    return reply


def get_dry_run(operation: Operation) -> dict[str, str]:
    return {"dry_run": "true"} if operation.is_write else {}


def test_invalid_bodies_are_refused(world: World) -> None:
    before = world.count_rows()
    met: set[str] = set()
    for operation in list_with_body(world):
        for name in choose(list(BODIES), met, operation.method):
            body, statuses = BODIES[name]
            reply = send(world, operation, body)
            assert reply.status_code in statuses, (
                f"{operation}, {name}: {reply.status_code} {reply.text[:300]}"
            )
            assert reply.json()["errors"], f"{operation}, {name}"
    assert world.count_rows() == before


def choose(values: Sequence[Any], met: set[str], declaration: Any) -> Sequence[Any]:
    """Return all values at the first use of a declaration; later one of them at every fourth use."""
    key = json.dumps(declaration, sort_keys=True)
    is_first = key not in met
    met.add(key)
    if is_first:
        return values
    turn = next(TURNS)
    return [values[(sum(map(ord, key)) + turn // 4) % len(values)]] if turn % 4 == 0 else []


def test_each_field_with_wrong_values_is_no_server_error(world: World) -> None:
    before = world.count_rows()
    wrongs = (
        None,
        True,
        "",
        "a\0b",
        "x" * 20_000,
        -1,
        1.5,
        10**30,
        [],
        {},
        [[]],
        [{}],
        ["\u202e"],
        {"a": {}},
    )
    met: set[str] = set()
    for operation in list_with_body(world):
        for name, example in operation.example.items():
            for wrong in choose(wrongs, met, type(example).__name__):
                reply = world.call(
                    operation, body={**operation.example, name: wrong}, params=get_dry_run(operation)
                )
                assert reply.status_code < 500, f"{operation} with {name}: {wrong!r}"
                for error in reply.json().get("errors", ()):
                    assert error["pointer"].startswith(f"/{name}") or error["pointer"].count("/") < 2, error
    assert world.count_rows() == before


KINDS = (
    "text/plain",
    "application/xml",
    "multipart/form-data; boundary=x",
    "application/json, text/html",
    None,
)
JSON_KINDS = (JSON, "application/json; charset=utf-8", "application/merge-patch+json")


def test_a_body_of_another_media_type_is_415(world: World) -> None:
    met: set[str] = set()
    for operation in list_with_body(world):
        body = json.dumps(operation.example).encode()
        for kind in choose(KINDS, met, [operation.method, "refused"]):
            assert send(world, operation, body, kind).status_code == 415, f"{operation}: {kind}"
        for kind in choose(JSON_KINDS, met, [operation.method, "taken"]):
            with world.prepare_for(operation):
                assert send(world, operation, body, kind).status_code == 200, f"{operation}: {kind}"
    for operation in world:
        if operation.body and not operation.takes_json:
            assert send(world, operation, b"{}", JSON).status_code == 415
            for kind in ("multipart/form-data", "multipart/form-data; boundary=x"):
                reply = send(world, operation, b"--y\r\nnonsense", kind)
                assert reply.status_code in (400, 422), f"{operation}: {reply.text}"


def test_a_body_over_the_limit_is_413(world: World) -> None:
    settings = Settings(_env_file=None, database_url="sqlite://", max_body_bytes=1024)
    small = world.connect(
        create_app(settings, world.database), Authorization=world.client.headers["Authorization"]
    )
    before = world.count_rows()
    for operation in world:
        if operation.body is None:
            continue
        big = json.dumps({"title": "x" * 2000}).encode()
        kind = operation.body[0] + ("; boundary=x" if "multipart" in operation.body[0] else "")
        for content in (big, iter([big[:1000], big[1000:]])):
            reply = small.request(
                operation.method,
                operation.address(),
                content=content,
                headers={"Content-Type": kind, "If-Match": "*"},
            )
            world.check(operation, reply)
            assert reply.status_code == 413, operation
            assert "1024" in reply.json()["detail"]
    assert world.count_rows() == before


KEYS = ("%00", "%0A", "%FF", "a" * 3000, "x%2Fy", "🦆", "'", '"', " ", "%25", "A-001\u202e", "9" * 400, "-")


def test_invalid_keys_are_refused(world: World) -> None:
    met: set[str] = set()
    for operation in world:
        for name in (name for name in operation.keys if f"{{{name}}}" in operation.path):
            for key in choose(KEYS, met, name):
                url = operation.address(**{name: key})
                body = operation.body[1].get("example") if operation.body else None
                reply = world.client.request(operation.method, url, params=operation.needed, json=body)
                assert 400 <= reply.status_code < 500, f"{operation} {name}={key!r}: {reply.status_code}"
                check_problem(reply)


VALUES = ("", "\0", "🦆" * 90, "9" * 400, "-1", "\u202e", "a'b\"c", "x" * 3000, "0")


def test_invalid_parameters_are_no_server_error(world: World) -> None:
    met: set[str] = set()
    for operation in world:
        for name in operation.query:
            for value in choose(VALUES, met, name):
                reply = world.call(operation, params={**get_dry_run(operation), name: value})
                assert reply.status_code < 500, f"{operation} {name}={value!r}"
                assert reply.status_code == 400 or value != "\0", f"{operation} {name}"


def is_time(declared: dict[str, Any]) -> bool:
    return any(
        schema.get("format") in ("date", "date-time") for schema in (declared, *declared.get("anyOf", ()))
    )


def test_days_and_instants_are_never_numbers(world: World) -> None:
    """A parser of dates might accept seconds since 1970."""
    tried = 0
    for operation in world:
        for name in (name for name, declared in operation.query.items() if is_time(declared["schema"])):
            for value in ("0", "1735689600"):
                reply = world.call(operation, params={**get_dry_run(operation), name: value})
                assert reply.status_code == 400, f"{operation} {name}={value}: {reply.text}"
                tried += 1
        if not operation.takes_json:
            continue
        assert operation.body is not None
        shape = world.document["components"]["schemas"].get(
            operation.body[1]["schema"].get("$ref", "").rsplit("/", 1)[-1], {}
        )
        for name in (name for name, declared in shape.get("properties", {}).items() if is_time(declared)):
            for wrong in (0, "0", "1735689600"):
                body = {**operation.example, name: wrong}
                reply = world.call(operation, body=body, params=get_dry_run(operation))
                assert reply.status_code == 422, f"{operation} {name}={wrong!r}: {reply.text}"
                assert {e["pointer"] for e in reply.json()["errors"]} == {f"/{name}"}, reply.text
                tried += 1
    assert tried > 20


HEADERS = (b"", b"\xff", b'"7', b"W/", b"," * 500, b'"' + b"9" * 400 + b'"', b"en;q=x,id;q=9..9")


def test_invalid_headers_are_no_server_error(world: World) -> None:
    met: set[str] = set()
    for operation in world.v1:
        for name in operation.headers:
            for value in choose(HEADERS, met, name):
                with world.savepoint():
                    reply = world.call(operation, conditions={}, headers={name: value})
                    assert reply.status_code < 500, f"{operation} {name}: {value!r}"
    for name in ("Accept", "Accept-Encoding", "Range", "X-Request-Id", "Authorization"):
        for value in HEADERS:
            assert world.call(world.operations["list_plans"], headers={name: value}).status_code in (
                200,
                401,
            ), name


@pytest.mark.parametrize(
    "values", [["x", "A-001"], [1], [None, "A-001"], [10**30, "A-001"], [True, "A"], [[], {}], [1, "\0"]]
)
def test_a_forged_cursor_is_refused(world: World, values: list[Any]) -> None:
    """The digest catches accidents alone, so the service checks the values too."""
    import base64

    from starlette.requests import Request

    operation = world.operations["list_actions"]
    params = {"sort": "allocation"}
    scope = {
        "type": "http",
        "path": operation.address(),
        "query_string": b"sort=allocation",
        "headers": [],
        "server": ("testserver", 80),
        "scheme": "http",
    }
    text = json.dumps([_digest(values, _seal(Request(scope), "allocation")), *values], separators=(",", ":"))
    cursor = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    assert world.call(operation, params={**params, "after": cursor}).status_code == 400
