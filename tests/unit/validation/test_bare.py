"""An answer that is one bare word is read where the schema asks for one of some words, a number or a yes."""

from typing import Any

import pytest

from output_validation import STRICT_ONLY, extract

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
        ("Yes, it is.", BOOLEAN),
        ("10%", INTEGER),
        ("The answer is 42.", INTEGER),
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
