"""No answer, whatever its megabyte repeats, takes time that grows with the square: a hang fails these tests."""

from typing import Any

import pytest

from output_validation import ANYTHING, extract

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    "piece",
    [
        "[",
        "{",
        '"',
        "\\",
        '["',
        '{"a":',
        "[   ",
        "[1,",
        '{"n":1} ',
        "[]",
        "```\n",
        "```json\n1\n```\n",
        "<think>",
        "<think></think>",
        "</think>",
        "a [ b",
        ":[ \n",
        '{a:"',
        '\\"["',
        '["a\n',
        "x{ }",
        "x[b]",
        "~~~\n`````\n",
        "[" + " " * 999,
        '"""',
        '{""n"": 1, ',
        '{"n: 1, ',
        "{&quot;",
        '<think>"</think>",',
        "[1] ",
        '{"n":1}, ',
        '{"n"=>',
        "{{x}}",
        "'",
        "{'a':",
        '{"a":"\\',
        '{"a": "b"c", ',
        '", "k',
        '["a" "b" ',
        "{n: 1,, ",
        "{/* ",
        '{\\"a\\":',
        '{\\n \\"a\\": "b", ',
        "\u200b[",
        "\u201c",
    ],
)
@pytest.mark.parametrize("before", ["go ", '{"n": "', '```json\n{"n": ["'])
def test_a_megabyte_of_anything_is_refused_in_time(before: str, piece: str) -> None:
    extraction = extract(before + piece * (1_000_000 // len(piece)), SCHEMA)

    assert not extraction.ok
    assert len(extraction.candidates) < 1_000


@pytest.mark.parametrize("piece", ["~", "`", "*", "'", "<a", "x.", "a b ", "//"])
@pytest.mark.parametrize("fence", ["```json\n", "~~~json\n", "```json\n   "])
def test_a_block_that_begins_with_the_same_sign_over_and_over_is_refused_in_time(fence: str, piece: str) -> None:
    closing = "\n```" if fence.startswith("`") else "\n~~~"

    assert not extract(fence + piece * 100_000 + closing, {"type": "object"}).ok
    assert not extract(fence + piece * 100_000 + "x" + closing, {"type": "object"}).ok


@pytest.mark.parametrize("piece", [" ", "\n`", "\n> ", " ...", ", ", " (", "\ndata: [DONE]"])
def test_a_megabyte_of_anything_behind_the_value_is_passed_in_time(piece: str) -> None:
    assert extract('{"n": 1}' + piece * (1_000_000 // len(piece)) + " and", {"type": "object"}).candidates
    assert extract("{'n': 1}" + piece * (1_000_000 // len(piece)), {"type": "object"}).candidates


def test_a_megabyte_of_blanks_behind_a_bracket_too_many_is_passed_in_time() -> None:
    assert not extract('{"n": 1}}' + " " * 1_000_000 + "x", SCHEMA).ok


@pytest.mark.parametrize(
    ("before", "piece", "after"),
    [
        ("{'n': 12345678901234567, 's': '\"", '\\"', "'}"),
        ('{\\n"s": "', '\\"', "}"),
        ("```json\n(```json\n", " ", "x"),
        ("Output: ", "# User: }\\[", '"'),
        ('["True', "\u00a0", "]"),
        ("1", "]```\n{\n```", "\n"),
        ('{"n": 1}x', "{\n```]", "\n```"),
        ('{"n": 1}x', "...}['''", "]"),
        (">1", ']\\["a": 1', "'"),
    ],
)
@pytest.mark.parametrize("schema", [None, {"enum": ["a", "none"]}])
def test_a_megabyte_between_two_things_is_read_or_refused_in_time(
    before: str, piece: str, after: str, schema: dict[str, Any] | None
) -> None:
    extraction = extract(before + piece * (1_000_000 // len(piece)) + after, schema, policy=ANYTHING)

    assert extraction.ok == (schema is None and before.startswith(("{'n", "{\\n", "[")))
