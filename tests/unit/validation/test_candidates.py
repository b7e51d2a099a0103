"""The parts of an answer that may be its value are told from thoughts, prose and examples, in linear time."""

from time import process_time

import pytest

from output_validation import RepairKind, extract
from output_validation.partial import PartialExtractor
from tests.unit.validation.schemas import ONE_NUMBER


@pytest.mark.parametrize(
    "text",
    [
        '<think >{"n": 2}</think >{"n": 1}',
        '<think mode="deep" n=\'2\'>{"n": 2}</think>{"n": 1}',
        '◁think▷{"n": 2}◁/think▷{"n": 1}',
        '<|begin_of_thought|>{"n": 2}<|end_of_thought|>{"n": 1}',
        '<thought_process>{"n": 2}</thought_process>{"n": 1}',
        '<|channel|>analysis<|message|>{"n": 2}<|end|><|start|>assistant<|channel|>commentary to=functions.f '
        '<|constrain|>json<|message|>{"n": 1}<|call|>',
        '<|channel|>analysis<|message|>{"n": 2}<|end|><|start|>assistant<|channel|>final<|message|>{"n": 1}',
        '<|channel|>analysis<|message|>{"n": 2}<|channel|>commentary<|message|>{"n": 1}',
    ],
)
def test_a_thought_is_known_by_its_marks(text: str) -> None:
    extraction = extract(text, ONE_NUMBER)

    assert (extraction.ok, extraction.value) == (True, {"n": 1})
    assert RepairKind.THOUGHT_SET_ASIDE in {repair.kind for repair in extraction.repairs}


def test_a_thought_is_never_the_answer() -> None:
    assert not extract('<thought_process>{"n": 2}</thought_process>\nI do not know.', ONE_NUMBER).ok
    assert not extract('<think>so {"n": 2}', ONE_NUMBER).ok
    assert extract('{"n": 1}<|end|>', ONE_NUMBER).value == {"n": 1}


@pytest.mark.parametrize(
    "text",
    [
        '{"n": 1}\n```\nHope this helps.',
        '```json title="a.json"\n{"n": 1}\n```\nHope this helps!',
        '```\n$ run\n```\nResult: {"n": 1}',
        '```json\n{"n": 1}\n```\n```\nThat was {all}, really.\n```\n',
    ],
)
def test_a_block_of_prose_without_a_label_is_no_try_at_the_answer(text: str) -> None:
    assert extract(text, ONE_NUMBER).value == {"n": 1}


def test_a_block_without_a_label_may_hold_a_scalar() -> None:
    assert extract("Here:\n```\n42\n```", {"type": "integer"}).value == 42


@pytest.mark.parametrize(
    "text",
    ["{'s': '\ud800'}", "{'s\ud800': 'a'}", "{'s': '\ud800", "{&quot;s&quot;: '\ud800'}", r"{'s': '\x00'}"],
)
def test_half_of_a_surrogate_pair_and_nul_are_refused(text: str) -> None:
    for schema in ({"type": "object"}, None):
        assert not extract(text, schema).ok


@pytest.mark.parametrize(
    "text",
    [
        '<think>a <think>{"n": 2}</think> or {"n": 3}</think>{"n": 1}',
        '<think><think>a</think>{"n": 2}</think> {"n": 1}',
        '<think>I write <think> tags.</think>{"n": 1}',
        '<think>a</think>{"n": 1}</think>',
    ],
)
def test_a_thought_may_hold_thoughts(text: str) -> None:
    partial = PartialExtractor()
    for char in text:
        partial.feed(char)

    assert extract(text, ONE_NUMBER).value == {"n": 1}
    assert partial.value == {"n": 1}


def test_a_tag_in_a_string_opens_no_thought() -> None:
    assert extract('Sure: {"s": "the <think> tag", "n": 1}', None).value == {"s": "the <think> tag", "n": 1}


@pytest.mark.parametrize(
    "text",
    [
        "```" + "{" * 1_000_000 + "`",
        "~" * 1_000_000 + "`",
        "{/*} " * 250 + "x" * 7_000_000,
        "{//}" * 500_000,
        "{" + "a: /* ," * 9_000 + "x" * 1_000_000,
        '{\\"x\\"\n}\n' * 250 + "a" * 2_000_000 + "\\q}",
        'e.g. {"n": 1} ' * 250 + '{"n": 2, "big": [1' + "0" * 20 + ", " + "1, " * 500_000 + "1]}",
    ],
)
def test_what_was_searched_once_is_not_searched_again(text: str) -> None:
    started = process_time()

    extract(text, {"type": "object"})

    assert process_time() - started < 5


@pytest.mark.parametrize("closing", ['"</think>"', '"so </think>, then"'])
def test_a_closing_tag_in_a_string_does_not_end_an_open_thought(closing: str) -> None:
    assert not extract(f'<think>\nPerhaps {{"n": 1, "s": {closing}}}', {"type": "object"}).ok


@pytest.mark.parametrize(
    "text",
    [
        "<think>Maybe 41?</think>\n\n42",
        "42<|im_end|>",
        "42\n</s>",
        "<think>It's</think>42<|eot_id|>",
        "```text\n42\n```",
    ],
)
def test_a_scalar_may_be_all_that_an_answer_holds(text: str) -> None:
    assert extract(text, {"type": "integer"}).value == 42


@pytest.mark.parametrize(
    "text", ["<think>42</think>", "<think>so</think>42 or 43", "<think>so</think>4 2", "It is 42</s>"]
)
def test_a_scalar_among_words_is_not_the_answer(text: str) -> None:
    assert not extract(text, {"type": "integer"}).ok


@pytest.mark.parametrize(
    "lead",
    [
        "<answer>\n",
        "result = ",
        "const result = ",
        "// the answer\n",
        "# one\n# two\n",
        "~~~json\n",
        "Certainly.\n",
        "Hier ist das Ergebnis:\n\n",
    ],
)
def test_a_lead_in_a_labelled_block_is_no_part_of_its_value(lead: str) -> None:
    assert extract(f'```json\n{lead}{{"n": 1}}\n```', ONE_NUMBER).value == {"n": 1}


@pytest.mark.parametrize(
    "block",
    ["a: 1,\nc: {d: 2}", "c:\n{d: 2}", "unit price:\n{d: 2}", '"a": 1,\n"c": {"d": 2}', "'a': 1,\n'c': {'d': 2}"],
)
def test_members_without_braces_in_a_labelled_block_are_refused(block: str) -> None:
    assert not extract(f"```json\n{block}\n```", None).ok


def test_many_faulty_parts_on_one_long_line_are_not_taken_for_a_tangle() -> None:
    text = "see {m: ?} " * 200 + "words " * 20_000 + '\n{"n": 1}'

    assert extract(text, ONE_NUMBER).value == {"n": 1}
