"""A converted schema is one the provider takes; whatever is valid under the original is valid under it."""

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.validation.instances import make_object
from common.schema import PROFILES, SchemaProfile, check, check_schema, down_convert

PROFILE_LIST = list(PROFILES.values())
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "name": {"$ref": "#/$defs/name"},
        "kind": {"const": "note"},
        "score": {"type": "number", "minimum": 0, "maximum": 1},
        "when": {"type": "string", "format": "iri"},
        "which": {"oneOf": [{"type": "integer"}, {"type": "string"}]},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2, "uniqueItems": True},
    },
    "required": ["name", "kind", "score", "which", "tags"],
    "additionalProperties": False,
    "$defs": {"name": {"type": "string", "minLength": 1, "pattern": "^a"}},
}


def filled(value: Any, schema: Any) -> Any:
    """Return an instance with its absent optional members as null, as strict mode makes a model write it."""
    if isinstance(value, list):
        return [filled(item, schema.get("items", {})) for item in value]
    if not isinstance(value, dict):
        return value
    declared = schema.get("properties", {})
    members = {key: filled(member, declared.get(key, {})) for key, member in value.items()}
    return {**dict.fromkeys(declared), **members}


@pytest.mark.parametrize("profile", PROFILE_LIST, ids=lambda p: p.name)
def test_what_is_dropped_is_reported_and_the_rest_is_a_schema(profile: SchemaProfile) -> None:
    converted = down_convert(SCHEMA, profile)

    assert converted.schema is not None
    assert check_schema(converted.schema) == []
    assert list(converted.schema["properties"]) == list(SCHEMA["properties"])
    assert "$ref" not in str(converted.schema)
    assert any(d.keyword == "oneOf" for d in converted.dropped)
    assert any((d.pointer, d.keyword) == ("/properties/tags", "uniqueItems") for d in converted.dropped)


def test_openai_gets_every_member_required_and_optional_ones_nullable() -> None:
    converted = down_convert(SCHEMA, PROFILES["openai"])

    assert converted.schema is not None
    assert converted.schema["required"] == list(SCHEMA["properties"])
    assert converted.nullable == ("/properties/when",)
    assert converted.schema["properties"]["when"] == {"type": ["string", "null"]}


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        ({"type": "object", "properties": {}}, "openai"),
        ({"type": "array", "items": {"type": "string"}}, "openai"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}, "additionalProperties": False}, "anthropic"),
        ({"$ref": "https://example.org/schema"}, "gemini"),
        ({"type": "object", "properties": {"a": False}}, "grammar"),
    ],
)
def test_where_there_is_no_strict_form_the_reason_is_told(schema: dict[str, Any], name: str) -> None:
    converted = down_convert(schema, PROFILES[name])

    assert converted.schema is None
    assert converted.dropped[-1].reason


@pytest.mark.parametrize(
    "part",
    [
        {"type": ["string", "null"], "enum": ["x", "y"]},
        {"type": ["string", "null"], "anyOf": [{"type": "string"}]},
        {"type": "string", "enum": ["x", None]},
    ],
)
def test_an_optional_member_may_be_null_whatever_refuses_it(part: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {"a": part}, "additionalProperties": False}

    converted = down_convert(schema, PROFILES["openai"])

    assert converted.schema is not None
    assert check({"a": None}, converted.schema) == []


@pytest.mark.parametrize(
    ("draft", "part", "value"),
    [
        ("http://json-schema.org/draft-07/schema#", {"type": "string", "format": "uuid"}, "x"),
        ("http://json-schema.org/draft-07/schema#", {"type": "string", "format": "duration"}, "x"),
        ("http://json-schema.org/draft-04/schema#", {"type": "string", "const": "a"}, "b"),
    ],
)
@pytest.mark.parametrize("profile", PROFILE_LIST, ids=lambda p: p.name)
def test_what_has_no_meaning_in_an_old_draft_is_dropped(
    draft: str, part: dict[str, Any], value: str, profile: SchemaProfile
) -> None:
    rest = {"type": "object", "properties": {"a": part}, "required": ["a"], "additionalProperties": False}

    converted = down_convert({"$schema": draft, **rest}, profile)

    assert converted.schema is not None
    assert check({"a": value}, converted.schema) == []
    assert converted.dropped[-1].pointer == "/properties/a"


@pytest.mark.parametrize(
    "schema",
    [
        {
            "properties": {"a": {"$ref": "#addr"}},
            "$defs": {"b": {"$id": "urn:b", "items": {"$anchor": "addr", "type": "string"}}},
        },
        {
            "properties": {"a": {"$ref": "#addr"}},
            "$defs": {"b": {"$anchor": "addr", "type": "string"}, "c": {"$anchor": "addr", "type": "integer"}},
        },
        {
            "properties": {"a": {"$ref": "#/$defs/b"}},
            "$defs": {
                "b": {"$id": "urn:b", "$ref": "#/$defs/c", "$defs": {"c": {"type": "integer"}}},
                "c": {"type": "string"},
            },
        },
        {
            "properties": {"a": {"$ref": "#/$defs/b/items"}},
            "$defs": {"b": {"$id": "urn:b", "items": {"$ref": "#/$defs/c"}}, "c": {"type": "string"}},
        },
    ],
)
def test_a_reference_that_does_not_start_from_the_root_has_no_strict_form(schema: dict[str, Any]) -> None:
    converted = down_convert({"type": "object", "additionalProperties": False, **schema}, PROFILES["grammar"])

    assert converted.schema is None


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": []},
        {"type": "object", "required": [1]},
        {"anyOf": 5},
        {"type": "array", "minItems": None},
        {"$schema": "https://nowhere.invalid/draft", "format": []},
        {"$ref": "#/unread", "unread": {"type": "object", "required": 5}},
        {"$ref": "#/unread", "unread": 5},
        {1: 2},
        {"type": "object", "properties": {"a": {1: 2}}},
        {"type": "object", "properties": {"a": {"const": b"a"}}, "required": [math.nan]},
        "object",
    ],
)
@pytest.mark.parametrize("profile", PROFILE_LIST, ids=lambda p: p.name)
def test_what_is_no_schema_has_no_strict_form(schema: Any, profile: SchemaProfile) -> None:
    converted = down_convert(schema, profile)

    assert converted.schema is None
    assert converted.dropped


def test_a_long_chain_of_references_has_no_strict_form() -> None:
    definitions = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(5_000)}

    converted = down_convert(
        {"$defs": {**definitions, "d5000": {"type": "string"}}, "$ref": "#/$defs/d0"}, PROFILES["grammar"]
    )

    assert converted.schema is None
    assert converted.dropped[-1].keyword == "$ref"


@pytest.mark.parametrize("reference", ["#/$defs/x%20y/anyOf/1", "#/$defs/x%20y/anyOf/+01", "#named"])
def test_a_reference_may_lead_into_a_list_be_encoded_and_be_a_name(reference: str) -> None:
    schema = {
        "properties": {"a": {"$ref": reference}},
        "$defs": {"x y": {"anyOf": [True, {"type": "string", "$anchor": "named"}]}},
    }

    converted = down_convert(schema, PROFILES["grammar"])

    assert check({"a": 1}, schema) != []
    assert converted.schema is not None
    assert converted.schema["properties"]["a"] == {"type": "string"}


@given(st.integers(0, 10_000), st.sampled_from(PROFILE_LIST))
def test_an_instance_of_the_original_is_one_of_the_converted(seed: int, profile: SchemaProfile) -> None:
    schema, instance = make_object(random.Random(seed))

    converted = down_convert(schema, profile)

    if converted.schema is not None:
        written = filled(instance, schema) if profile.all_required else instance
        assert check(written, converted.schema) == []


_leaf = st.sampled_from(
    [
        {"type": "string", "maxLength": 5},
        {"type": "integer", "exclusiveMinimum": 0},
        {"enum": ["a", None, 3]},
        {"const": {"a": 1}},
        {"not": {"type": "null"}},
        {"allOf": [{"type": "number"}, {"minimum": 3}]},
        {"type": ["string", "null"], "format": "date"},
        {"patternProperties": {"^a": {"type": "string"}}, "additionalProperties": False},
        {"if": {"type": "string"}, "then": {"maxLength": 2}},
    ]
)
_schemas = st.recursive(
    _leaf,
    lambda inner: (
        st.builds(lambda i: {"type": "array", "items": i, "maxItems": 2}, inner)
        | st.builds(lambda a, b: {"anyOf": [a, b]}, inner, inner)
        | st.builds(lambda a, b: {"oneOf": [a, b], "minLength": 1}, inner, inner)
        | st.builds(
            lambda a, b, closed: (
                {"type": "object", "properties": {"a": a, "b": b}, "required": ["a"]}
                | ({"additionalProperties": False} if closed else {})
            ),
            inner,
            inner,
            st.booleans(),
        )
    ),
    max_leaves=6,
)
_values = st.recursive(
    st.sampled_from([None, True, 0, 3, 4.5, "a", "2024-01-02", {"a": 1}]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)


@given(_schemas, _values, st.sampled_from([p for p in PROFILE_LIST if not p.all_required]))
def test_converting_never_narrows(schema: Any, instance: Any, profile: SchemaProfile) -> None:
    converted = down_convert(schema, profile)

    if converted.schema is not None and check(instance, schema) == []:
        assert check(instance, converted.schema) == []


@pytest.mark.parametrize("profile", PROFILE_LIST, ids=PROFILES)
@pytest.mark.parametrize("where", ["$defs", "definitions", "unread"])
def test_converting_never_narrows_where_the_draft_does_not_look(where: str, profile: SchemaProfile) -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "type": "object",
        "properties": {"a": {"$ref": f"#/{where}/d"}},
        "required": ["a"],
        "additionalProperties": False,
        where: {"d": {"type": "integer", "exclusiveMinimum": 0}},
    }

    converted = down_convert(schema, profile)

    if converted.schema is not None and not check_schema(schema):
        assert check({"a": 0}, converted.schema) == []


@pytest.mark.parametrize("profile", PROFILE_LIST, ids=PROFILES)
def test_references_below_an_id_of_draft_4_have_no_strict_form(profile: SchemaProfile) -> None:
    inner = {
        "id": "http://x/y",
        "type": "object",
        "properties": {"b": {"$ref": "#/definitions/d"}},
        "required": ["b"],
        "additionalProperties": False,
        "definitions": {"d": {"type": "string"}},
    }
    schema = {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "type": "object",
        "definitions": {"d": {"type": "integer"}},
        "properties": {"a": inner},
        "required": ["a"],
        "additionalProperties": False,
    }
    converted = down_convert(schema, profile)
    assert converted.schema is None
    assert converted.dropped[-1].pointer == "/properties/a"

    named = {**schema, "$schema": "http://json-schema.org/draft-07/schema#"}
    assert down_convert({**named, "properties": {"id": {"type": "string"}}, "required": ["id"]}, profile).schema


@pytest.mark.parametrize("profile", PROFILE_LIST, ids=PROFILES)
def test_what_is_said_beside_a_reference_is_kept(profile: SchemaProfile) -> None:
    place = {"$ref": "#/$defs/address", "description": "where the bill goes", "title": "Billing", "minLength": 3}
    schema = {
        "type": "object",
        "properties": {"billing": place},
        "required": ["billing"],
        "additionalProperties": False,
        "$defs": {"address": {"type": "string", "description": "an address"}},
    }
    converted = down_convert(schema, profile)
    assert converted.schema is not None
    billing = converted.schema["properties"]["billing"]
    said = {drop.keyword for drop in converted.dropped}
    for keyword in ("description", "title", "minLength"):
        assert (billing.get(keyword) == place[keyword]) is (keyword not in said), keyword
    assert "description" not in said


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_definitions_are_inlined_and_not_dropped(profile: SchemaProfile) -> None:
    closed = {"type": "object", "properties": {}, "additionalProperties": False}

    assert down_convert({"$ref": "#/$defs/a", "$defs": {"a": closed}}, profile).dropped == ()


def test_placed_items_are_dropped_with_the_reason() -> None:
    placed = {"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "integer"}}

    for name, word in (("gemini", "differ"), ("grammar", "differ"), ("anthropic", "not take")):
        reasons = {dropped.keyword: dropped.reason for dropped in down_convert(placed, PROFILES[name]).dropped}
        assert word in reasons["prefixItems"]
        assert "after" in reasons["items"]
