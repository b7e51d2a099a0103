"""Answers: every way a chat completion ends or fails, read without a network."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ProviderError, ProviderErrorKind
from model_layer.provider import FinishReason, ModelAnswer, Usage
from model_layer.providers.openai_chat import decode
from tests.contract.model_layer.openai_contract import OpenAIContract


def _completion(**choice: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": '{"a": 1}', "refusal": None, **choice.pop("message", {})}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_795_176_000,
        "model": "gpt-6-astra-2026-08-01",
        "choices": [{"index": 0, "finish_reason": "stop", "logprobs": None, **choice, "message": message}],
        "usage": {
            "prompt_tokens": 120,
            "completion_tokens": 40,
            "total_tokens": 160,
            "prompt_tokens_details": {"cached_tokens": 100},
            "completion_tokens_details": {"reasoning_tokens": 30},
        },
    }


def _bytes(body: object) -> bytes:
    return json.dumps(body).encode()


def _failure(
    status: int, body: object = None, headers: dict[str, str] | None = None, *, raw: bytes | None = None
) -> ProviderError:
    with pytest.raises(ProviderError) as failed:
        decode(status, headers or {}, _bytes(body) if raw is None else raw)
    return failed.value


def test_a_success_gives_text_model_usage_and_the_exact_bytes(openai_contract: OpenAIContract) -> None:
    body = _completion()
    assert openai_contract.faults("CreateChatCompletionResponse", body) == []
    answer = decode(200, {"x-request-id": "req_1"}, _bytes(body), latency_ms=12.5)
    assert answer.text == '{"a": 1}'
    assert answer.finish_reason is FinishReason.STOP
    assert answer.model_served == "gpt-6-astra-2026-08-01"
    assert answer.usage == Usage(120, 100, 40, 30)
    assert answer.request_id == "req_1"
    assert answer.raw == _bytes(body)
    assert answer.latency_ms == 12.5


def test_p3_a_stored_answer_reads_the_same_but_for_headers_and_time() -> None:
    raw = _bytes(_completion())
    live, stored = decode(200, {"x-request-id": "req_1"}, raw, latency_ms=9.0), decode(200, {}, raw)
    assert (stored.text, stored.usage, stored.model_served) == (live.text, live.usage, live.model_served)
    assert (stored.request_id, stored.latency_ms) == ("chatcmpl-1", 0.0)


@pytest.mark.parametrize(
    ("choice", "reason", "text"),
    [
        ({"finish_reason": "length"}, FinishReason.LENGTH, '{"a": 1}'),
        ({"finish_reason": "length", "message": {"content": None}}, FinishReason.LENGTH, ""),
        ({"finish_reason": "content_filter"}, FinishReason.CONTENT_FILTER, '{"a": 1}'),
        ({"message": {"content": None, "refusal": "I can't."}}, FinishReason.REFUSAL, "I can't."),
        ({"finish_reason": "tool_calls", "message": {"content": None}}, FinishReason.OTHER, ""),
    ],
)
def test_how_an_answer_ended(
    openai_contract: OpenAIContract, choice: dict[str, Any], reason: FinishReason, text: str
) -> None:
    body = _completion(**choice)
    assert openai_contract.faults("CreateChatCompletionResponse", body) == []
    answer = decode(200, {}, _bytes(body))
    assert (answer.finish_reason, answer.text) == (reason, text)


def test_what_other_servers_do_differently_is_understood() -> None:
    parts = [{"type": "thinking", "text": "hm"}, {"type": "text", "text": "{}"}]
    body = {"choices": [{"message": {"content": parts}, "finish_reason": None}], "id": 7, "usage": None}
    answer = decode(200, {}, _bytes(body), requested_model="mine")
    assert (answer.text, answer.finish_reason) == ("{}", FinishReason.OTHER)
    assert (answer.model_served, answer.usage, answer.request_id) == ("mine", None, None)


@pytest.mark.parametrize(
    "usage",
    [
        {},
        {"prompt_tokens": 1},
        {"prompt_tokens": -1, "completion_tokens": 1},
        {"prompt_tokens": True},
        3,
        {"prompt_tokens": 2**31, "completion_tokens": 1},
    ],
)
def test_p3_a_usage_that_does_not_say_enough_is_unknown_not_zero(usage: object) -> None:
    assert decode(200, {}, _bytes({**_completion(), "usage": usage})).usage is None


def test_details_never_exceed_what_they_are_part_of() -> None:
    usage = {
        "prompt_tokens": 5,
        "completion_tokens": 2,
        "prompt_tokens_details": {"cached_tokens": 99},
        "completion_tokens_details": {"reasoning_tokens": 99},
    }
    assert decode(200, {}, _bytes({**_completion(), "usage": usage})).usage == Usage(5, 5, 2, 2)


def test_a_lone_surrogate_is_replaced_since_the_answer_is_paid_for() -> None:
    raw = _bytes(_completion()).replace(b"chatcmpl-1", rb"\ud800").replace(b'{\\"a\\": 1}', rb"x \udfff")
    answer = decode(200, {}, raw)
    assert answer.text == "x ?"
    assert answer.raw == raw


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"<html>",
        b'{"choices": []}',
        b'{"choices": [{}]}',
        b'{"choi',
        b"[" * 100_000,
    ],
)
def test_a_success_without_an_answer_is_a_bad_response_and_taken_as_paid(raw: bytes) -> None:
    failure = _failure(200, raw=raw)
    assert failure.kind is ProviderErrorKind.BAD_RESPONSE
    assert failure.sent
    assert failure.retryable
    assert failure.raw == raw


def _error(code: object, kind: str = "some_error", param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": "prose with the prompt in it", "type": kind, "param": param, "code": code}}


K = ProviderErrorKind
WAIT, STOP = True, False
FREE, MAYBE_PAID = False, True


@pytest.mark.parametrize(
    ("status", "code", "kind", "retryable", "sent"),
    [
        (400, "invalid_value", K.INVALID_REQUEST, STOP, FREE),
        (400, "context_length_exceeded", K.INVALID_REQUEST, STOP, FREE),
        (401, "invalid_api_key", K.AUTH, STOP, FREE),
        (402, "credits", K.QUOTA, STOP, FREE),
        (403, "unsupported_country", K.AUTH, STOP, FREE),
        (404, "model_not_found", K.INVALID_REQUEST, STOP, FREE),
        (408, "timeout", K.TIMEOUT, WAIT, MAYBE_PAID),
        (409, "conflict", K.SERVER_ERROR, WAIT, FREE),
        (413, "too_large", K.INVALID_REQUEST, STOP, FREE),
        (422, "unprocessable", K.INVALID_REQUEST, STOP, FREE),
        (429, "rate_limit_exceeded", K.RATE_LIMITED, WAIT, FREE),
        (429, "slow_down", K.RATE_LIMITED, WAIT, FREE),
        (429, "something_new", K.RATE_LIMITED, WAIT, FREE),
        (429, "insufficient_quota", K.QUOTA, STOP, FREE),
        (429, "credit_balance_exhausted", K.QUOTA, STOP, FREE),
        (429, "organization_spend_limit_exceeded", K.QUOTA, STOP, FREE),
        (429, "project_spend_limit_exceeded", K.QUOTA, STOP, FREE),
        (429, "organization_usage_limit_exceeded", K.QUOTA, STOP, FREE),
        (500, "server_error", K.SERVER_ERROR, WAIT, MAYBE_PAID),
        (502, "bad_gateway", K.SERVER_ERROR, WAIT, MAYBE_PAID),
        (503, "server_is_overloaded", K.OVERLOADED, WAIT, FREE),
        (504, "gateway_timeout", K.TIMEOUT, WAIT, MAYBE_PAID),
        (529, "overloaded", K.OVERLOADED, WAIT, FREE),
        (302, "redirect", K.INVALID_REQUEST, STOP, FREE),
    ],
)
def test_what_each_failure_means(
    openai_contract: OpenAIContract, *, status: int, code: str, kind: K, retryable: bool, sent: bool
) -> None:
    body = _error(code)
    assert openai_contract.faults("ErrorResponse", body) == []
    failure = _failure(status, body, {"x-request-id": "req_9"})
    assert (failure.kind, failure.retryable, failure.sent) == (kind, retryable, sent)
    assert (failure.status, failure.code, failure.request_id) == (status, code, "req_9")
    assert failure.raw == _bytes(body)


def test_an_exhausted_quota_may_be_told_by_the_type() -> None:
    failure = _failure(429, _error(None, kind="insufficient_quota"), {"x-should-retry": "true"})
    assert (failure.kind, failure.retryable) == (K.QUOTA, False)


@pytest.mark.parametrize(("status", "advice", "retryable"), [(400, "true", True), (500, "false", False)])
def test_the_vendors_explicit_word_on_retrying_wins(status: int, advice: str, retryable: bool) -> None:
    assert _failure(status, _error("x"), {"x-should-retry": advice}).retryable is retryable


def test_the_vendors_word_on_when_is_kept() -> None:
    assert _failure(429, _error("slow_down"), {"retry-after": "3"}).retry_after_s == 3.0
    dated = {"retry-after": "Fri, 20 Nov 2026 12:00:30 GMT", "date": "Fri, 20 Nov 2026 12:00:00 GMT"}
    assert _failure(503, None, dated).retry_after_s == 30.0


def test_messages_name_the_fault_and_never_repeat_prose() -> None:
    failure = _failure(400, _error("invalid_value", param="messages[0].content"))
    assert str(failure) == "invalid_request: status 400 invalid_value parameter messages[0].content"
    hostile = _failure(400, _error("a prompt\nin the code", kind="x" * 999, param="é"))
    assert str(hostile) == "invalid_request: status 400"


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (
            400,
            {"object": "error", "message": "m", "type": "BadRequestError", "code": 400},
            None,
            "BadRequestError",
        ),
        (
            400,
            {"error": {"code": 400, "message": "m", "type": "exceed_context_size_error"}},
            None,
            "exceed_context_size_error",
        ),
        (400, {"error": "just words"}, None, None),
        (400, {"detail": [{"msg": "words"}]}, None, None),
        (502, "<html>", K.SERVER_ERROR, None),
    ],
)
def test_other_servers_errors_are_understood(status: int, body: object, kind: K | None, code: str | None) -> None:
    failure = _failure(status, body)
    assert failure.kind is (kind or K.INVALID_REQUEST)
    assert failure.code == code


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"code": 502, "message": "upstream"}}, K.SERVER_ERROR),
        ({"error": {"code": 429, "message": "upstream"}}, K.RATE_LIMITED),
        ({"error": {"code": "rate_limit_exceeded", "message": "m"}}, K.RATE_LIMITED),
        ({"error": {"message": "m"}}, K.SERVER_ERROR),
        (_completion(finish_reason="error"), K.SERVER_ERROR),
        (_completion(error={"code": 503, "message": "m"}), K.OVERLOADED),
    ],
)
def test_an_error_inside_a_success_counts_as_begun(body: object, kind: K) -> None:
    failure = _failure(200, body)
    assert (failure.kind, failure.sent, failure.retryable) == (kind, True, True)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
PLACES = [
    ("choices",),
    ("choices", 0),
    ("choices", 0, "message"),
    ("choices", 0, "message", "content"),
    ("choices", 0, "message", "refusal"),
    ("choices", 0, "finish_reason"),
    ("choices", 0, "error"),
    ("usage",),
    ("usage", "prompt_tokens_details"),
    ("usage", "completion_tokens_details", "reasoning_tokens"),
    ("model",),
    ("id",),
    ("error",),
    ("error", "type"),
    ("error", "code"),
    ("error", "param"),
]


@given(st.sampled_from(PLACES), json_values, st.sampled_from([200, 400, 429, 500]))
def test_whatever_stands_anywhere_in_a_body_it_is_an_answer_or_a_provider_error(
    place: tuple[str | int, ...], value: object, status: int
) -> None:
    body = _completion()
    if place[0] == "error":
        body["error"] = {}
    target: Any = body
    for part in place[:-1]:
        target = target[part]
    target[place[-1]] = value
    outcome = _outcome(status, _bytes(body))
    if isinstance(outcome, ProviderError):
        assert len(str(outcome)) < 300
    else:
        for text in (outcome.text, outcome.model_served, outcome.request_id or ""):
            text.encode()
        assert outcome.usage is None or outcome.usage.output_tokens >= 0


def _outcome(status: int, body: bytes) -> ModelAnswer | ProviderError:
    try:
        return decode(status, {"x-request-id": "\udc80"}, body)
    except ProviderError as error:
        return error


@given(st.binary(max_size=60), st.sampled_from([200, 404, 503]))
def test_arbitrary_bytes_are_a_provider_error(body: bytes, status: int) -> None:
    assert _failure(status, raw=body).raw == body
