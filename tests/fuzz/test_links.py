"""The links of the fuzzing: each has the keys of its target."""

import re
from collections.abc import Iterator

from tests.contract.operations import Operation, operations
from tests.contract.world import declared
from tests.fuzz.links import link_replies

DOCUMENT = link_replies(declared()[0])
OPERATIONS = list(operations(DOCUMENT))


def list_links(operation: Operation) -> Iterator[tuple[int, str, dict[str, str]]]:
    """Yield the status, the target and the key expressions of each link."""
    for status in operation.spec["responses"]:
        for link in operation.response(int(status)).get("links", {}).values():
            if "$ref" in link:
                link = DOCUMENT["components"]["links"][link["$ref"].rpartition("/")[2]]
            yield int(status), link["operationId"], link["parameters"]


def test_links_have_the_keys_of_their_targets() -> None:
    by_id = {operation.id: operation for operation in OPERATIONS}
    for operation in OPERATIONS:
        for status, target, parameters in list_links(operation):
            keys = re.findall(r"{(\w+)}", by_id[target].path)
            assert sorted(parameters) == sorted(keys), f"{operation} → {target}"
            for expression in parameters.values():
                place, _, name = expression.partition("#" if "#" in expression else "path.")
                if place == "$request.":
                    assert name in operation.keys, f"{operation} → {target}: {expression}"
                else:
                    value = operation.response(status)["content"]["application/json"]["example"]
                    for part in name.strip("/").split("/"):
                        value = value[int(part) if part.isdigit() else part]
                    assert value is None or isinstance(value, str | int), (
                        f"{operation} → {target}: {expression}"
                    )


def test_links_lead_from_lists_to_items_and_to_every_verb() -> None:
    targets = {operation.id: {target for _, target, _ in list_links(operation)} for operation in OPERATIONS}
    assert {"read_plan", "read_region"} <= targets["list_plans"]
    assert {"patch_plan", "delete_plan", "submit_plan", "list_actions"} <= targets["put_plan"]
    assert {"read_commitment", "read_meeting"} <= targets["list_commitments"]
    assert {"read_action", "read_agency"} <= targets["list_unreported_lines"]
    assert {"read_action", "delete_action", "list_action_progress"} <= targets["put_action"]
    assert targets["delete_action"] == {"put_action"}
