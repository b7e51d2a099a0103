"""A schema goes strict only where strict mode keeps its meaning."""

from typing import Any

import pytest

from model_layer.providers.openai_schema import strict_form

CLOSED: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"a": {"type": "string", "maxLength": 5, "description": "five at most"}},
    "required": ["a"],
    "additionalProperties": False,
}


def _with(**changes: Any) -> dict[str, Any]:
    return {**CLOSED, **changes}


def test_narrowing_keywords_that_strict_mode_refuses_are_dropped() -> None:
    assert strict_form(CLOSED) == {
        "type": "object",
        "properties": {"a": {"type": "string", "description": "five at most"}},
        "required": ["a"],
        "additionalProperties": False,
    }


def test_a_property_may_have_the_name_of_a_keyword() -> None:
    schema = _with(properties={"default": {"type": "integer"}, "not": {"type": "null"}}, required=["not", "default"])
    assert set((strict_form(schema) or {})["properties"]) == {"default", "not"}


def test_definitions_and_unions_inside_are_kept() -> None:
    schema = _with(properties={"a": {"anyOf": [{"$ref": "#/$defs/b"}, {"type": "null"}]}}, **{"$defs": {"b": CLOSED}})
    form = strict_form(schema)
    assert form is not None
    assert "maxLength" not in form["$defs"]["b"]["properties"]["a"]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "string"}},
        _with(anyOf=[{"type": "object"}]),
        _with(required=[]),
        _with(additionalProperties=True),
        {key: value for key, value in CLOSED.items() if key != "additionalProperties"},
        _with(properties={"a": {"oneOf": [{"type": "string"}]}}),
        _with(properties={"a": {"type": "object", "properties": {}}}),
        _with(properties={"a": {"type": "object", "additionalProperties": {"type": "string"}}}),
        _with(properties={"a": True}),
        _with(properties={"a": {"enum": list(range(1_001))}}),
        _with(**{"if": {"type": "object"}}),
    ],
)
def test_other_schemas_have_no_strict_form(schema: dict[str, Any]) -> None:
    assert strict_form(schema) is None
