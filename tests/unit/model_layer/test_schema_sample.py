"""Samples are valid under their schema, or refused."""

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ProviderError, ProviderErrorKind
from model_layer.providers.schema_sample import minimal_instance, sample_text

CARD: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "summary": {"type": "string", "minLength": 10, "maxLength": 160},
        "category": {"enum": ["library", "tool"]},
        "keywords": {
            "type": "array",
            "items": {"type": "string", "minLength": 2},
            "minItems": 2,
            "uniqueItems": True,
        },
        "score": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        "rank": {"type": "integer", "minimum": 3, "multipleOf": 5},
        "homepage": {"type": ["string", "null"], "format": "uri"},
        "author": {"$ref": "#/$defs/person"},
        "extra": {"anyOf": [{"type": "null"}, {"type": "string"}]},
        "left_out": {"type": "string"},
    },
    "required": ["summary", "category", "keywords", "score", "rank", "homepage", "author", "extra"],
    "additionalProperties": False,
    "$defs": {
        "person": {
            "allOf": [
                {"type": "object", "properties": {"name": {"const": "Ada"}}, "required": ["name"]},
                {"properties": {"born": {"type": "string", "format": "date"}}, "required": ["born"]},
            ]
        }
    },
}


def test_a_sample_is_valid_and_holds_only_what_is_required() -> None:
    sample = json.loads(sample_text(CARD))
    jsonschema_rs.validator_for(CARD).validate(sample)
    assert "left_out" not in sample
    assert sample["author"] == {"name": "Ada", "born": "2000-01-01"}


def test_a_schema_out_of_reach_is_refused_rather_than_answered_wrongly() -> None:
    with pytest.raises(ProviderError) as refused:
        sample_text({"type": "string", "pattern": "^[A-Z]{3}-[0-9]+$"})
    assert refused.value.kind is ProviderErrorKind.INVALID_REQUEST
    assert not refused.value.sent


def test_a_schema_that_refers_to_itself_without_end_is_refused() -> None:
    endless = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    with pytest.raises(ProviderError):
        sample_text(endless)


leaves = st.one_of(
    st.builds(lambda least: {"type": "string", "minLength": least}, st.integers(0, 9)),
    st.builds(
        lambda least, step: {"type": "integer", "minimum": least, "multipleOf": step},
        st.integers(-50, 50),
        st.integers(1, 7),
    ),
    st.builds(lambda most: {"type": "number", "exclusiveMaximum": most}, st.integers(-50, 50)),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"enum": ["a", "b"]}, {"const": [1, {"x": 2}]}]),
    st.sampled_from(["date", "date-time", "email", "uuid", "ipv4", "uri"]).map(
        lambda name: {"type": "string", "format": name}
    ),
)


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": sorted(properties)}


schemas = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from("abcd"), inner, max_size=4).map(_object),
        st.builds(lambda item, count: {"type": "array", "items": item, "minItems": count}, inner, st.integers(0, 3)),
        st.lists(inner, min_size=1, max_size=3).map(lambda options: {"anyOf": options}),
    ),
    max_leaves=12,
)


@given(schemas)
def test_whatever_the_module_covers_gets_a_valid_sample(schema: dict[str, Any]) -> None:
    assert jsonschema_rs.is_valid(schema, minimal_instance(schema), validate_formats=True)
