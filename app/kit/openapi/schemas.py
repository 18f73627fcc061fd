"""JSON Schemas as the document shows them: what Pydantic makes, said the way OpenAPI 3.1 says it.

Client generators turn every needless title and every choice of one into a type of its own, so there
are none here; a field that may be null says so by its type, and a reply says that all its fields are there.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import BaseModel, JsonValue
from pydantic.fields import FieldInfo

Schema = dict[str, Any]

FROZEN: dict[str, object] = {"x-frozen": True}
"""`openapi_extra` of an operation that serves frozen content: younger fields are optional in its shapes."""

_REF = "#/components/schemas/"
_NAMED = {"properties", "$defs"}
_INNER = {"items", "additionalProperties", "propertyNames"}
_CHOICES = {"anyOf", "oneOf", "allOf", "prefixItems"}
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")


def since(release: str) -> dict[str, JsonValue]:
    """Return the `json_schema_extra` of a field that is younger than the first release, such as `since("1.1")`.

    Content that was frozen before lacks the field: the document requires it in live shapes alone, and it is the last
    column of the files that are made of such content.
    """
    return {"x-since": release}


def release_of(field: FieldInfo) -> tuple[int, ...]:
    """Return the release that brought a field, `(1, 1)` for `since("1.1")`; of the first release an empty one."""
    extra = field.json_schema_extra
    text = extra.get("x-since") if isinstance(extra, dict) else None
    return tuple(map(int, text.split("."))) if isinstance(text, str) else ()


def fields_by_age(shape: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a shape as declared, the younger ones last: readers find columns by place."""
    return dict(sorted(shape.model_fields.items(), key=lambda item: release_of(item[1])))


def count_younger(shape: type[BaseModel]) -> int:
    """Return how many fields of a shape, and of the shapes in it, are younger than the first release."""
    schema = shape.model_json_schema()
    shapes = [schema, *schema.get("$defs", {}).values()]
    return sum("x-since" in field for each in shapes for field in each.get("properties", {}).values())


def named_pages(document: Schema) -> None:
    """`Page_AgencyOut_` becomes `AgencyPage`."""
    schemas = document["components"]["schemas"]
    names = {name: re.sub(r"^Page_(.+?)(?:Out)?_$", r"\1Page", name) for name in schemas}
    for old, new in names.items():
        schemas[new] = schemas.pop(old)

    def rename(schema: Schema) -> Schema:
        if "$ref" in schema:
            old = schema["$ref"].removeprefix(_REF)
            schema["$ref"] = _REF + names.get(old, old)
        return schema

    _everywhere(document, rename)


def named_forms(document: Schema) -> None:
    """A form that an operation declares becomes a shape of its own: `import_plan_matrix`, `ImportPlanMatrixForm`."""
    for operations in document["paths"].values():
        for operation in operations.values():
            form = operation.get("requestBody", {}).get("content", {}).get("multipart/form-data")
            if form is not None:
                name = "".join(word.capitalize() for word in operation["operationId"].split("_")) + "Form"
                document["components"]["schemas"][name] = form["schema"]
                form["schema"] = {"$ref": _REF + name}


def tidy(document: Schema, *, nullable: bool = True) -> None:
    """Titles go, null becomes a type, whole bounds whole numbers. Where nothing is ever null (`nullable`
    false: left out instead; a parameter in any case) null goes too."""

    def mend(schema: Schema) -> Schema:
        schema.pop("title", None)
        for name in _BOUNDS:
            if name in schema and schema[name] == int(schema[name]):
                schema[name] = int(schema[name])
        if schema.get("default", ...) is None:
            del schema["default"]
        keeps_null = nullable and not schema.get("x-sometimes")
        return _without_null(schema) if not keeps_null else _nullable(schema)

    _everywhere(document, mend)
    for operations in document.get("paths", {}).values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = _without_null(parameter["schema"])


def _choices(schema: Schema) -> tuple[list[Schema], Schema]:
    """What `anyOf` offers beside null, and what stands beside `anyOf`."""
    beside = {name: value for name, value in schema.items() if name != "anyOf"}
    return [one for one in schema["anyOf"] if one.get("type") != "null"], beside


def _without_null(schema: Schema) -> Schema:
    if "anyOf" in schema:
        choices, beside = _choices(schema)
        return {**choices[0], **beside} if len(choices) == 1 else {**beside, "anyOf": choices}
    if isinstance(schema.get("type"), list):
        rest = [kind for kind in schema["type"] if kind != "null"]
        schema = {**schema, "type": rest[0] if len(rest) == 1 else rest}
        if "enum" in schema:
            schema["enum"] = [value for value in schema["enum"] if value is not None]
    return schema


def _nullable(schema: Schema) -> Schema:
    if "anyOf" not in schema:
        return schema
    choices, beside = _choices(schema)
    if (
        len(choices) != 1
        or len(choices) == len(schema["anyOf"])
        or not isinstance(choices[0].get("type"), str)
    ):
        return schema
    merged = {**choices[0], **beside, "type": [choices[0]["type"], "null"]}
    if "const" in merged:
        merged["enum"] = [merged.pop("const")]
    if "enum" in merged:
        merged["enum"] = [*merged["enum"], None]
    return merged


def refer(document: Schema) -> None:
    """A shape that Pydantic wrote out inside another one, though it has a name, is referred to by it."""
    schemas = document["components"]["schemas"]
    names = {_identity(schema): name for name, schema in schemas.items() if "properties" in schema}

    def replace(schema: Schema) -> Schema:
        name = names.get(_identity(schema)) if "properties" in schema else None
        return {"$ref": _REF + name} if name else schema

    for schema in schemas.values():
        for field, of in schema.get("properties", {}).items():
            if "items" in of:
                schema["properties"][field]["items"] = replace(of["items"])


def _identity(schema: Schema) -> str:
    return json.dumps({name: value for name, value in schema.items() if name != "examples"}, sort_keys=True)


def require_all(document: Schema) -> None:
    """A shape that is only ever read has all its fields, `SOMETIMES` aside, and may get more within v1.

    Shapes of frozen content do not require fields that are younger than the first release.
    """
    schemas = document["components"]["schemas"]
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    sent = set(_reached([operation.get("requestBody", {}) for operation in operations], schemas))
    serving = [operation for operation in operations if operation.pop("x-frozen", False)]
    frozen = set(_reached([operation["responses"] for operation in serving], schemas))
    for name, schema in schemas.items():
        properties = schema.get("properties")
        if properties is None:
            continue
        omitted = {field for field, of in properties.items() if of.pop("x-sometimes", False)}
        younger = {field for field, of in properties.items() if of.pop("x-since", False)}
        omitted |= younger if name in frozen else set()
        if name not in sent:
            schema["required"] = sorted(properties.keys() - omitted)
            schema.pop("additionalProperties", None)
            for of in properties.values():
                of.pop("default", None)


def _reached(start: object, schemas: Schema) -> Iterator[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            name = str(value.get("$ref", "")).removeprefix(_REF)
            if name in schemas and name not in seen:
                seen.add(name)
                yield name
                waiting.append(schemas[name])
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _everywhere(document: Schema, change: Callable[[Schema], Schema]) -> None:
    """Apply `change` to every schema, the inner ones first; examples and names of fields are none."""

    def within(schema: object) -> object:
        if not isinstance(schema, dict):
            return schema
        for name in _NAMED & schema.keys():
            schema[name] = {field: within(of) for field, of in schema[name].items()}
        for name in _INNER & schema.keys():
            schema[name] = within(schema[name])
        for name in _CHOICES & schema.keys():
            schema[name] = [within(one) for one in schema[name]]
        return change(schema)

    schemas = document["components"]["schemas"]
    schemas.update({name: within(schema) for name, schema in schemas.items()})
    for holder in _holders(document):
        holder["schema"] = within(holder.get("schema", {}))


def _holders(document: Schema) -> Iterator[Schema]:
    """What has a schema in an operation: parameters and media types."""
    for operations in document.get("paths", {}).values():
        for operation in operations.values():
            yield from operation.get("parameters", ())
            for body in (operation.get("requestBody", {}), *operation["responses"].values()):
                yield from body.get("content", {}).values()


def sorted_deeply(value: object) -> Any:
    """Every object by its names, parameters by place and name: a change of the document is a small diff."""
    if isinstance(value, dict):
        return {name: sorted_deeply(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        if value and all(isinstance(one, dict) and {"name", "in"} <= one.keys() for one in value):
            value = sorted(value, key=lambda one: (one["in"], one["name"]))
        return [sorted_deeply(one) for one in value]
    return value
