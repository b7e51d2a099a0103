"""A bracket of the wrong kind, or one too many, is mended where one reading is left, and nothing can be missing."""

from typing import Any

import pytest

from output_validation import extract


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"tags": [1,2}, "n": 1}', {"tags": [1, 2], "n": 1}),
        ('{"tags": ["a", "b"}, n: 1}', {"tags": ["a", "b"], "n": 1}),
        ('[{"tags": [1,2}, "n": 1}]', [{"tags": [1, 2], "n": 1}]),
        ('{"x": {"tags": [1,2}, "n": 1}', {"x": {"tags": [1, 2]}, "n": 1}),
        ('[{"a":1],{"a":2}]', [{"a": 1}, {"a": 2}]),
        ('{"v":[{"a":1],{"a":2}]}', {"v": [{"a": 1}, {"a": 2}]}),
        ('[{"a":1}},{"a":2}]', [{"a": 1}, {"a": 2}]),
        ('[{"a":1},{"a":2}}]', [{"a": 1}, {"a": 2}]),
    ],
)
def test_a_wrong_bracket_is_mended(text: str, value: Any) -> None:
    extraction = extract(text, None)

    assert extraction.ok, extraction.violations
    assert extraction.value == value


@pytest.mark.parametrize(
    "text",
    [
        '{"x": {"tags": [1,2}, "n": 1}}',
        '[[{"a":1],{"a":2}]]',
        '[{"a":1]],[{"a":2}]]',
        '{"v":[{"n":1}}, {"n":2}]}',
        '[{"a":1}}}, {"a":2}]',
        '["a"}, "b"]',
        '{"a":{"b":1],"c":2}',
        '{"a":1]]',
        "[1,2}",
        "{'t': ('a'}, 'b': 1}",
    ],
)
def test_brackets_that_may_stand_for_others_are_refused(text: str) -> None:
    assert not extract(text, None).ok


def test_a_wrong_last_bracket_needs_every_declared_member() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}

    assert extract('{"a":2]', schema).value == {"a": 2}
    assert not extract('{"b":2]', schema).ok
    assert not extract('{"a":2]', None).ok


@pytest.mark.parametrize(
    "text", ['[{"k": "v""k": "v"}]', '[{"k": "v"\n"k": "v"}]', '{"a": [{"k": 1, "j": 2 "k": 1, "j": 2}]}']
)
def test_an_item_that_comes_again_without_a_comma_may_be_two(text: str) -> None:
    assert not extract(text, None).ok


def test_a_member_that_comes_again_behind_a_comma_is_one() -> None:
    assert extract('[{"k": "v", "k": "v"}]', None).value == [{"k": "v"}]
