"""The operations of the document, with its examples for a call."""

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jsonschema_rs

WRITES = ("post", "put", "patch", "delete")
#: POSTs that store nothing; their input is too long for an address.
COMPUTING = frozenset({"try_scorecard"})
#: Operations on a plan in force; the plan of the examples is a draft.
ADOPTED = "63.02-2025"
OF_ADOPTED = frozenset(
    {
        "amend_plan",
        "close_plan",
        "list_revisions",
        "read_iati_export",
        "read_revision",
        "read_revision_differences",
        "list_plan_notes",
    }
)
#: A frozen quarter of that plan: a draft with one cannot be deleted.
FROZEN = "2025-Q1"
#: A plan in force with an open amendment, and a line that is new in the amendment.
AMENDED, DRAFTED = "63.02-2024", "A-003"
#: Optional parameters that give the reply rows on any day.
FILTERS = {
    f"{verb}_overdue_milestones{ending}": {"on": "2027-01-31"}
    for verb, ending in (("list", ""), ("read", "_xlsx"), ("read", "_csv"))
}
_ALTERABLE = ("title", "name", "obstacle", "text", "reason", "notes", "source", "document", "legal_basis")

_REFERENCE = re.compile(r"#/components/schemas/(\w+)")


@dataclass(frozen=True)
class Operation:
    """An operation, its call and its declared replies."""

    path: str
    method: str
    spec: dict[str, Any]
    document: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path} ({self.id})"

    @property
    def id(self) -> str:
        return str(self.spec["operationId"])

    @property
    def is_write(self) -> bool:
        return self.method in WRITES and self.id not in COMPUTING

    @property
    def is_v1(self) -> bool:
        return self.path.startswith("/v1")

    @property
    def is_of_administrators(self) -> bool:
        return self.path.startswith(("/v1/principals", "/v1/webhooks"))

    @property
    def is_conditional(self) -> bool:
        return "If-Match" in self.headers

    @property
    def is_list(self) -> bool:
        return "after" in self.query

    def _select_parameters(self, place: str) -> dict[str, dict[str, Any]]:
        return {item["name"]: item for item in self.spec["parameters"] if item["in"] == place}

    @cached_property
    def query(self) -> dict[str, dict[str, Any]]:
        return self._select_parameters("query")

    @cached_property
    def headers(self) -> dict[str, dict[str, Any]]:
        return self._select_parameters("header")

    @cached_property
    def keys(self) -> dict[str, str]:
        """Path parameter → example of the document."""
        keys = {name: item["schema"]["examples"][0] for name, item in self._select_parameters("path").items()}
        if self.path.startswith("/v1/snapshots/"):
            return keys | {"period": FROZEN}
        if "/amendment" in self.path:
            return keys | {"plan": AMENDED} | ({"action": DRAFTED} if "action" in keys else {})
        return keys | ({"plan": ADOPTED} if self.id in OF_ADOPTED else {})

    def address(self, **keys: str) -> str:
        return self.path.format(**{**self.keys, **keys})

    @property
    def needed(self) -> dict[str, str]:
        """Required query parameters, and those without which the reply has no rows."""
        values = {"period": "2026-Q2", "region": "63.02", "year": "2026", "code_system": "kemendagri"}
        required = {name: values[name] for name, item in self.query.items() if item.get("required")}
        return required | FILTERS.get(self.id, {})

    @cached_property
    def body(self) -> tuple[str, dict[str, Any]] | None:
        """Media type and declaration of the request body."""
        content = self.spec.get("requestBody", {}).get("content")
        return next(iter(content.items())) if content else None

    @property
    def example(self) -> Any:
        return copy.deepcopy(self.body[1]["example"]) if self.body else None

    @property
    def takes_json(self) -> bool:
        return self.body is not None and "json" in self.body[0]

    def alter_example(self) -> Any:
        """Return the example body with a changed text, so that a write changes the row."""
        body = self.example
        for item in (body, *body.get("items", [])) if body else ():
            for name in _ALTERABLE:
                if isinstance(item.get(name), str):
                    item[name] += " (baru)"
        if "networks" in (body or ()):
            body["networks"].append("192.0.2.0/24")
        if "kinds" in (body or ()):
            body["kinds"].append("agency.*")
        if set(body or ()) == {"note"}:
            body["note"] += " (baru)"
        if "memberships" in (body or ()):
            body["memberships"].append({"role": "secretariat", "region_code": "63.02"})
        return body

    def response(self, status: int) -> dict[str, Any]:
        """Return the declaration of a status. Raises AssertionError if there is none."""
        declared = self.spec["responses"].get(str(status))
        assert declared is not None, f"{self}: {status} is not declared"
        if "$ref" in declared:
            declared = self.document["components"]["responses"][declared["$ref"].rsplit("/", 1)[1]]
        response: dict[str, Any] = declared
        return response


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, spec in methods.items():
            yield Operation(path, method, spec, document)


def close_schemas(document: dict[str, Any]) -> dict[str, Any]:
    """Copy the document with schemas that forbid undeclared fields."""
    closed = copy.deepcopy(document)
    for schema in closed["components"]["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return closed


class Schemas:
    """Cached validators of the document's schemas.

    A validator copies its input: with the whole document in each they took half a gigabyte, so each receives only the
    schemas that it refers to.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self._shapes: dict[str, Any] = close_schemas(document)["components"]["schemas"]
        self._validators: dict[str, Any] = {}

    def errors(self, schema: dict[str, Any], value: Any) -> list[str]:
        """Return the violations of a value, one line each."""
        key = repr(schema)
        if key not in self._validators:
            whole = {**schema, "components": {"schemas": self._collect_references(schema)}}
            self._validators[key] = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        return [
            f"{'/'.join(map(str, e.instance_path))}: {e.message[:300]}"
            for e in self._validators[key].iter_errors(value)
        ]

    def _collect_references(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the schemas that `schema` refers to, directly or not."""
        reached: dict[str, Any] = {}
        left = [schema]
        while left:
            for name in set(_REFERENCE.findall(repr(left.pop()))) - reached.keys():
                reached[name] = self._shapes[name]
                left.append(reached[name])
        return reached
