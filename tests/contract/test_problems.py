"""Problems: their schema, both languages, an address for every code, and the log."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from app.kit.problems import Kind, Problem
from tests.contract.world import World, check_problem

METHODS = ("get", "put", "post", "patch", "delete")


@pytest.fixture
def world(one_world: World) -> World:
    """A world on one engine: these requests fail before they reach it."""
    return one_world


def find_schema_errors(world: World, reply: Any) -> list[str]:
    check_problem(reply)
    return world.schemas.errors({"$ref": "#/components/schemas/Problem"}, reply.json())


def test_unknown_paths_are_404_and_unknown_methods_405(world: World) -> None:
    for url in (
        "/nothing",
        "/v1",
        "/v1/",
        "/v1/nothing",
        "/v1/plans/",
        "/v1/plans/63.02-2026/actions/A-001/x",
        "/v1//",
        "/docs/static/x",
    ):
        reply = world.client.get(url, follow_redirects=False)
        assert reply.status_code == 404, url
        assert find_schema_errors(world, reply) == []
    for turn, (path, known) in enumerate(world.document["paths"].items()):
        url = next(operation for operation in world if operation.path == path).address()
        allowed = {method.upper() for method in known} | ({"HEAD"} if "get" in known else set())
        others = sorted({*METHODS, "options", "trace", "brew"} - known.keys())
        for method in (others[turn % len(others)], others[(turn + 1) % len(others)]):
            reply = world.client.request(method, url)
            assert reply.status_code == 405, f"{method} {url}"
            assert set(reply.headers["Allow"].split(", ")) == allowed, f"{method} {url}"
            assert find_schema_errors(world, reply) == []


def test_every_code_is_documented_in_both_languages(world: World) -> None:
    codes = {*Problem.known, *Kind.known}
    assert len(codes) > 40
    for code in codes:
        meaning = world.call(world.operations["read_problem"], keys={"code": code}).json()
        for text in (meaning.get("title"), meaning.get("detail"), meaning.get("message")):
            assert text is None or (text["id"] and text["en"]), code
    assert world.call(world.operations["read_problem"], keys={"code": "nothing"}).status_code == 404


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "id"),
        ("id", "id"),
        ("en", "en"),
        ("en-GB,id;q=0.5", "en"),
        ("en;q=0.1,id", "id"),
        ("fr", "id"),
        ("fr,en;q=0.2", "en"),
        ("*", "id"),
    ],
)
def test_the_language_follows_accept_language(world: World, accepted: str, language: str) -> None:
    reply = world.call(
        world.operations["read_plan"], headers={"Accept-Language": accepted}, keys={"plan": "99.99-2026"}
    )
    assert reply.headers["Content-Language"] == language
    assert reply.json()["title"] == getattr(Problem.known["not_found"].title, language)
    assert reply.json()["code"] == "not_found"


def test_the_type_of_a_problem_is_an_address_of_the_service(world: World) -> None:
    reply = world.client.get("/v1/plans?year=x")
    assert reply.status_code == 400
    assert world.client.get(reply.json()["type"]).json()["status"] == 400
    for error in reply.json()["errors"]:
        assert world.client.get(f"/problems/{error['code']}").json()["message"]


def test_a_valid_request_id_is_returned_and_others_replaced(world: World) -> None:
    for sent, is_kept in (
        ("abc-1.2_3", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("a b", False),
        ("", False),
        ("a\\nb", False),
    ):
        for url in ("/health", "/nothing"):
            request_id = world.client.get(url, headers={"X-Request-Id": sent}).headers["X-Request-Id"]
            assert (request_id == sent) is is_kept
            assert request_id
    first, second = (world.client.get("/health").headers["X-Request-Id"] for _ in "12")
    assert first != second


def test_server_error_is_a_problem_and_logged_with_its_id(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(world.app.state.database, "ping", fail)
    client = TestClient(world.app, raise_server_exceptions=False)
    with capture_logs() as lines:
        reply = client.get("/ready", headers={"X-Request-Id": "here"})
    assert (reply.status_code, reply.json()["code"]) == (500, "server_error")
    assert reply.headers["X-Request-Id"] == reply.json()["request_id"] == "here"
    assert find_schema_errors(world, reply) == []
    (line,) = lines
    assert (line["request_id"], line["status"]) == ("here", 500)
    assert isinstance(line["exc_info"], ZeroDivisionError)


EVERY_LOGGED = 5
"""Step between the tested operations; `make proofs GROUP=contract` tests all."""


def test_the_log_has_no_query_token_or_body(world: World) -> None:
    operations = list(world)[::EVERY_LOGGED]
    with capture_logs() as lines:
        for operation in operations:
            with world.savepoint():
                world.call(operation)
        world.client.get("/v1/regions", params={"q": "sangatrahasia"})
        world.client.put("/v1/plans/63.02-2026", json={"title": "sangatrahasia"}, params={"dry_run": "true"})
    assert len(lines) > len(operations)
    text = repr(lines)
    for secret in ("sangatrahasia", "rata_", world.client.headers["Authorization"][7:], "permakanan"):
        assert secret not in text
