"""The links that the fuzzing follows: each has the keys of what it leads to."""

import re
from collections.abc import Iterator

from tests.contract.operations import Operation, operations
from tests.contract.world import declared
from tests.fuzz.links import link_replies

DOCUMENT = link_replies(declared()[0])
OPERATIONS = list(operations(DOCUMENT))


def links_of(operation: Operation) -> Iterator[tuple[int, str, dict[str, str]]]:
    """(status, operation that a link leads to, expressions of its keys)."""
    for status in operation.spec["responses"]:
        for link in operation.response(int(status)).get("links", {}).values():
            if "$ref" in link:
                link = DOCUMENT["components"]["links"][link["$ref"].rpartition("/")[2]]
            yield int(status), link["operationId"], link["parameters"]


def test_links_have_the_keys_of_what_they_lead_to() -> None:
    by_id = {operation.id: operation for operation in OPERATIONS}
    for operation in OPERATIONS:
        for status, target, parameters in links_of(operation):
            keys = re.findall(r"{(\w+)}", by_id[target].path)
            assert sorted(parameters) == sorted(keys), f"{operation} → {target}"
            for expression in parameters.values():
                place, _, name = expression.partition("#" if "#" in expression else "path.")
                if place == "$request.":
                    assert name in operation.keys, f"{operation} → {target}: {expression}"
                else:
                    found = operation.response(status)["content"]["application/json"]["example"]
                    for part in name.strip("/").split("/"):
                        found = found[int(part) if part.isdigit() else part]
                    assert found is None or isinstance(found, str | int), (
                        f"{operation} → {target}: {expression}"
                    )


def test_links_lead_from_lists_to_items_and_from_there_to_every_move() -> None:
    to = {one.id: {target for _, target, _ in links_of(one)} for one in OPERATIONS}
    assert {"read_plan", "read_region"} <= to["list_plans"]
    assert {"patch_plan", "delete_plan", "submit_plan", "list_actions"} <= to["put_plan"]
    assert {"read_commitment", "read_meeting"} <= to["list_commitments"]
    assert {"read_action", "read_agency"} <= to["list_unreported_lines"]
    assert {"read_action", "delete_action", "list_action_progress"} <= to["put_action"]
    assert to["delete_action"] == {"put_action"}
