"""The adapter against a server nobody here wrote: llama.cpp with a real model."""

import json

import jsonschema_rs
import pytest

from common.errors import ProviderError, ProviderErrorKind
from model_layer.provider import FinishReason, Message, ModelRequest, ProviderSetup
from model_layer.providers.openai_chat import OpenAIChatOptions, OpenAIChatProvider

pytestmark = pytest.mark.llm

SCHEMA = {
    "type": "object",
    "properties": {
        "summary": {"type": "string", "minLength": 5, "maxLength": 60},
        "category": {"enum": ["library", "tool"]},
    },
    "required": ["summary", "category"],
    "additionalProperties": False,
}


def _provider(base_url: str) -> OpenAIChatProvider:
    setup = ProviderSetup("local", "smollm2-135m", base_url, None, 1, OpenAIChatOptions())
    return OpenAIChatProvider(setup, OpenAIChatOptions(), base_url)


def _request(prompt: str, *, max_output_tokens: int = 128) -> ModelRequest:
    return ModelRequest(
        model="smollm2-135m",
        messages=(Message("system", "You answer in JSON."), Message("user", prompt)),
        max_output_tokens=max_output_tokens,
        request_id="attempt-1",
        timeout_s=120.0,
        temperature=0.0,
        schema=SCHEMA,
        schema_name="card",
    )


async def test_a_real_server_enforces_the_schema_and_reports_its_usage(llm: str) -> None:
    provider = _provider(llm)
    answer = await provider.call(_request("Describe pytest, a tool for testing Python programs."))
    await provider.close()
    jsonschema_rs.validator_for(SCHEMA).validate(json.loads(answer.text))
    assert answer.finish_reason is FinishReason.STOP
    assert answer.usage is not None
    assert answer.usage.input_tokens > 10
    assert 0 < answer.usage.output_tokens <= 128
    stored = provider.decode_stored(answer.raw)
    assert (stored.text, stored.usage, stored.model_served) == (
        answer.text,
        answer.usage,
        answer.model_served,
    )


async def test_a_real_server_keeps_the_cap_and_says_so(llm: str) -> None:
    provider = _provider(llm)
    answer = await provider.call(_request("Describe pytest.", max_output_tokens=4))
    await provider.close()
    assert answer.finish_reason is FinishReason.LENGTH
    assert answer.usage is not None
    assert answer.usage.output_tokens <= 4


async def test_a_real_servers_refusal_of_too_long_a_prompt_is_understood(llm: str) -> None:
    provider = _provider(llm)
    with pytest.raises(ProviderError) as failed:
        await provider.call(_request("word " * 60_000))
    await provider.close()
    assert failed.value.kind is ProviderErrorKind.INVALID_REQUEST
    assert failed.value.code == "exceed_context_size_error"
    assert not failed.value.sent
