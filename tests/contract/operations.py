"""The operations of the document, each ready to be called with the document's own examples."""

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jsonschema_rs

WRITES = ("post", "put", "patch", "delete")
#: POSTs that store nothing: what they are asked does not fit into an address.
COMPUTING = frozenset({"try_scorecard"})
#: What is there only of a plan in force; the plan of the examples is a draft.
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
#: A plan in force with an amendment open beside it, and a line that is new in the amendment.
AMENDED, DRAFTED = "63.02-2024", "A-003"
#: What is asked beside what must be, so that the answer has rows whatever day it is.
ASKED = {id: {"on": "2027-01-31"} for id in ("list_overdue_milestones", "read_overdue_milestones_csv")}
_ALTERABLE = ("title", "name", "obstacle", "text", "reason", "notes", "source", "document", "legal_basis")

_REFERENCE = re.compile(r"#/components/schemas/(\w+)")


@dataclass(frozen=True)
class Operation:
    """One operation: how to call it, and what it declares of its replies."""

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

    def _named(self, place: str) -> dict[str, dict[str, Any]]:
        return {one["name"]: one for one in self.spec["parameters"] if one["in"] == place}

    @cached_property
    def query(self) -> dict[str, dict[str, Any]]:
        return self._named("query")

    @cached_property
    def headers(self) -> dict[str, dict[str, Any]]:
        return self._named("header")

    @cached_property
    def keys(self) -> dict[str, str]:
        """Path parameter → the example that the document gives."""
        found = {name: one["schema"]["examples"][0] for name, one in self._named("path").items()}
        if "/amendment" in self.path:
            return found | {"plan": AMENDED} | ({"action": DRAFTED} if "action" in found else {})
        return found | ({"plan": ADOPTED} if self.id in OF_ADOPTED else {})

    def address(self, **keys: str) -> str:
        return self.path.format(**{**self.keys, **keys})

    @property
    def needed(self) -> dict[str, str]:
        """Query parameters that must be sent, and those without which there is nothing to see."""
        values = {"period": "2026-Q2", "region": "63.02", "year": "2026", "code_system": "kemendagri"}
        required = {name: values[name] for name, one in self.query.items() if one.get("required")}
        return required | ASKED.get(self.id, {})

    @cached_property
    def body(self) -> tuple[str, dict[str, Any]] | None:
        """(media type, its declaration) of the request body."""
        content = self.spec.get("requestBody", {}).get("content")
        return next(iter(content.items())) if content else None

    @property
    def example(self) -> Any:
        return copy.deepcopy(self.body[1]["example"]) if self.body else None

    @property
    def takes_json(self) -> bool:
        return self.body is not None and "json" in self.body[0]

    def altered(self) -> Any:
        """The example body with another text in it, so that sending it changes something."""
        body = self.example
        for place in (body, *body.get("items", [])) if body else ():
            for name in _ALTERABLE:
                if isinstance(place.get(name), str):
                    place[name] += " (baru)"
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
        """What is declared of a status; AssertionError where nothing is."""
        declared = self.spec["responses"].get(str(status))
        assert declared is not None, f"{self}: {status} is not declared"
        if "$ref" in declared:
            declared = self.document["components"]["responses"][declared["$ref"].rsplit("/", 1)[1]]
        found: dict[str, Any] = declared
        return found


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, spec in methods.items():
            yield Operation(path, method, spec, document)


def strict(document: dict[str, Any]) -> dict[str, Any]:
    """The document with no room for fields that it does not declare: replies may grow, unseen they may not."""
    closed = copy.deepcopy(document)
    for schema in closed["components"]["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return closed


class Schemas:
    """Validators of the document's schemas, each made once and of those schemas alone that it refers to.

    A validator copies what it is given: with the whole document in each, they took half a gigabyte.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self._shapes: dict[str, Any] = strict(document)["components"]["schemas"]
        self._made: dict[str, Any] = {}

    def errors(self, schema: dict[str, Any], value: Any) -> list[str]:
        """What is wrong with a value, one line each."""
        key = repr(schema)
        if key not in self._made:
            whole = {**schema, "components": {"schemas": self._reached_from(schema)}}
            self._made[key] = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        return [
            f"{'/'.join(map(str, e.instance_path))}: {e.message[:300]}"
            for e in self._made[key].iter_errors(value)
        ]

    def _reached_from(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The document's schemas that one refers to, directly or through others."""
        reached: dict[str, Any] = {}
        left = [schema]
        while left:
            for name in set(_REFERENCE.findall(repr(left.pop()))) - reached.keys():
                reached[name] = self._shapes[name]
                left.append(reached[name])
        return reached
