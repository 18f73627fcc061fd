"""OpenAPI links for Schemathesis, from a reply to further operations with the keys of the reply or its request.

The published document has none, since no client generator reads them. Addresses consist of natural keys, and a field
with a key has the name of the path parameter. So links follow from paths and schemas, and no route declares one.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

OWN_KEYS = ("code", "key", "edition", "name")
"""Names of a row's own key other than that of the parameter."""
FIRST = "/items/0"
"""Links have no loop: a link of a list takes its first item."""


@dataclass(frozen=True)
class Address:
    """A path of the document with its operations by method."""

    path: str
    operations: dict[str, dict[str, Any]]

    @cached_property
    def segments(self) -> list[str]:
        return self.path.split("/")

    @cached_property
    def keys(self) -> list[str]:
        """The path parameters in order."""
        return [segment[1:-1] for segment in self.segments if segment.startswith("{")]

    @cached_property
    def noun(self) -> str:
        return next(segment for segment in reversed(self.segments) if not segment.startswith("{"))

    @property
    def is_primary(self) -> bool:
        """True if the last parameter names the row, as in `/v1/plans/{plan}`."""
        *_, noun, last = self.segments
        return last.startswith("{") and noun.replace("-", "_").startswith(last[1:-2])

    def is_below(self, other: "Address") -> bool:
        """Return whether the path is one word longer than another."""
        before, _, last = self.path.rpartition("/")
        return before == other.path and "{" not in last


@dataclass(frozen=True)
class Shape:
    """The fields of a reply or of the items of a list."""

    name: str
    fields: dict[str, Any]
    is_list: bool

    def find_expression(self, *names: str) -> str | None:
        """Return the expression of the first of these fields, or None."""
        field = next((name for name in names if name in self.fields), None)
        return field and f"$response.body#{FIRST if self.is_list else ''}/{field}"


class Links:
    """The links of a document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.addresses = {path: Address(path, operations) for path, operations in document["paths"].items()}
        reads = [
            (address, self.parse_shape(address.operations["get"]["responses"]["200"]))
            for address in sorted(self.addresses.values(), key=lambda address: len(address.path))
            if "get" in address.operations
        ]
        self.items = [address for address, shape in reads if address.keys and not shape.is_list]
        self.primary: dict[str, Address] = {}
        for address in self.items:
            if address.is_primary:
                self.primary.setdefault(address.keys[-1], address)
        self.nouns: dict[str, set[str]] = {}
        for address, shape in reads:
            if shape.is_list:
                self.nouns.setdefault(shape.name, set()).add(address.noun)

    def declare(self) -> None:
        """Add the links to all replies; those with keys of the request alone go once below `components`."""
        shared: dict[str, Any] = {}
        for address in self.addresses.values():
            for method, operation in address.operations.items():
                near = dict(self.find_near(method, operation, address))
                shared |= {
                    id: build_link(id, {key: f"$request.path.{key}" for key in keys})
                    for id, keys in near.items()
                }
                for status in ("200", "201", "204"):
                    response = operation["responses"].get(status, {})
                    links = {
                        **dict(self.find_named(address, self.parse_shape(response))),
                        **{id: {"$ref": f"#/components/links/{id}"} for id in near},
                    }
                    if response and links:
                        response["links"] = links
        self.document["components"]["links"] = shared

    def parse_shape(self, response: dict[str, Any]) -> Shape:
        content = response.get("content", {})
        name, fields = self.resolve(content.get("application/json", {}).get("schema", {}))
        if "next" in fields and "items" in fields:
            name, fields = self.resolve(fields["items"]["items"])
            return Shape(name, self.select_keys(fields), is_list=True)
        return Shape(name, self.select_keys(fields), is_list=False)

    def select_keys(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return the fields that an address can contain: texts and integers."""
        schemas = self.document["components"]["schemas"]
        whole = {
            name: schemas[field["$ref"].rpartition("/")[2]] if "$ref" in field else field
            for name, field in fields.items()
        }
        return {name: field for name, field in whole.items() if {"string", "integer"} & {*_list_types(field)}}

    def resolve(self, schema: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the name and the fields of a schema."""
        name = schema.get("$ref", "").rpartition("/")[2]
        whole = self.document["components"]["schemas"][name] if name else schema
        return name, whole.get("properties", {})

    def find_near(
        self, method: str, operation: dict[str, Any], address: Address
    ) -> Iterator[tuple[str, list[str]]]:
        """Yield operations and keys at the address of the reply and one word below; after a DELETE the PUT alone."""
        parent = self.addresses.get(address.path.rpartition("/")[0])
        own = parent if method == "post" and parent and parent.keys == address.keys else address
        for target in self.addresses.values():
            if not target.keys or not (target is own or (method != "delete" and target.is_below(own))):
                continue
            for verb, following in target.operations.items():
                if following is not operation and (method != "delete" or verb == "put"):
                    yield following["operationId"], target.keys

    def find_named(self, address: Address, shape: Shape) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the reads of the rows that a reply names by a key, and of the items of a list."""
        for key, target in self.primary.items():
            if key not in address.keys and shape.find_expression(key, f"{key}_code"):
                yield from self.link_to(target, address, shape)
        if shape.is_list:
            nouns = self.nouns[shape.name]
            near_first = sorted(self.items, key=lambda item: not item.path.startswith(address.path))
            for item in near_first:
                links = (
                    list(self.link_to(item, address, shape, *OWN_KEYS)) if nouns & {*item.segments} else []
                )
                if links:
                    yield from links
                    return

    def link_to(
        self, target: Address, address: Address, shape: Shape, *own: str
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the link to a read if each of its keys is known; `own` are further names of the last one."""
        parameters = {}
        for key in target.keys:
            known = f"$request.path.{key}" if key in address.keys else None
            replied = shape.find_expression(key, f"{key}_code", *(own if key == target.keys[-1] else ()))
            expression = replied or known if key == target.keys[-1] else known or replied
            if expression is None:
                return
            parameters[key] = expression
        id = target.operations["get"]["operationId"]
        yield id, build_link(id, parameters)


def link_replies(document: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a document with links in its replies."""
    linked = copy.deepcopy(document)
    Links(linked).declare()
    return linked


def _list_types(schema: dict[str, Any]) -> list[str]:
    declared = schema.get("type", [])
    return [declared] if isinstance(declared, str) else declared


def build_link(id: str, parameters: dict[str, str]) -> dict[str, Any]:
    return {"operationId": id, "parameters": parameters}
