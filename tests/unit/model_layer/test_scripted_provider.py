"""The scripted provider: the same script, the same answers."""

import json
from typing import Any

import pytest

from common.errors import ProviderError, ProviderErrorKind
from model_layer.provider import FinishReason, Message, ModelRequest
from model_layer.providers.scripted import ScriptedOptions, ScriptedProvider

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}}, "required": ["a"]}


def _provider(**script: Any) -> ScriptedProvider:
    return ScriptedProvider(ScriptedOptions.model_validate(script), "scripted-1")


def _request(prompt: str = "Say it.", request_id: str = "r-1", **changes: Any) -> ModelRequest:
    fields: dict[str, Any] = {"max_output_tokens": 100, "timeout_s": 5.0, **changes}
    return ModelRequest("scripted-1", (Message("user", prompt),), request_id=request_id, **fields)


async def _failure(provider: ScriptedProvider, request: ModelRequest) -> ProviderError:
    with pytest.raises(ProviderError) as failed:
        await provider.call(request)
    return failed.value


async def test_without_outputs_it_answers_a_minimal_sample_of_the_schema() -> None:
    answer = await _provider().call(_request(schema=SCHEMA))
    assert json.loads(answer.text) == {"a": 3}
    assert answer.finish_reason is FinishReason.STOP
    assert answer.model_served == "scripted-1"


async def test_outputs_come_in_turn() -> None:
    provider = _provider(outputs=["not json", '{"id": "${request_id}", "call": ${call}}'])
    texts = [(await provider.call(_request())).text for _ in range(4)]
    assert texts == ["not json", '{"id": "r-1", "call": 2}', "not json", '{"id": "r-1", "call": 4}']


async def test_a_rule_applies_to_prompts_with_its_marker_as_often_as_it_says() -> None:
    provider = _provider(output="{}", rule=[{"match": "ticket 7", "output": "oops", "times": 1}])
    prompts = ["ticket 1", "ticket 7", "ticket 7"]
    assert [(await provider.call(_request(prompt))).text for prompt in prompts] == ["{}", "oops", "{}"]


async def test_a_rule_may_fail_the_call() -> None:
    provider = _provider(rule=[{"match": "Say", "error": "rate_limited", "retry_after_s": 2.5}])
    failure = await _failure(provider, _request())
    assert (failure.kind, failure.sent, failure.retryable, failure.retry_after_s) == (
        ProviderErrorKind.RATE_LIMITED,
        False,
        True,
        2.5,
    )


async def test_a_rule_may_change_how_the_answer_ends() -> None:
    provider = _provider(output="no", rule=[{"match": "Say", "finish_reason": "refusal"}])
    assert (await provider.call(_request())).finish_reason is FinishReason.REFUSAL


async def test_faults_are_drawn_from_the_seed_and_the_request_not_from_the_order() -> None:
    async def faulty(order: list[int]) -> set[int]:
        provider = _provider(seed=11, faults={"overloaded": 0.2, "server_error": 0.1})
        failed = set()
        for number in order:
            try:
                await provider.call(_request(request_id=str(number)))
            except ProviderError:
                failed.add(number)
        return failed

    forwards, backwards = await faulty(list(range(300))), await faulty(list(range(299, -1, -1)))
    assert forwards == backwards
    assert 50 < len(forwards) < 130


async def test_it_waits_as_long_as_it_says_and_times_out_as_a_vendor_would() -> None:
    answer = await _provider(latency_ms=1).call(_request())
    assert answer.latency_ms == 1
    failure = await _failure(_provider(latency_ms=60_000), _request(timeout_s=0.001))
    assert failure.kind is ProviderErrorKind.TIMEOUT
    assert failure.sent


async def test_usage_is_reproducible_and_the_cap_is_obeyed() -> None:
    answer = await _provider(output="x" * 100).call(_request("p" * 41, max_output_tokens=10))
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (11, 10)
    assert answer.text == "x" * 40
    assert answer.finish_reason is FinishReason.LENGTH


async def test_p3_a_stored_answer_reads_as_the_answer_it_was() -> None:
    provider = _provider(output='{"name": "Zoë"}')
    answer = await provider.call(_request())
    assert provider.decode_stored(answer.raw) == answer


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"text": 1}'])
def test_a_foreign_stored_answer_is_refused(raw: bytes) -> None:
    with pytest.raises(ProviderError) as refused:
        _provider().decode_stored(raw)
    assert refused.value.kind is ProviderErrorKind.BAD_RESPONSE
