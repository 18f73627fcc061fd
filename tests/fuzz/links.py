"""OpenAPI links for Schemathesis: from a reply to what can be asked next, with the keys of the reply or its request.

The published document has none, since no generator of clients reads them. Addresses are made of natural keys, and a
field that holds a key bears the name of the path parameter. So links follow from paths and shapes, and no route
declares one.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

OWN_KEYS = ("code", "key", "edition", "name")
"""How a thing calls its own key where not by the name of the parameter."""
FIRST = "/items/0"
"""Links know no "each": one of a list is told of its first item."""


@dataclass(frozen=True)
class Address:
    """A path of the document, and what is done there: method → operation."""

    path: str
    operations: dict[str, dict[str, Any]]

    @cached_property
    def segments(self) -> list[str]:
        return self.path.split("/")

    @cached_property
    def keys(self) -> list[str]:
        """Its path parameters, in their order."""
        return [one[1:-1] for one in self.segments if one.startswith("{")]

    @cached_property
    def noun(self) -> str:
        return next(one for one in reversed(self.segments) if not one.startswith("{"))

    @property
    def is_of_its_key(self) -> bool:
        """`/v1/plans/{plan}`, the address of what other replies name `plan`."""
        *_, noun, last = self.segments
        return last.startswith("{") and noun.replace("-", "_").startswith(last[1:-2])

    def is_below(self, other: "Address") -> bool:
        """One word longer, so that it needs no other key."""
        before, _, last = self.path.rpartition("/")
        return before == other.path and "{" not in last


@dataclass(frozen=True)
class Shape:
    """What a reply shows: where the fields are, which, and whether it is a list."""

    name: str
    fields: dict[str, Any]
    is_list: bool

    def place(self, *names: str) -> str | None:
        """The expression of the first of these fields that it has."""
        found = next((name for name in names if name in self.fields), None)
        return found and f"$response.body#{FIRST if self.is_list else ''}/{found}"


class Links:
    """The links of one document, declared in its replies."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.addresses = {path: Address(path, operations) for path, operations in document["paths"].items()}
        reads = [
            (one, self.shape(one.operations["get"]["responses"]["200"]))
            for one in sorted(self.addresses.values(), key=lambda one: len(one.path))
            if "get" in one.operations
        ]
        self.items = [one for one, shape in reads if one.keys and not shape.is_list]
        self.things: dict[str, Address] = {}
        for one in self.items:
            if one.is_of_its_key:
                self.things.setdefault(one.keys[-1], one)
        self.nouns: dict[str, set[str]] = {}
        for one, shape in reads:
            if shape.is_list:
                self.nouns.setdefault(shape.name, set()).add(one.noun)

    def declare(self) -> None:
        """What needs the keys of the request alone is said once, below `components`."""
        shared: dict[str, Any] = {}
        for address in self.addresses.values():
            for method, operation in address.operations.items():
                near = dict(self.near(method, operation, address))
                shared |= {
                    id: link(id, {key: f"$request.path.{key}" for key in keys}) for id, keys in near.items()
                }
                for status in ("200", "201", "204"):
                    response = operation["responses"].get(status, {})
                    links = {
                        **dict(self.named(address, self.shape(response))),
                        **{id: {"$ref": f"#/components/links/{id}"} for id in near},
                    }
                    if response and links:
                        response["links"] = links
        self.document["components"]["links"] = shared

    def shape(self, response: dict[str, Any]) -> Shape:
        content = response.get("content", {})
        name, fields = self.resolved(content.get("application/json", {}).get("schema", {}))
        if "next" in fields and "items" in fields:
            name, fields = self.resolved(fields["items"]["items"])
            return Shape(name, self.keys_in(fields), is_list=True)
        return Shape(name, self.keys_in(fields), is_list=False)

    def keys_in(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields that can be in an address: texts and numbers."""
        schemas = self.document["components"]["schemas"]
        whole = {
            name: schemas[one["$ref"].rpartition("/")[2]] if "$ref" in one else one
            for name, one in fields.items()
        }
        return {name: one for name, one in whole.items() if {"string", "integer"} & {*_kinds(one)}}

    def resolved(self, schema: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """(name, fields) of a shape."""
        name = schema.get("$ref", "").rpartition("/")[2]
        whole = self.document["components"]["schemas"][name] if name else schema
        return name, whole.get("properties", {})

    def near(
        self, method: str, operation: dict[str, Any], address: Address
    ) -> Iterator[tuple[str, list[str]]]:
        """(operation, its keys) where the reply is of, and one word below. What was deleted can be made anew."""
        parent = self.addresses.get(address.path.rpartition("/")[0])
        here = parent if method == "post" and parent and parent.keys == address.keys else address
        for one in self.addresses.values():
            if not one.keys or not (one is here or (method != "delete" and one.is_below(here))):
                continue
            for verb, other in one.operations.items():
                if other is not operation and (method != "delete" or verb == "put"):
                    yield other["operationId"], one.keys

    def named(self, address: Address, shape: Shape) -> Iterator[tuple[str, dict[str, Any]]]:
        """Reads of what a reply names: whatever its fields are the key of, and of a list its item."""
        for key, thing in self.things.items():
            if key not in address.keys and shape.place(key, f"{key}_code"):
                yield from self.reached(thing, address, shape)
        if shape.is_list:
            nouns = self.nouns[shape.name]
            near_first = sorted(self.items, key=lambda one: not one.path.startswith(address.path))
            for one in near_first:
                found = list(self.reached(one, address, shape, *OWN_KEYS)) if nouns & {*one.segments} else []
                if found:
                    yield from found
                    return

    def reached(
        self, to: Address, address: Address, shape: Shape, *own: str
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """The link to a read, if every key of it is there: `own` are other names of its last one."""
        parameters = {}
        for key in to.keys:
            known = f"$request.path.{key}" if key in address.keys else None
            told = shape.place(key, f"{key}_code", *(own if key == to.keys[-1] else ()))
            found = told or known if key == to.keys[-1] else known or told
            if found is None:
                return
            parameters[key] = found
        id = to.operations["get"]["operationId"]
        yield id, link(id, parameters)


def link_replies(document: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a document whose replies declare their links."""
    linked = copy.deepcopy(document)
    Links(linked).declare()
    return linked


def _kinds(schema: dict[str, Any]) -> list[str]:
    told = schema.get("type", [])
    return [told] if isinstance(told, str) else told


def link(id: str, parameters: dict[str, str]) -> dict[str, Any]:
    return {"operationId": id, "parameters": parameters}
