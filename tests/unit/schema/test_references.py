"""References lead where the validator takes them, and a schema cannot hide what it refers to from the scales."""

from typing import Any

import pytest

from common.errors import SchemaError
from common.schema import PROFILES, check_schema, compile_schema, down_convert
from common.schema.references import RootReferences
from common.schema.weight import weigh

DRAFT_4 = {"$schema": "http://json-schema.org/draft-04/schema#"}
DRAFT_7 = {"$schema": "http://json-schema.org/draft-07/schema#"}
LEAF = {"type": "integer", "title": "leaf"}


@pytest.mark.parametrize(
    ("schema", "reference"),
    [
        ({"$defs": {"a b": LEAF}}, "#/$defs/a%20b"),
        ({"$defs": {"a/b~": LEAF}}, "#/$defs/a~1b~0"),
        ({"allOf": [True, LEAF]}, "#/allOf/1"),
        ({"allOf": [True, LEAF]}, "#/allOf/+01"),
        ({"x": {"": LEAF}}, "#/x/"),
        ({"$defs": {"a": {**LEAF, "$anchor": "name"}}}, "#name"),
        ({"properties": {"enum": {**LEAF, "$anchor": "name"}}}, "#name"),
        ({**DRAFT_7, "definitions": {"a": {**LEAF, "$id": "#name"}}}, "#name"),
        ({**DRAFT_4, "definitions": {"a": {**LEAF, "id": "#name"}}}, "#name"),
    ],
)
def test_a_reference_leads_where_the_validator_takes_it(schema: dict[str, Any], reference: str) -> None:
    found = RootReferences(schema).target(reference)

    assert found["title"] == "leaf"
    assert not compile_schema(
        {**schema, "properties": {**schema.get("properties", {}), "p": {"$ref": reference}}}
    ).is_valid({"p": "x"})


WORDS = (
    *("definitions", "$defs", "properties", "patternProperties", "dependencies", "dependentSchemas"),
    *("allOf", "anyOf", "oneOf", "prefixItems", "enum", "examples"),
    *("additionalProperties", "items", "additionalItems", "not", "if", "then", "else", "contains", "propertyNames"),
    *("unevaluatedItems", "unevaluatedProperties", "contentSchema", "default", "const", "unknown"),
)


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize(
    ("draft", "name"),
    [
        (DRAFT_4, {"id": "#name"}),
        ({"$schema": "http://json-schema.org/draft-06/schema#"}, {"$id": "#name"}),
        (DRAFT_7, {"$id": "#name"}),
        ({"$schema": "https://json-schema.org/draft/2019-09/schema"}, {"$anchor": "name"}),
        ({}, {"$anchor": "name"}),
    ],
    ids=["4", "6", "7", "2019-09", "2020-12"],
)
def test_names_are_found_where_the_validator_looks_for_them(
    draft: dict[str, str], name: dict[str, str], word: str
) -> None:
    part = {**LEAF, **name}
    held = {"x": part} if word in WORDS[:6] else [part] if word in WORDS[6:12] else part
    schema = (
        {**draft, word: held, "not": {"not": {"$ref": "#name"}}}
        if word != "not"
        else {**draft, "allOf": [{"$ref": "#name"}], "not": part}
    )

    found = RootReferences(schema).target("#name")

    assert (found == part) is (check_schema(schema) == [])


@pytest.mark.parametrize(
    ("schema", "reference"),
    [
        ({"allOf": [LEAF]}, "#/allOf/1"),
        ({"allOf": [LEAF]}, "#/allOf/-1"),
        ({"allOf": [LEAF]}, "#/allOf/²"),
        ({"allOf": [LEAF]}, "#/allOf/\N{ARABIC-INDIC DIGIT ZERO}"),
        ({"allOf": [LEAF]}, "#/allOf/" + "1" * 5_000),
        ({"a": LEAF}, "https://x/y#/a"),
        ({"a": LEAF}, "a"),
        ({"const": {**LEAF, "$anchor": "name"}}, "#name"),
        ({"unknown": {**LEAF, "$anchor": "name"}}, "#name"),
        ({"$defs": {"a": {**LEAF, "$anchor": "name"}, "b": {"$anchor": "name"}}}, "#name"),
        ({"$defs": {"a": {"$id": "urn:a", "items": LEAF}}}, "#/$defs/a/items"),
        ([LEAF], "#/x"),
    ],
)
def test_what_is_not_certain_to_be_referred_to_is_not_found(schema: Any, reference: str) -> None:
    assert RootReferences(schema).target(reference) is None


def test_no_index_of_a_list_is_too_long_to_be_refused() -> None:
    schema = {"$ref": "#/allOf/" + "1" * 5_000, "allOf": [{"pattern": "a"}]}

    assert len(check_schema(schema)) == 1
    with pytest.raises(SchemaError):
        compile_schema(schema)
    assert down_convert(schema, PROFILES["grammar"]).schema is None


def doubled(reference: str, part: dict[str, Any], place: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return thirty definitions of which each refers twice to the next."""
    return {f"d{n}": {**part, "allOf": [{**(place or {}), "$ref": reference.format(n + 1)}] * 2} for n in range(30)} | {
        "d30": {}
    }


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/d0", "$defs": doubled("#/$defs/d{}", {"id": "urn:x"})},
        {**DRAFT_4, "$ref": "#/definitions/d0", "definitions": doubled("#/definitions/d{}", {"$id": "urn:x"})},
        {**DRAFT_7, "$ref": "#/definitions/d0", "definitions": doubled("#/definitions/d{}", {}, {"$id": "urn:x"})},
        {"$ref": "#/unknown/d0", "unknown": doubled("#/unknown/d{}", {"$id": "urn:x"})},
        {"$ref": "#/x/+0", "x": list(doubled("#/x/+0{}", {}).values())},
        {
            "$ref": "#/$defs/d0",
            "$defs": doubled("#name{}", {})
            | {f"n{n}": {"$anchor": f"name{n}", "$ref": f"#/$defs/d{n}"} for n in range(30)},
            "const": [{"$anchor": f"name{n}"} for n in range(30)],
        },
        {
            "$ref": "#name",
            "$defs": {"a": {"$anchor": "name"}, "b": {"$anchor": "name", "$ref": "#/x/d0"}},
            "x": doubled("#/x/d{}", {}),
        },
        {
            "$ref": "#name",
            "$defs": {"a": {"$anchor": "name", "$ref": "#/x/d0"}, "b": {"$anchor": "name"}},
            "x": doubled("#/x/d{}", {}),
        },
        {"$ref": "#name", "$defs": {f"a{n}": {"$anchor": "name", "title": str(n)} for n in range(20)}},
    ],
    ids=["id", "$id", "beside", "unknown", "index", "data", "first", "last", "many"],
)
def test_a_schema_cannot_hide_what_it_refers_to_from_the_scales(schema: dict[str, Any]) -> None:
    assert weigh(schema, {}, branches_are_told=True).questions > 1 << 20


def test_a_part_that_is_bundled_twice_is_weighed_once() -> None:
    part = {"$id": "https://x/a", "$defs": doubled("#/$defs/d{}", {}) | {"d2": {}}}
    schema = {"$ref": "https://x/a#/$defs/d0", "$defs": {"one": part, "two": dict(part)}}

    assert weigh(schema, {"https://x/a": dict(part)}, branches_are_told=True).questions < 20
