"""An answer bare of brackets is read where the schema asks for one of some words, or names all of its members."""

import time
from typing import Any

import pytest

from output_validation import SET_ASIDE, STRICT_ONLY, RepairKind, extract

LABEL: dict[str, Any] = {"type": "string", "enum": ["spam", "not spam"]}
BOOLEAN: dict[str, Any] = {"type": "boolean"}
INTEGER: dict[str, Any] = {"type": "integer"}
TEXT: dict[str, Any] = {"type": "string"}


@pytest.mark.parametrize(
    ("text", "schema", "value", "kinds"),
    [
        ("spam", LABEL, "spam", ["value-quoted"]),
        ("Not spam", LABEL, "not spam", ["value-quoted", "enum-matched"]),
        ("<think>not spam?</think>\nspam<|im_end|>", LABEL, "spam", None),
        ("**spam**", LABEL, "spam", ["prose-set-aside", "prose-set-aside", "value-quoted"]),
        ("spam.", LABEL, "spam", ["prose-set-aside", "value-quoted"]),
        ("'spam'", LABEL, "spam", ["quotes-replaced"]),
        ("“It works.”", TEXT, "It works.", ["quotes-replaced"]),
        ("```\nspam\n```", LABEL, "spam", ["fence-removed", "value-quoted"]),
        ('```python\n"spam"\n```', LABEL, "spam", ["fence-removed"]),
        ("> ```json\n> 42\n> ```", INTEGER, 42, ["block-quote-removed", "fence-removed"]),
        ("42.", INTEGER, 42, ["prose-set-aside"]),
        ("True", BOOLEAN, True, ["value-quoted", "boolean-read"]),
        ("Answer: spam", LABEL, "spam", ["prose-set-aside", "value-quoted"]),
        ("**Category**: not spam.", LABEL, "not spam", None),
        ("The final answer is: **spam**", LABEL, "spam", None),
        ("The answer is 42.", INTEGER, 42, None),
        ("## Result\n\ntrue", BOOLEAN, True, ["prose-set-aside"]),
        ("Spam\n\nReason: The message offers a prize.", LABEL, "spam", None),
        ("**Label:** spam\n\n**Explanation:** it has many links.", LABEL, "spam", None),
        ("Therefore, the answer is **spam**", LABEL, "spam", None),
        ('label = "spam"', LABEL, "spam", ["prose-set-aside"]),
        ("spam", {"$ref": "#/$defs/label", "$defs": {"label": LABEL}}, "spam", ["value-quoted"]),
    ],
)
def test_a_word_is_all_there_is(text: str, schema: dict[str, Any], value: object, kinds: list[str] | None) -> None:
    extraction = extract(text, schema)

    assert extraction.ok, extraction.reason
    assert extraction.value == value
    assert type(extraction.value) is type(value)
    assert kinds is None or [repair.kind.value for repair in extraction.repairs] == kinds
    assert not extract(text, schema, policy=STRICT_ONLY).ok


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ("spam or not spam", LABEL),
        ("spam\nnot spam", LABEL),
        ("It is spam", LABEL),
        ("[spam]", LABEL),
        ("Not the answer: spam", LABEL),
        ("Spam\n\nHowever, it has no links.", LABEL),
        ("Spam\n\nThe text is empty.", LABEL),
        ("Spam\n\nThe text is blank.", LABEL),
        ("Spam\n\nNote: scratch that.", LABEL),
        ("Spam\n\nThis is my guess.", LABEL),
        ("Spam\n\nThe second message is angry.", LABEL),
        ("Spam\n\nAber sicher bin ich nicht.", LABEL),
        ("Neutral\n\nThe review shows positivity.", {"enum": ["neutral", "positive"]}),
        ("Score: spam", LABEL),
        ("Spam\n\nWait, it is no spam.", LABEL),
        ("Neutral\n\nThe tone is positive.", {"enum": ["neutral", "positive"]}),
        ("42\n\nThat is the sum.", INTEGER),
        ("spam\nIt offers a prize.", LABEL),
        ("Wrong answer: spam", LABEL),
        ("Example: spam", LABEL),
        ("Answer: spam or not spam", LABEL),
        ("The answer is not 42", INTEGER),
        ("The answer is 42?", INTEGER),
        ("Answer: 4 of 5", INTEGER),
        ("Answer: Paris", TEXT),
        ("Answer: 42", TEXT),
        ("'a\\nb'", TEXT),
        ("Yes, it is.", BOOLEAN),
        ("10%", INTEGER),
        ("hello", TEXT),
        ("hello", None),
        ("spam", {"anyOf": [LABEL, TEXT]}),
        ("", LABEL),
        ("'", TEXT),
        ("**", LABEL),
    ],
)
def test_words_in_prose_are_no_answer(text: str, schema: dict[str, Any] | None) -> None:
    assert not extract(text, schema).ok


@pytest.mark.parametrize(
    "schema", [{"enum": ["low", "high"]}, {"type": "boolean"}, {"const": "x"}, {"type": "integer"}]
)
@pytest.mark.parametrize("text", ["low\ud83d", "\ud83d", "x \ud800 y"])
def test_half_a_character_is_no_word_and_no_error(text: str, schema: dict[str, Any]) -> None:
    assert not extract(text, schema).ok


MEMBERS: dict[str, Any] = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "part": {"type": "object"}, "tags": {"type": "array"}},
    "required": ["n"],
}
ALL = {"n": 1, "part": {"a": 2}, "tags": ["x"]}


@pytest.mark.parametrize(
    ("text", "added"),
    [
        ('"n": 1, "part": {"a": 2}, "tags": ["x"]}', [0]),
        (' \n  "n": 1,\n  "part": {"a": 2},\n  "tags": ["x"]\n}\n', [4]),
        ('"tags": ["x"], "n": 1, "part": {"a": 2}', [0, 39]),
        ('```json\n"n": 1, "part": {"a": 2}, "tags": ["x"]}\n```', [8]),
        ('<think>{"n": 3}?</think>"n": 1, "part": {"a": 2}, "tags": ["x"]}<|im_end|>', [24]),
    ],
)
def test_members_without_their_opening_bracket_are_the_object(text: str, added: list[int]) -> None:
    extraction = extract(text, MEMBERS)

    assert extraction.ok, extraction.reason
    assert extraction.value == ALL
    assert [each.start for each in extraction.repairs if each.kind is RepairKind.BRACKET_ADDED] == added
    assert not extract(text, MEMBERS, policy=SET_ASIDE).ok


@pytest.mark.parametrize(
    "text",
    [
        '"n": 1, "tags": ["x"]}',
        '"n": 1, "part": {"a": 2}, "tags": ["x"',
        '"n": 1, "part": {"a": 2}, "tags": ["x"]}\nWait, n is 2.',
        '"n": 1, "part": {"a": 2}, "tags": ["x"]}, {"n": 2}]',
        '"m": 1, "n": 1, "part": {"a": 2}, "tags": ["x"]}',
        'n": 1, "part": {"a": 2}, "tags": ["x"]}',
        # Cut off in a block that is not closed
        '```json\n"n": 1, "part": {"a": 2}, "tags": ["x"',
        # Words of a string that look like thoughts, and a thought between members
        '"n": 1, "part": {"a": "use <reasoning> and </reasoning>; then {x} here"}, "tags": ["x"]}',
        '"n": 1, <think>"n": 2?</think> "part": {"a": 2}, "tags": ["x"]}',
        # Another value behind it
        '"n": 1, "part": {"a": 2}, "tags": ["x"]}\n{"n": 2, "part": {}, "tags": []}',
        '"n": 1, "part": {"a": 2}, "tags": ["x"]}\n```json\n{"n": 2, "part": {}, "tags": []}\n```',
    ],
)
def test_members_of_which_some_may_be_missing_are_refused(text: str) -> None:
    assert not extract(text, MEMBERS).ok


@pytest.mark.parametrize(
    "beside",
    [
        {"additionalProperties": {"type": "string"}},
        {"patternProperties": {"^x": {}}},
        {"anyOf": [{"properties": {"s": {}}}, True]},
        {"dependencies": {"n": {"properties": {"s": {}}}}},
        {"$ref": "#/$defs/more", "$defs": {"more": {"properties": {"s": {}}}}},
    ],
)
def test_members_are_refused_where_more_may_be_declared(beside: dict[str, Any]) -> None:
    assert not extract('"n": 1}', {"type": "object", "properties": {"n": {"type": "integer"}}, **beside}).ok


def test_the_end_of_a_block_that_somebody_began_is_set_aside() -> None:
    extraction = extract('"n": 1, "part": {"a": 2}, "tags": ["x"]}\n```', MEMBERS)

    assert extraction.value == ALL
    assert not extract('"n": 1, "part": {"a": 2}, "tags": ["x"\n```', MEMBERS).ok


def test_a_tagged_word_is_the_word() -> None:
    assert extract("<answer>42</answer>", INTEGER).value == 42
    assert extract("<label> spam </label>", LABEL).value == "spam"
    assert not extract("<wrong>spam</wrong>", LABEL).ok
    assert not extract("<label>spam</category>", LABEL).ok


@pytest.mark.parametrize("text", ['"spam"{}x', "<answer>{}spam</answer>", "## Answer{}x", "Answer:{}x", "spam\n{}\nx"])
def test_a_model_that_is_stuck_on_blanks_costs_no_more_than_its_length(text: str) -> None:
    start = time.process_time()
    extract(text.format(" " * 1_000_000), LABEL)

    assert time.process_time() - start < 2
