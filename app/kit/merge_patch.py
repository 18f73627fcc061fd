"""JSON Merge Patch (RFC 7396): what PATCH takes, does, and shows in the OpenAPI document.

A route takes `patch: Patch`, merges it into the thing as a PUT would have sent it, and holds the result
to the PUT's own shape (`inputs.validated`), so both refuse the same things in the same words.
"""

from typing import Annotated, Any

from fastapi import Body

MEDIA_TYPE = "application/merge-patch+json"

Patch = Annotated[
    dict[str, object],
    Body(
        media_type=MEDIA_TYPE,
        description="The fields to change; null takes a field back to its default, a list replaces the list whole.",
    ),
]


def merge_patch(target: object, patch: object) -> object:
    """`target` with `patch` merged into it; neither is changed."""
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
    """The schema of a PATCH body, from that of the PUT beside it: the same fields, none of them required.

    Shapes it needs (`AgencyPatch` for `AgencyIn`) are added to `schemas`.
    """
    if "$ref" not in put:
        return put
    name = put["$ref"].rsplit("/", 1)[1]
    if "properties" not in schemas[name]:
        return put
    patch = name.removesuffix("In") + "Patch"
    if patch not in schemas:
        whole = schemas[name]
        schemas[patch] = {}  # a shape that holds itself ends here
        schemas[patch] = {
            "type": "object",
            "title": patch,
            "description": f"Changes to {name.removesuffix('In')}: the fields that are to change.",
            "properties": {field: _optional(of, schemas) for field, of in whole["properties"].items()},
            "additionalProperties": False,
        }
        if whole.get("examples"):
            told = ((field, value) for field, value in whole["examples"][0].items() if value)
            schemas[patch]["examples"] = [dict([next(told)])]
    return {"$ref": f"#/components/schemas/{patch}"}


def _optional(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """A field that may be left out or be null; an object in it is patched, not replaced."""
    told = {name: value for name, value in schema.items() if name not in ("default", "examples")}
    if "anyOf" in told:
        return {**told, "anyOf": _with_null([describe_patch(one, schemas) for one in told["anyOf"]])}
    about: dict[str, Any] = {name: told.pop(name) for name in ("title", "description") if name in told}
    return {**about, "anyOf": _with_null([describe_patch(told, schemas)])}


def _with_null(choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return choices if {"type": "null"} in choices else [*choices, {"type": "null"}]
