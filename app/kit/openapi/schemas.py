"""JSON Schemas of the document in the idiom of OpenAPI 3.1.

Client generators make a type of every title and every `anyOf` of one, so this module removes them.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import BaseModel, JsonValue
from pydantic.fields import FieldInfo

Schema = dict[str, Any]

FROZEN: dict[str, object] = {"x-frozen": True}
"""`openapi_extra` of an operation that serves frozen content, which may lack younger fields of its shapes."""

_REF = "#/components/schemas/"
_NAMED = {"properties", "$defs"}
_INNER = {"items", "additionalProperties", "propertyNames"}
_CHOICES = {"anyOf", "oneOf", "allOf", "prefixItems"}
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")


def since(release: str) -> dict[str, JsonValue]:
    """Return the `json_schema_extra` of a field that is younger than the first release, such as `since("1.1")`.

    Older frozen content lacks the field, so the document requires it in live shapes alone, and it is the last column
    of files with frozen content.
    """
    return {"x-since": release}


def find_release(field: FieldInfo) -> tuple[int, ...]:
    """Return the release that introduced a field: `(1, 1)` for `since("1.1")`, empty for the first release."""
    extra = field.json_schema_extra
    text = extra.get("x-since") if isinstance(extra, dict) else None
    return tuple(map(int, text.split("."))) if isinstance(text, str) else ()


def sort_fields_by_age(shape: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a shape in order, the younger ones last: readers find columns by position."""
    return dict(sorted(shape.model_fields.items(), key=lambda item: find_release(item[1])))


def count_younger(shape: type[BaseModel]) -> int:
    """Return the number of fields, of a shape and of the shapes in it, that are younger than the first release."""
    schema = shape.model_json_schema()
    shapes = [schema, *schema.get("$defs", {}).values()]
    return sum("x-since" in field for inner in shapes for field in inner.get("properties", {}).values())


def rename_pages(document: Schema) -> None:
    """Rename the schemas of pages: `Page_AgencyOut_` becomes `AgencyPage`."""
    schemas = document["components"]["schemas"]
    names = {name: re.sub(r"^Page_(.+?)(?:Out)?_$", r"\1Page", name) for name in schemas}
    for old, new in names.items():
        schemas[new] = schemas.pop(old)

    def rename(schema: Schema) -> Schema:
        if "$ref" in schema:
            old = schema["$ref"].removeprefix(_REF)
            schema["$ref"] = _REF + names.get(old, old)
        return schema

    _change_all(document, rename)


def name_forms(document: Schema) -> None:
    """Turn the form of an operation into a named schema: `import_plan_matrix` gets `ImportPlanMatrixForm`."""
    for operations in document["paths"].values():
        for operation in operations.values():
            form = operation.get("requestBody", {}).get("content", {}).get("multipart/form-data")
            if form is not None:
                name = "".join(word.capitalize() for word in operation["operationId"].split("_")) + "Form"
                document["components"]["schemas"][name] = form["schema"]
                form["schema"] = {"$ref": _REF + name}


def tidy_schemas(document: Schema, *, nullable: bool = True) -> None:
    """Remove titles, turn null into a type and whole bounds into integers.

    Parameters are never null, nor are the schemas if `nullable` is false: there null goes too.
    """

    def tidy_one(schema: Schema) -> Schema:
        schema.pop("title", None)
        for name in _BOUNDS:
            if name in schema and schema[name] == int(schema[name]):
                schema[name] = int(schema[name])
        if schema.get("default", ...) is None:
            del schema["default"]
        keeps_null = nullable and not schema.get("x-sometimes")
        return _remove_null(schema) if not keeps_null else _merge_null(schema)

    _change_all(document, tidy_one)
    for operations in document.get("paths", {}).values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = _remove_null(parameter["schema"])


def _split_choices(schema: Schema) -> tuple[list[Schema], Schema]:
    """Return the alternatives of `anyOf` without null, and the other keywords of the schema."""
    keywords = {name: value for name, value in schema.items() if name != "anyOf"}
    return [choice for choice in schema["anyOf"] if choice.get("type") != "null"], keywords


def _remove_null(schema: Schema) -> Schema:
    if "anyOf" in schema:
        choices, keywords = _split_choices(schema)
        return {**choices[0], **keywords} if len(choices) == 1 else {**keywords, "anyOf": choices}
    if isinstance(schema.get("type"), list):
        kinds = [kind for kind in schema["type"] if kind != "null"]
        schema = {**schema, "type": kinds[0] if len(kinds) == 1 else kinds}
        if "enum" in schema:
            schema["enum"] = [value for value in schema["enum"] if value is not None]
    return schema


def _merge_null(schema: Schema) -> Schema:
    """Return `anyOf` of a simple type and null as one type with null; any other schema unchanged."""
    if "anyOf" not in schema:
        return schema
    choices, keywords = _split_choices(schema)
    if (
        len(choices) != 1
        or len(choices) == len(schema["anyOf"])
        or not isinstance(choices[0].get("type"), str)
    ):
        return schema
    merged = {**choices[0], **keywords, "type": [choices[0]["type"], "null"]}
    if "const" in merged:
        merged["enum"] = [merged.pop("const")]
    if "enum" in merged:
        merged["enum"] = [*merged["enum"], None]
    return merged


def replace_copies(document: Schema) -> None:
    """Replace each copy of a named schema inside another one, as Pydantic writes some, by a reference."""
    schemas = document["components"]["schemas"]
    names = {_make_key(schema): name for name, schema in schemas.items() if "properties" in schema}

    def replace(schema: Schema) -> Schema:
        name = names.get(_make_key(schema)) if "properties" in schema else None
        return {"$ref": _REF + name} if name else schema

    for schema in schemas.values():
        for field, inner in schema.get("properties", {}).items():
            if "items" in inner:
                schema["properties"][field]["items"] = replace(inner["items"])


def _make_key(schema: Schema) -> str:
    return json.dumps({name: value for name, value in schema.items() if name != "examples"}, sort_keys=True)


def require_all(document: Schema) -> None:
    """Require all fields of each schema that only replies use, except `SOMETIMES`, and allow more fields within v1.

    Schemas of frozen content do not require fields that are younger than the first release.
    """
    schemas = document["components"]["schemas"]
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    sent = set(find_names([operation.get("requestBody", {}) for operation in operations], schemas))
    serving = [operation for operation in operations if operation.pop("x-frozen", False)]
    frozen = set(find_names([operation["responses"] for operation in serving], schemas))
    for name, schema in schemas.items():
        properties = schema.get("properties")
        if properties is None:
            continue
        omitted = {field for field, inner in properties.items() if inner.pop("x-sometimes", False)}
        younger = {field for field, inner in properties.items() if inner.pop("x-since", False)}
        omitted |= younger if name in frozen else set()
        if name not in sent:
            schema["required"] = sorted(properties.keys() - omitted)
            schema.pop("additionalProperties", None)
            for inner in properties.values():
                inner.pop("default", None)


def find_names(start: object, schemas: Schema) -> Iterator[str]:
    """Yield the names of all schemas that a part of the document refers to, directly or through others."""
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


def _change_all(document: Schema, change: Callable[[Schema], Schema]) -> None:
    """Apply `change` to every schema, the inner ones first, but not to examples and names of fields."""

    def change_one(schema: object) -> object:
        if not isinstance(schema, dict):
            return schema
        for name in _NAMED & schema.keys():
            schema[name] = {field: change_one(inner) for field, inner in schema[name].items()}
        for name in _INNER & schema.keys():
            schema[name] = change_one(schema[name])
        for name in _CHOICES & schema.keys():
            schema[name] = [change_one(choice) for choice in schema[name]]
        return change(schema)

    schemas = document["components"]["schemas"]
    schemas.update({name: change_one(schema) for name, schema in schemas.items()})
    for holder in _find_holders(document):
        holder["schema"] = change_one(holder.get("schema", {}))


def _find_holders(document: Schema) -> Iterator[Schema]:
    """Yield the parts of operations that have a schema: parameters and media types."""
    for operations in document.get("paths", {}).values():
        for operation in operations.values():
            yield from operation.get("parameters", ())
            for body in (operation.get("requestBody", {}), *operation["responses"].values()):
                yield from body.get("content", {}).values()


def sort_deeply(value: object) -> Any:
    """Return a value with sorted objects, parameters by place and name, so a change of the document is a small diff."""
    if isinstance(value, dict):
        return {name: sort_deeply(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        if value and all(isinstance(item, dict) and {"name", "in"} <= item.keys() for item in value):
            value = sorted(value, key=lambda item: (item["in"], item["name"]))
        return [sort_deeply(item) for item in value]
    return value
