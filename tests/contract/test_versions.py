"""What is deleted and created again is another thing: no tag of the first one fits the second."""

import pytest

from tests.contract.operations import Operation
from tests.contract.world import OTHER_AGENCY, World

pytestmark = pytest.mark.both_engines

#: What a DELETE ends that no PUT at the same address begins.
BEGUN_ELSEWHERE = {"discard_amendment"}


def at(world: World, path: str, method: str) -> Operation | None:
    return next((one for one in world if (one.path, one.method) == (path, method)), None)


def created_by_put(world: World) -> list[tuple[Operation, Operation]]:
    """(PUT, DELETE) of every address of the document that both create and delete."""
    pairs = [(at(world, one.path, "put"), one) for one in world.writes if one.method == "delete"]
    found = [(put, delete) for put, delete in pairs if put and "201" in put.spec["responses"]]
    deleted = {delete.id for _, delete in found} | BEGUN_ELSEWHERE
    assert deleted == {one.id for one in world.writes if one.method == "delete"}
    return found


def tag_at(world: World, put: Operation) -> str:
    """The tag of what stands at the address of a PUT."""
    read = at(world, put.path, "get")
    assert read is not None, put
    reply = world.call(read, world.client_for(put), keys=put.keys)
    assert reply.status_code == 200, f"{read}: {reply.text}"
    return str(reply.headers["ETag"])


def create(world: World, put: Operation) -> str:
    reply = world.call(put, body=put.example, conditions={"If-None-Match": "*"})
    assert reply.status_code == 201, f"{put}: {reply.text}"
    return str(reply.headers["ETag"])


def delete(world: World, operation: Operation) -> None:
    assert world.call(operation).status_code == 204, operation


def check_stale(world: World, path: str, keys: dict[str, str], old: str, new: str, turn: int) -> None:
    """No write takes an old tag, in none of the forms that clients send, and no read answers 304 to it.

    Each method takes another form; `turn` says which, so that a walk meets every method with every form.
    """
    assert old != new, path
    version = old.partition("-")[0] + '"'
    forms = (old, version, f"W/{old}", f'"999999", {old}')
    before = world.journaled()
    for n, method in enumerate(("put", "patch", "delete")):
        if operation := at(world, path, method):
            sent = forms[(turn + n) % len(forms)]
            reply = world.call(operation, keys=keys, conditions={"If-Match": sent})
            assert reply.status_code == 412, f"{operation} with {sent}: {reply.status_code} {reply.text}"
    assert world.journaled() == before, path
    read = at(world, path, "get")
    assert read is not None
    client = world.client_for(at(world, path, "put") or read)
    for tag, status in ((old, 200), (new, 304)):
        reply = world.call(read, client, keys=keys, headers={"If-None-Match": tag})
        assert reply.status_code == status, f"{read} with {tag}"


def check_versions_rise(world: World) -> None:
    """Versions of no subject fall in the journal, whatever happened."""
    highest: dict[str, int] = {}
    for row in world.journal():
        if row.subject == "me" or row.kind == "reference.loaded":
            continue  # neither has a tag: scopes of many principals, files of one table
        assert row.version >= highest.get(row.subject, 0), f"{row.kind} {row.subject}"
        highest[row.subject] = row.version


def test_deleted_and_created_again_it_fits_no_tag_of_before(world: World) -> None:
    deletions = {put.id: deletion for put, deletion in created_by_put(world)}
    for turn, put in enumerate(world.share(put for put, _ in created_by_put(world))):
        deletion = deletions[put.id]
        with world.ready_for(deletion):
            old = tag_at(world, put)
            delete(world, deletion)
            trial = world.call(
                put, body=put.example, conditions={"If-None-Match": "*"}, params={"dry_run": "true"}
            )
            new = create(world, put)
            assert number_of(trial.headers["ETag"]) == number_of(new) == number_of(old) + 2, put
            check_stale(world, put.path, put.keys, old, new, turn)
            check_versions_rise(world)


def number_of(tag: str) -> int:
    return int(tag.strip('"').partition("-")[0])


def test_what_goes_with_its_parent_fits_no_tag_either(world: World) -> None:
    walked = set()
    for put, deletion in created_by_put(world):
        below = [
            one
            for one in world.writes
            if one.method == "put"
            and one.path.startswith(f"{put.path}/")
            and "201" in one.spec["responses"]
            and one.keys.items() >= put.keys.items()
            and at(world, one.path, "get")
        ]
        for child in below:
            with world.undone():
                old = tag_at(world, child)
                with world.ready_for(deletion):
                    delete(world, deletion)
                    create(world, put)
                    for between in parents_of(world, put, child):
                        create(world, between)
                    if child.id == "put_explanation":
                        for action, agency in (("A-001", {}), ("A-002", {"lead_agency": OTHER_AGENCY})):
                            line = {**world.operations["put_action"].example, **agency}
                            world.make("put_action", line, action=action)
                    create(world, child)
                    new = tag_at(world, child)
                    check_stale(world, child.path, child.keys, old, new, len(walked))
                    walked.add(child.id)
    assert {"put_webhook_secret", "put_token", "put_action", "put_progress"} <= walked


def parents_of(world: World, above: Operation, child: Operation) -> list[Operation]:
    """What lies between two addresses and was deleted with the upper one."""
    return [
        put
        for put, _ in created_by_put(world)
        if child.path.startswith(f"{put.path}/") and put.path.startswith(f"{above.path}/")
    ]


def test_an_amendment_opened_again_fits_no_tag_of_before(world: World) -> None:
    own, line = world.operations["put_amendment"], world.operations["put_amended_action"]
    in_force = {"action": "A-001"}
    read = world.operations["read_amended_action"]

    def tags() -> list[tuple[str, dict[str, str], str]]:
        """(path, keys, tag) of the amendment, of a line that is new in it, and of one that it leaves alone."""
        untouched = world.call(read, keys=in_force).headers["ETag"]
        return [
            (own.path, own.keys, tag_at(world, own)),
            (line.path, line.keys, tag_at(world, line)),
            (line.path, in_force, untouched),
        ]

    before = tags()
    delete(world, world.operations["discard_amendment"])
    world.move("amend_plan", own.keys["plan"])
    create(world, line)
    for turn, ((path, keys, old), (_, _, new)) in enumerate(zip(before, tags(), strict=True)):
        check_stale(world, path, keys, old, new, turn)
    check_versions_rise(world)


def test_a_line_taken_out_of_an_amendment_and_put_back_fits_no_tag_of_before(world: World) -> None:
    put, keys = world.operations["put_amended_action"], {"action": "A-001"}
    line = world.call(world.operations["read_amended_action"], keys=keys)
    assert world.call(world.operations["delete_amended_action"], keys=keys).status_code == 204
    body = {name: value for name, value in line.json().items() if name in put.example}
    back = world.call(put, keys=keys, body={**put.example, **body})
    assert (back.status_code, back.json()["change"]) == (200, "unchanged")
    check_stale(world, put.path, keys, line.headers["ETag"], back.headers["ETag"], 0)
    check_versions_rise(world)
