"""A part is never taken for the whole: early closers, rows, cut-off lists, entries of maps, keys in strings."""

from typing import Any

import pytest

from output_validation import extract
from tests.unit.validation.schemas import ONE_NUMBER, fenced

NUMBERS: dict[str, Any] = {"type": "array", "items": {"type": "integer"}}
MATRIX: dict[str, Any] = {"type": "array", "items": NUMBERS}
TEXTS: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
TAGS: dict[str, Any] = {"type": "object", "properties": {"tags": TEXTS, "why": {"type": "string"}}}
ITEMS: dict[str, Any] = {"type": "object", "properties": {"items": {"type": "array", "items": ONE_NUMBER}}}
MAP: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "integer"}}
TEXT_MAP: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "string"}}
PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        # Closed too early: what follows is a member of it
        ('{"tags": ["a"]}, "why": "x {4} y"}', TAGS),
        ('{"items": [{"n": 1}]}\n{"n": 2}]}', ITEMS),
        ('{"items": [{"n": 1}]}, {"n": 2}]}', ITEMS),
        # Lists that are cut off behind numbers
        ("[1, 2, [3, 4], 5", NUMBERS),
        ('[1, {"n": 1}', ONE_NUMBER),
        ('[1, 2, {"n": 1}', {"type": "array", "items": ONE_NUMBER}),
        ('[1, "hi", true, {}', None),
        ('[{"n": 1}, 3} {"n": 2}]', {"type": "array", "items": ONE_NUMBER}),
        # Rows
        ('{"key": "value"}, ["abc"]', None),
        ('{"a": 1}\n[0.5, 0.7]', None),
        (fenced('{"a": 1}') + fenced('["x", "y"]'), None),
        ('({"m": 1}, {"n": 2})', ONE_NUMBER),
        ('("$5", "[1, 2]")', TEXTS),
        ("(1, [2])", MATRIX),
        # A bracket too many may close a list whose opening was lost
        ("[[1, 2], 3, 4]]", MATRIX),
        # An entry of a map within a wrapper is no wrapper, a schema no text, and a step no answer
        ('{"result": {"x": {"a": 1}}}', MAP),
        ('{"type": "string"}', {"type": "string"}),
        ('{"action": "search", "action_input": {"n": 1}}', ONE_NUMBER),
        ('{"action": "return_to_warehouse", "action_input": {"n": 1}}', ONE_NUMBER),
        # Words in brackets
        (fenced("[none]"), TEXTS),
        (fenced("[string, string]"), TEXTS),
        # Strings that would swallow the beginning of a key, or what was left out
        ('{"name": "Al\n  "age": 3}', PERSON),
        ('{"name": "Al. "age": 3}', PERSON),
        ('{"name": "a "b"\n  "age": 3}', PERSON),
        ('[{"role": "user", "content": "hi}, {"role": "user", "name": "bob"}]', None),
        ('["a"..., "`b`", "c"]', TEXTS),
        # Words that a comment may be a part of
        ('{"age": 3, "name": issue #12\n}', PERSON),
    ],
)
def test_a_part_is_not_the_whole(text: str, schema: dict[str, Any] | None) -> None:
    assert not extract(text, schema).ok


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ('[5, {"s": "a\nb"}]', None, [5, {"s": "a\nb"}]),
        ("[[1, 2], [3, 4]]]", MATRIX, [[1, 2], [3, 4]]),
        ('in [0, 1) we have {"n": 1}', ONE_NUMBER, {"n": 1}),
        ('See [0, 1] for {"n": 1}', None, {"n": 1}),
        ('The response must start with "{" and end with "}".\n\n' + fenced('{"n": 1}'), ONE_NUMBER, {"n": 1}),
        ('Strip the leading "[" and return:\n{"n": 1}', ONE_NUMBER, {"n": 1}),
        ('{"tags": ["a","b"}, "why": "see {x}."}', None, {"tags": ["a", "b"], "why": "see {x}."}),
        ('{"result": {"a": 1}}', MAP, {"a": 1}),
        (fenced('{n": 1}'), ONE_NUMBER, {"n": 1}),
        ('{"word_counts": {"a": 1}}', MAP, {"a": 1}),
        ('{"action": "Final Answer", "action_input": {"n": 1}}', ONE_NUMBER, {"n": 1}),
        ('\'{"@type": 1, "n": 1}\'', None, {"@type": 1, "n": 1}),
        ('The list is \'["@al", "@bo"]\'.', TEXTS, ["@al", "@bo"]),
        (
            '{"type": "function", "function": {"name": "emit", "arguments": "{\\"a\\": \\"b\\"}"}}',
            TEXT_MAP,
            {"a": "b"},
        ),
        ('{"tags": ["""a b""" "c"]}', TAGS, {"tags": ["a b", "c"]}),
        ('{"name": Bob // the builder\n, "age": 3}', PERSON, {"name": "Bob", "age": 3}),
        ('{"age": 3, "name": v2  // see note\n}', PERSON, {"age": 3, "name": "v2"}),
    ],
)
def test_a_whole_is_read(text: str, schema: dict[str, Any] | None, value: object) -> None:
    extraction = extract(text, schema)

    assert extraction.ok, extraction.reason
    assert extraction.value == value
