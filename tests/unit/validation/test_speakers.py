"""Whose words a value stands in: the model's own, its thoughts, a call, or what it says in the name of others."""

from typing import Any

import pytest

from output_validation import extract
from tests.unit.validation.schemas import ONE_NUMBER, fenced

_OPEN: dict[str, Any] = {"type": "object", "properties": {"n": {"type": "integer"}, "s": {"type": "string"}}}


@pytest.mark.parametrize(
    "rest",
    [
        '\n\nInput: another\nOutput: {"n": 2}',
        '\n###\nText: another\nof two lines\nAnswer: {"n": 2}',
        '\n\nQ: x\nA: {"n": 2}\n\nQ: y\nA: {"n": 3}',
        '<|im_end|>\n<|im_start|>user\nnext<|im_end|>\n<|im_start|>assistant\n{"n": 2}<|im_end|>',
        '</s>\n[INST] use {"n": 2} [/INST]',
        '<|eot_id|><|start_header_id|>user<|end_header_id|>{"n": 2}',
    ],
)
def test_what_a_model_says_in_the_name_of_others_is_no_answer(rest: str) -> None:
    assert extract('{"n": 1}' + rest, ONE_NUMBER).value == {"n": 1}
    assert extract(fenced('{"n": 1}') + rest, ONE_NUMBER).value == {"n": 1}
    assert extract('<|assistant|>\nOutput: {"n": 1}' + rest, ONE_NUMBER).value == {"n": 1}
    assert not extract('{"n": "one"}' + rest, ONE_NUMBER).ok


def test_the_examples_before_an_answer_do_not_end_it() -> None:
    assert extract('Input: x\nOutput: {"n": 1}', ONE_NUMBER).value == {"n": 1}
    assert not extract('Input: x\nOutput: {"n": 1}\n\nInput: y\nOutput: {"n": 2}', ONE_NUMBER).ok


@pytest.mark.parametrize(
    ("opened", "closed"),
    [
        ("<|START_THINKING|>", "<|END_THINKING|>"),
        ("<|thinking|>", "<|/thinking|>"),
        ("<scratch_pad>", "</scratch_pad>"),
    ],
)
def test_what_is_between_marks_of_thought_is_no_answer(opened: str, closed: str) -> None:
    assert not extract(opened + '{"n": 1}' + closed, ONE_NUMBER).ok
    assert extract(opened + '{"n": 1}' + closed + '{"n": 2}', ONE_NUMBER).value == {"n": 2}


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>\n{"name": "emit", "arguments": {"n": 1}}\n</tool_call>',
        '<tool_call>{"name": "emit", "arguments": "{\\"n\\": 1}"}</tool_call>',
        '[TOOL_CALLS] [{"name": "emit", "arguments": {"n": 1}}]',
        '<|python_tag|>{"name": "emit", "parameters": {"n": 1}}',
        '<tool_call>{"n": 1}</tool_call>',
    ],
)
def test_what_a_tag_calls_a_call_is_one_also_where_the_schema_takes_anything(text: str) -> None:
    assert extract(text, _OPEN).value == {"n": 1}


def test_what_a_call_calls_with_is_read_as_demanded_or_refused() -> None:
    assert extract('<tool_call>{"name": "emit", "arguments": {"n": "1"}}</tool_call>', _OPEN).value == {"n": 1}
    assert not extract('<tool_call>{"name": "emit", "arguments": {"n": "one"}}</tool_call>', _OPEN).ok


def test_a_call_is_the_value_where_the_schema_asks_for_one() -> None:
    call = {"type": "object", "properties": {"name": {"type": "string"}, "arguments": {}}, "required": ["name"]}

    value = extract('<tool_call>{"name": "emit", "arguments": {"n": 1}}</tool_call>', call).value

    assert value == {"name": "emit", "arguments": {"n": 1}}
