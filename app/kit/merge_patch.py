"""JSON Merge Patch (RFC 7396): the body of a PATCH, its merge, and its schema in the OpenAPI document.

A route takes `patch: Patch`, merges it into the body that a PUT would have sent, and validates the result by
the shape of the PUT (`apply_patch`). So both refuse the same input with the same errors.
"""

from typing import Annotated, Any

from fastapi import Body

MEDIA_TYPE = "application/merge-patch+json"

Patch = Annotated[
    dict[str, object],
    Body(
        media_type=MEDIA_TYPE,
        description="Fields to change; null resets a field to its default, a list replaces the whole list.",
    ),
]


def merge_patch(target: object, patch: object) -> object:
    """Return `target` with `patch` merged into it; both stay unchanged."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def describe_patch(put: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a PATCH body, from that of the PUT: all its fields, none of them required.

    Adds the shapes that it needs (`AgencyPatch` for `AgencyIn`) to `schemas`.
    """
    if "$ref" not in put:
        return put
    name = put["$ref"].rsplit("/", 1)[1]
    if "properties" not in schemas[name]:
        return put
    patch = name.removesuffix("In") + "Patch"
    if patch not in schemas:
        whole = schemas[name]
        schemas[patch] = {}  # ends the recursion of a shape that contains itself
        schemas[patch] = {
            "type": "object",
            "title": patch,
            "description": f"Changes to {name.removesuffix('In')}: only the fields to change.",
            "properties": {
                name: _make_optional(field, schemas) for name, field in whole["properties"].items()
            },
            "additionalProperties": False,
        }
        if whole.get("examples"):
            filled = ((field, value) for field, value in whole["examples"][0].items() if value)
            schemas[patch]["examples"] = [dict([next(filled)])]
    return {"$ref": f"#/components/schemas/{patch}"}


def _make_optional(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a field that may be absent or null; a PATCH merges into an object in it."""
    kept = {name: value for name, value in schema.items() if name not in ("default", "examples")}
    if "anyOf" in kept:
        return {**kept, "anyOf": _add_null([describe_patch(choice, schemas) for choice in kept["anyOf"]])}
    about: dict[str, Any] = {name: kept.pop(name) for name in ("title", "description") if name in kept}
    return {**about, "anyOf": _add_null([describe_patch(kept, schemas)])}


def _add_null(choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return choices if {"type": "null"} in choices else [*choices, {"type": "null"}]
