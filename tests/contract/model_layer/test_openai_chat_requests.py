"""Requests: valid under OpenAI's published contract, and what OpenAI's own client sends."""

import json
from typing import Any

import pytest

from model_layer.provider import Message, ModelRequest
from model_layer.providers.openai_chat import PROFILES, ChatEncoder, OpenAIChatOptions
from tests.contract.model_layer.openai_contract import OpenAIContract

SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer"}},
    "required": ["a"],
    "additionalProperties": False,
}


def _request(**changes: Any) -> ModelRequest:
    fields: dict[str, Any] = {
        "model": "gpt-6-astra",
        "messages": (Message("system", "S"), Message("user", "U")),
        "max_output_tokens": 64,
        "request_id": "attempt-1",
        "timeout_s": 30.0,
        "schema": SCHEMA,
        "schema_name": "out",
        **changes,
    }
    return ModelRequest(**fields)


def _body(profile: str, request: ModelRequest, **options: Any) -> dict[str, Any]:
    encoder = ChatEncoder(PROFILES[profile], OpenAIChatOptions.model_validate(options))
    body: dict[str, Any] = json.loads(encoder.encode(request))
    return body


def test_the_openai_profile_sends_what_openais_own_client_sends(sdk_chat_request: dict[str, Any]) -> None:
    expected = {key: value for key, value in sdk_chat_request["body"].items() if key != "service_tier"}
    assert _body("openai", _request()) == expected


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({}, {}),
        ({"schema": None}, {}),
        ({"messages": (Message("user", "U"), Message("assistant", "{"), Message("user", "again"))}, {}),
        ({"temperature": 0.2}, {"sampling": True}),
        ({"schema_name": "package card@1.0.0/é" + "x" * 99}, {}),
        ({}, {"reasoning_effort": "low"}),
        ({}, {"enforce_schema": False}),
    ],
)
@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_every_body_is_valid_and_has_no_unknown_key(
    openai_contract: OpenAIContract, profile: str, changes: dict[str, Any], options: dict[str, Any]
) -> None:
    body = _body(profile, _request(**changes), **options)
    assert openai_contract.faults("CreateChatCompletionRequest", body) == []
    assert body.keys() <= openai_contract.keys("CreateChatCompletionRequest")


def test_the_contract_itself_can_tell_right_from_wrong(openai_contract: OpenAIContract) -> None:
    body = _body("openai", _request())
    assert openai_contract.faults("CreateChatCompletionRequest", {**body, "messages": []})
    assert openai_contract.faults("CreateChatCompletionRequest", {**body, "max_completion_tokens": "many"})


def test_the_generic_profile_speaks_the_older_dialect() -> None:
    body = _body("generic", _request(temperature=0.0))
    assert body["max_tokens"] == 64
    assert "max_completion_tokens" not in body
    assert body["messages"][0]["role"] == "system"
    assert body["temperature"] == 0.0


def test_openais_reasoning_models_refuse_temperature_so_it_is_not_sent_unasked() -> None:
    assert "temperature" not in _body("openai", _request(temperature=0.0))


def test_a_schema_outside_the_strict_subset_is_sent_whole_and_unstrict() -> None:
    loose = {"type": "object", "properties": {"a": {"type": "string", "maxLength": 9}}}
    sent = _body("openai", _request(schema=loose))["response_format"]["json_schema"]
    assert sent == {"name": "out", "strict": False, "schema": loose}


def test_a_schema_is_worded_by_its_content_even_where_another_had_its_place() -> None:
    encoder = ChatEncoder(PROFILES["generic"], OpenAIChatOptions())
    for number in range(600):
        body = json.loads(encoder.encode(_request(schema={"const": number})))
        assert body["response_format"]["json_schema"]["schema"] == {"const": number}
