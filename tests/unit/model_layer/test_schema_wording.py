"""A schema goes strict only where strict mode keeps its meaning."""

from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from common.schema import PROFILES
from model_layer.provider import Message, ModelRequest
from model_layer.providers.openai_chat import PROFILES as SERVERS
from model_layer.providers.openai_chat import ChatEncoder, OpenAIChatOptions
from model_layer.providers.schema_wording import Wording, word_schema

CLOSED: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"a": {"type": "string", "maxLength": 5, "description": "five at most"}},
    "required": ["a"],
    "additionalProperties": False,
}


def strict_form(schema: dict[str, Any]) -> Any:
    worded = word_schema(schema, PROFILES["openai"])
    return worded.schema if worded.strict else None


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


def test_unions_inside_are_kept_and_definitions_inlined() -> None:
    schema = _with(properties={"a": {"anyOf": [{"$ref": "#/$defs/b"}, {"type": "null"}]}}, **{"$defs": {"b": CLOSED}})
    form = strict_form(schema)
    assert form is not None
    assert form["properties"]["a"]["anyOf"][0] == strict_form(CLOSED)
    assert "$ref" not in str(form)


def test_one_alternative_of_several_becomes_any_of_them() -> None:
    form = strict_form(_with(properties={"a": {"oneOf": [{"type": "string"}, {"type": "integer"}]}}))
    assert form is not None
    assert form["properties"]["a"] == {"anyOf": [{"type": "string"}, {"type": "integer"}]}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "string"}},
        _with(anyOf=[{"type": "object"}]),
        _with(required=[]),
        _with(additionalProperties=True),
        {key: value for key, value in CLOSED.items() if key != "additionalProperties"},
        _with(properties={"a": {"allOf": [{"type": "string"}]}}),
        _with(properties={"a": {"not": {"type": "null"}}}),
        _with(properties={"a": {"type": "array"}}),
        _with(properties={"a": {"type": "array", "items": True}}),
        _with(properties={"a": {"type": "object", "properties": {}}}),
        _with(properties={"a": {"type": "object", "additionalProperties": {"type": "string"}}}),
        _with(properties={"a": True}),
        _with(properties={"a": {"enum": list(range(1_001))}}),
        _with(properties={"a": {"$ref": "#"}}),
    ],
)
def test_other_schemas_have_no_strict_form(schema: dict[str, Any]) -> None:
    assert strict_form(schema) is None


def test_what_has_no_strict_form_is_sent_whole_and_says_why() -> None:
    schema = _with(required=[])
    worded = word_schema(schema, PROFILES["openai"])
    assert (worded.strict, worded.schema) == (False, schema)
    assert [d.reason for d in worded.dropped if d.keyword == "required"]


def test_a_server_that_takes_everything_gets_everything() -> None:
    schema = _with(uniqueItems=True)
    assert word_schema(schema, None) == Wording(True, schema)


def _sent(encoder: ChatEncoder, schema: dict[str, Any]) -> Any:
    request = ModelRequest("m", (Message("user", "secret words"),), 9, "r", 1.0, schema=schema, schema_name="card")
    return orjson.loads(encoder.encode(request))["response_format"]["json_schema"]["schema"]


def test_what_is_dropped_is_told_once_without_the_prompt() -> None:
    encoder = ChatEncoder(SERVERS["openai"], OpenAIChatOptions(), "mine")
    with capture_logs() as logs:
        for _ in range(3):
            _sent(encoder, CLOSED)
    (told,) = logs
    assert (told["recipe"], told["deployment"], told["more"]) == ("card", "mine", 0)
    assert told["dropped"] == ["/properties/a: maxLength: the provider does not take it"]
    assert "secret" not in str(told)


def test_a_deployment_may_name_what_its_server_takes() -> None:
    options = OpenAIChatOptions(schema_profile="anthropic")
    assert "maxLength" not in _sent(ChatEncoder(SERVERS["generic"], options), CLOSED)["properties"]["a"]
    assert _sent(ChatEncoder(SERVERS["openai"], OpenAIChatOptions(schema_profile="whole")), CLOSED) == CLOSED
