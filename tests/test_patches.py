"""JSON Merge Patch and its schema."""

from typing import Any

from app.kit.merge_patch import describe_patch, merge_patch


def test_merge_patch_follows_the_rfc() -> None:
    """The cases of RFC 7396, appendix A."""
    for target, patch, result in (
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "foo"}, None, None),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ):
        assert merge_patch(target, patch) == result


def test_the_schema_of_a_patch_follows_from_that_of_the_put() -> None:
    schemas: dict[str, Any] = {
        "PlanIn": {
            "properties": {
                "title": {"type": "string", "default": ""},
                "part": {"$ref": "#/components/schemas/Part"},
                "kind": {"$ref": "#/components/schemas/Kind"},
            },
            "required": ["title"],
            "examples": [{"title": "RAT"}],
        },
        "Part": {
            "properties": {
                "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Part"}},
                "inner": {"anyOf": [{"$ref": "#/components/schemas/Part"}, {"type": "null"}]},
            }
        },
        "Kind": {"enum": ["a"]},
    }
    assert describe_patch({"$ref": "#/components/schemas/PlanIn"}, schemas) == {
        "$ref": "#/components/schemas/PlanPatch"
    }
    plan, part = schemas["PlanPatch"], schemas["PartPatch"]
    assert "required" not in plan
    assert plan["additionalProperties"] is False
    assert plan["properties"] == {
        "title": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "part": {"anyOf": [{"$ref": "#/components/schemas/PartPatch"}, {"type": "null"}]},
        "kind": {"anyOf": [{"$ref": "#/components/schemas/Kind"}, {"type": "null"}]},
    }
    assert plan["examples"] == [{"title": "RAT"}]
    array, null = part["properties"]["parts"]["anyOf"]
    assert (array["items"], null) == ({"$ref": "#/components/schemas/Part"}, {"type": "null"})
    assert part["properties"]["inner"]["anyOf"][0] == {"$ref": "#/components/schemas/PartPatch"}
