"""Numbers of persons: every free text of every request refuses a new one, by its pointer, and keeps a stored one."""

import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
import sqlalchemy as sa
from fastapi.routing import APIRoute
from pydantic import BaseModel

from app.kit.http.routing import list_query_fields
from app.kit.personal import FREE
from app.startup.schema import Table
from tests.contract.operations import Operation
from tests.contract.world import World

pytestmark = pytest.mark.both_engines

NIK = "7322014505850001"
TEXT = f"NIK {NIK}"

Parts = tuple[str | int, ...]


def get_route(world: World, operation: Operation) -> APIRoute:
    (route,) = [
        route for route in world.app.routes if isinstance(route, APIRoute) and route.name == operation.id
    ]
    return route


def fill(annotation: Any, value: Any, *, free: bool = False) -> Iterator[tuple[Parts, Any]]:
    """Yield (place, value with a number at that place) for each free text of an annotation."""
    origin, args = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        examples: Any = annotation.model_config.get("json_schema_extra") or {}
        content = value if isinstance(value, dict) else examples.get("examples", [{}])[0]
        for name, field in annotation.model_fields.items():
            for place, part in fill(field.annotation, content.get(name), free=FREE in field.metadata):
                yield (name, *place), {**content, name: part}
    elif origin is Annotated:
        yield from fill(args[0], value, free=free or FREE in args)
    elif origin in (Union, types.UnionType):
        for arg in args:
            yield from fill(arg, value, free=free)
    elif origin is list:
        first, *others = value or [None]
        for place, part in fill(args[0], first, free=free):
            yield (0, *place), [part, *others]
    elif origin is dict:
        for place, part in fill(args[1], None, free=free):
            yield ("location", *place), {"location": part}
    elif annotation is str and free:
        yield (), TEXT


#: A field that a reason of the operation may name.
REASONED = {"put_amendment": "/title", "patch_amendment": "/title"}


def find_put(world: World, operation: Operation) -> Operation:
    """Return the PUT of the resource that a PATCH changes; any other operation itself."""
    if operation.method != "patch":
        return operation
    (put,) = [item for item in world if item.path == operation.path and item.method == "put"]
    return put


def get_shape(world: World, operation: Operation) -> Any:
    field = get_route(world, find_put(world, operation)).body_field
    assert field is not None
    return field.field_info.annotation


def list_bodies(world: World, operation: Operation) -> Iterator[tuple[str, Any]]:
    """Yield (pointer, example body with a number there) for each free text of an operation."""
    example = find_put(world, operation).example
    for place, body in fill(get_shape(world, operation), example):
        if operation.id in REASONED and place[0] == "reasons":
            body["reasons"] = [{**body["reasons"][0], "field": REASONED[operation.id]}]
        changed = {place[0]: body[place[0]]} if operation.method == "patch" else body
        yield "".join(f"/{part}" for part in place), changed


def select_judged(world: World) -> list[Operation]:
    return [operation for operation in world.writes if operation.takes_json]


def check_refused(reply: Any, place: dict[str, str]) -> None:
    """Check that a reply refuses the number at one place without repeating it."""
    assert reply.status_code == 422, reply.text
    (error,) = reply.json()["errors"]
    assert (error["code"], error["value"]) == ("person_number", "73…")
    assert place.items() <= error.items()
    assert NIK not in reply.text


def test_every_free_text_of_a_request_refuses_a_number(world: World) -> None:
    judged = 0
    for operation in world.share(select_judged(world)):
        for pointer, body in list_bodies(world, operation):
            with world.prepare_for(operation):
                before = world.count_journal()
                check_refused(world.call(operation, body=body), {"pointer": pointer})
                assert world.count_journal() == before, operation
                judged += 1
    assert judged > 50


def test_a_batch_with_each_refuses_the_item_alone(world: World) -> None:
    for operation in select_judged(world):
        if "each" not in operation.query:
            continue
        for pointer, body in list_bodies(world, operation):
            with world.prepare_for(operation):
                reply = world.call(operation, body=body, params={"each": "true"})
                assert reply.status_code == 200, f"{operation} {pointer}: {reply.text}"
                (item,) = reply.json()["items"]
                assert item["status"] == "refused"
                assert [(e["code"], e["pointer"]) for e in item["errors"]] == [("person_number", pointer)]


def test_a_parameter_refuses_a_number(world: World) -> None:
    operation = world.operations["delete_amended_action"]
    with world.prepare_for(operation):
        reply = world.call(
            operation, keys={"action": "A-001"}, params={"reason": TEXT, "category": "revised_budget"}
        )
        check_refused(reply, {"parameter": "reason"})


def test_an_import_refuses_a_number_in_its_query(world: World) -> None:
    texts = dict.fromkeys(("import_coverage", "import_observations", "import_coordinates"), "source")
    for id, name in {**texts, "import_plan_matrix": "reason"}.items():
        check_refused(world.call(world.operations[id], params={name: TEXT}), {"parameter": name})


def test_dry_runs_refuse_too_and_refusals_of_rights_come_first(world: World) -> None:
    operation = world.operations["put_meeting"]
    body = {**operation.example, "note": TEXT}
    check_refused(world.call(operation, body=body, params={"dry_run": "true"}), {"pointer": "/note"})
    stranger = world.connect_as(("reader", "63.02"))
    assert world.call(operation, stranger, body=body).status_code == 403
    assert world.call(operation, body=body, conditions={}).status_code == 428


def test_a_stored_text_stays_and_its_change_is_refused(world: World) -> None:
    """A row from before the rule: other fields change, the text may go, but no new text has the number."""
    put, patch = world.operations["put_meeting"], world.operations["patch_meeting"]
    table = Table.metadata.tables["meeting"]
    world.database.connection.execute(sa.update(table).values(note=TEXT, agenda=[TEXT, "Realisasi"]))
    stored = {**put.example, "note": TEXT, "agenda": [TEXT, "Realisasi"]}
    for body in (
        stored,
        {**stored, "title": "Rapat triwulan"},
        {**stored, "agenda": ["Pembukaan", "Realisasi", TEXT]},
        {**stored, "agenda": ["Pembukaan"]},
    ):
        with world.savepoint():
            reply = world.call(put, body=body)
            assert reply.status_code == 200, reply.text
    with world.savepoint():
        assert world.call(patch, body={"title": "Rapat triwulan"}).status_code == 200
    for field, value in (("note", f"{TEXT}, lama"), ("agenda", [f"{TEXT}, lama"]), ("place", TEXT)):
        pointer = f"/{field}/0" if isinstance(value, list) else f"/{field}"
        for operation, body in ((put, {**stored, field: value}), (patch, {field: value})):
            check_refused(world.call(operation, body=body), {"pointer": pointer})


def test_a_line_keeps_its_stored_texts_in_every_write(world: World) -> None:
    """An item of a list that moves, or gets another key, is unchanged."""
    table = Table.metadata.tables["action"]
    world.database.connection.execute(sa.update(table).values(note=TEXT))
    example = {**world.operations["put_action"].example, "note": TEXT}
    for id, body in (
        ("put_action", {**example, "title": "Lain"}),
        ("patch_action", {"title": "Lain"}),
        ("put_actions", {"items": [{**example, "code": "A-001", "title": "Lain"}]}),
    ):
        with world.savepoint():
            reply = world.call(world.operations[id], body=body)
            assert reply.status_code == 200, f"{id}: {reply.text}"
    for id, body, place in (
        ("put_action", {**example, "note": f"{TEXT}."}, "/note"),
        ("patch_action", {"title": TEXT}, "/title"),
        ("put_actions", {"items": [{**example, "code": "A-001", "title": TEXT}]}, "/items/0/title"),
    ):
        check_refused(world.call(world.operations[id], body=body), {"pointer": place})


def test_the_key_of_another_system_may_have_sixteen_digits(world: World) -> None:
    operation = world.operations["put_action"]
    reply = world.call(operation, body={**operation.example, "source_key": NIK})
    assert reply.status_code == 200
    assert reply.json()["source_key"] == NIK


#: Texts without a pattern whose own checks refuse a number, or that no write stores.
CHECKED = {"TokenIn.networks", "ReplayIn.after", "sheet"}


def list_open_texts(annotation: Any, metadata: list[Any], name: str, seen: set[Any]) -> Iterator[str]:
    """Yield the texts of an annotation that are neither free, nor keys of other systems, nor bound to a pattern."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from list_open_texts(args[0], [*args[1:], *metadata], name, seen)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation not in seen:
            seen.add(annotation)
            for field, info in annotation.model_fields.items():
                path = f"{annotation.__name__}.{field}"
                yield from list_open_texts(info.annotation, info.metadata, path, seen)
    elif annotation is str:
        if FREE not in metadata and "pattern=" not in repr(metadata).replace("pattern=None", ""):
            yield name
    else:
        inner = metadata if origin in (Union, types.UnionType) else []
        for arg in args[origin is dict :]:
            yield from list_open_texts(arg, inner, name, seen)


def test_every_text_of_a_request_is_free_or_bound(world: World) -> None:
    seen: set[Any] = set()
    texts: set[str] = set()
    for operation in world.writes:
        if operation.takes_json:
            texts.update(list_open_texts(get_shape(world, operation), [], operation.id, seen))
        for name, field in list_query_fields(get_route(world, operation).dependant):
            texts.update(list_open_texts(field.annotation, field.metadata, name, seen))
    assert {text for text in texts if not text.endswith(".source_key")} == CHECKED
