"""A row created again after its deletion matches no ETag of the deleted one."""

import pytest

from tests.contract.operations import Operation
from tests.contract.world import OTHER_AGENCY, World

pytestmark = pytest.mark.both_engines

#: DELETEs without a PUT that creates at the same address.
BEGUN_ELSEWHERE = {"discard_amendment"}


def find_operation(world: World, path: str, method: str) -> Operation | None:
    return next(
        (operation for operation in world if (operation.path, operation.method) == (path, method)), None
    )


def list_creations(world: World) -> list[tuple[Operation, Operation]]:
    """List (PUT, DELETE) of every address that both create and delete."""
    deletions = [operation for operation in world.writes if operation.method == "delete"]
    pairs = [(find_operation(world, deletion.path, "put"), deletion) for deletion in deletions]
    creations = [(put, delete) for put, delete in pairs if put and "201" in put.spec["responses"]]
    deleted = {delete.id for _, delete in creations} | BEGUN_ELSEWHERE
    assert deleted == {deletion.id for deletion in deletions}
    return creations


def read_tag(world: World, put: Operation) -> str:
    """Return the ETag at the address of a PUT."""
    read = find_operation(world, put.path, "get")
    assert read is not None, put
    reply = world.call(read, world.get_client(put), keys=put.keys)
    assert reply.status_code == 200, f"{read}: {reply.text}"
    return str(reply.headers["ETag"])


def create(world: World, put: Operation) -> str:
    reply = world.call(put, body=put.example, conditions={"If-None-Match": "*"})
    assert reply.status_code == 201, f"{put}: {reply.text}"
    return str(reply.headers["ETag"])


def delete(world: World, operation: Operation) -> None:
    assert world.call(operation).status_code == 204, operation


def check_stale(world: World, path: str, keys: dict[str, str], old: str, new: str, turn: int) -> None:
    """Check that no write accepts an old ETag in any form, and no read returns 304 for it.

    `turn` selects the form for each method, so that a walk combines every method with every form.
    """
    assert old != new, path
    version = old.partition("-")[0] + '"'
    forms = (old, version, f"W/{old}", f'"999999", {old}')
    before = world.count_journal()
    for n, method in enumerate(("put", "patch", "delete")):
        if operation := find_operation(world, path, method):
            sent = forms[(turn + n) % len(forms)]
            reply = world.call(operation, keys=keys, conditions={"If-Match": sent})
            assert reply.status_code == 412, f"{operation} with {sent}: {reply.status_code} {reply.text}"
    assert world.count_journal() == before, path
    read = find_operation(world, path, "get")
    assert read is not None
    client = world.get_client(find_operation(world, path, "put") or read)
    for tag, status in ((old, 200), (new, 304)):
        reply = world.call(read, client, keys=keys, headers={"If-None-Match": tag})
        assert reply.status_code == status, f"{read} with {tag}"


def check_versions_rise(world: World) -> None:
    """Check that the versions of a subject never fall in the journal."""
    highest: dict[str, int] = {}
    for row in world.read_journal():
        if row.subject == "me" or row.kind == "reference.loaded":
            continue  # neither has a tag: scopes of many principals, files of one table
        assert row.version >= highest.get(row.subject, 0), f"{row.kind} {row.subject}"
        highest[row.subject] = row.version


def test_a_row_created_again_matches_no_old_etag(world: World) -> None:
    deletions = {put.id: deletion for put, deletion in list_creations(world)}
    for turn, put in enumerate(world.share(put for put, _ in list_creations(world))):
        deletion = deletions[put.id]
        with world.prepare_for(deletion):
            old = read_tag(world, put)
            delete(world, deletion)
            trial = world.call(
                put, body=put.example, conditions={"If-None-Match": "*"}, params={"dry_run": "true"}
            )
            new = create(world, put)
            assert parse_version(trial.headers["ETag"]) == parse_version(new) == parse_version(old) + 2, put
            check_stale(world, put.path, put.keys, old, new, turn)
            check_versions_rise(world)


def parse_version(tag: str) -> int:
    return int(tag.strip('"').partition("-")[0])


def test_a_row_deleted_with_its_parent_and_created_again_matches_no_old_etag(world: World) -> None:
    walked = set()
    for put, deletion in list_creations(world):
        below = [
            child
            for child in world.writes
            if child.method == "put"
            and child.path.startswith(f"{put.path}/")
            and "201" in child.spec["responses"]
            and child.keys.items() >= put.keys.items()
            and find_operation(world, child.path, "get")
        ]
        for child in below:
            with world.savepoint():
                old = read_tag(world, child)
                with world.prepare_for(deletion):
                    delete(world, deletion)
                    create(world, put)
                    for between in list_between(world, put, child):
                        create(world, between)
                    if child.id == "put_explanation":
                        for action, agency in (("A-001", {}), ("A-002", {"lead_agency": OTHER_AGENCY})):
                            line = {**world.operations["put_action"].example, **agency}
                            world.make("put_action", line, action=action)
                    create(world, child)
                    new = read_tag(world, child)
                    check_stale(world, child.path, child.keys, old, new, len(walked))
                    walked.add(child.id)
    assert {"put_webhook_secret", "put_token", "put_action", "put_progress"} <= walked


def list_between(world: World, above: Operation, child: Operation) -> list[Operation]:
    """List the PUTs of the addresses between two, which a DELETE of the upper one deletes too."""
    return [
        put
        for put, _ in list_creations(world)
        if child.path.startswith(f"{put.path}/") and put.path.startswith(f"{above.path}/")
    ]


def test_an_amendment_opened_again_matches_no_old_etag(world: World) -> None:
    own, line = world.operations["put_amendment"], world.operations["put_amended_action"]
    in_force = {"action": "A-001"}
    read = world.operations["read_amended_action"]

    def read_tags() -> list[tuple[str, dict[str, str], str]]:
        """Return (path, keys, ETag) of the amendment, of a line new in it, and of an unchanged one."""
        untouched = world.call(read, keys=in_force).headers["ETag"]
        return [
            (own.path, own.keys, read_tag(world, own)),
            (line.path, line.keys, read_tag(world, line)),
            (line.path, in_force, untouched),
        ]

    before = read_tags()
    delete(world, world.operations["discard_amendment"])
    world.move("amend_plan", own.keys["plan"])
    create(world, line)
    for turn, ((path, keys, old), (_, _, new)) in enumerate(zip(before, read_tags(), strict=True)):
        check_stale(world, path, keys, old, new, turn)
    check_versions_rise(world)


def test_a_line_restored_in_an_amendment_matches_no_old_etag(world: World) -> None:
    put, keys = world.operations["put_amended_action"], {"action": "A-001"}
    line = world.call(world.operations["read_amended_action"], keys=keys)
    assert world.call(world.operations["delete_amended_action"], keys=keys).status_code == 204
    body = {name: value for name, value in line.json().items() if name in put.example}
    back = world.call(put, keys=keys, body={**put.example, **body})
    assert (back.status_code, back.json()["change"]) == (200, "unchanged")
    check_stale(world, put.path, keys, line.headers["ETag"], back.headers["ETag"], 0)
    check_versions_rise(world)
