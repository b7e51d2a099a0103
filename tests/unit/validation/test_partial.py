"""A value is seen as it arrives, and what has been seen stays."""

import copy
import json
from time import process_time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from output_validation.partial import PartialExtractor

_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=12,
)


def leaves(value: Any, at: tuple[Any, ...] = ()) -> dict[tuple[Any, ...], Any]:
    match value:
        case dict():
            return {k: v for key, each in value.items() for k, v in leaves(each, (*at, key)).items()}
        case list():
            return {k: v for n, each in enumerate(value) for k, v in leaves(each, (*at, n)).items()}
        case _:
            return {at: value}


@given(st.dictionaries(_text, _json, max_size=4), st.integers(1, 7), st.sampled_from([None, 2]), st.booleans())
def test_a_completed_leaf_never_changes_and_the_end_is_the_value(
    value: Any, size: int, indent: int | None, ascii_only: bool
) -> None:
    printed = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    text = f'<think>perhaps {{"no": 1}}</think>\nHere [you] are:\n```json\n{printed}\n```\ndone {{"x": 1}}'
    extractor = PartialExtractor()
    seen: dict[tuple[Any, ...], Any] = {}

    for start in range(0, len(text), size):
        now = leaves(copy.deepcopy(extractor.feed(text[start : start + size])))
        assert all(now.get(at, leaf) == leaf and at in now for at, leaf in seen.items() if at)
        seen = {at: leaf for at, leaf in now.items() if at}

    assert extractor.complete
    assert extractor.value == value


def test_an_unfinished_string_or_number_is_not_shown() -> None:
    extractor = PartialExtractor()

    assert extractor.feed('{"a": 12') == {}
    assert extractor.feed('3, "b": "hel') == {"a": 123}
    assert extractor.feed('lo"') == {"a": 123}
    assert extractor.feed(" ,") == {"a": 123, "b": "hello"}
    assert not extractor.complete


def test_what_is_not_strict_json_stops_where_it_breaks() -> None:
    extractor = PartialExtractor()

    assert extractor.feed('{"a": 1, b: 2, "c": 3}') == {"a": 1}
    assert extractor.broken
    assert PartialExtractor().feed("no value at all") is None


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    "text",
    [
        """{'id': 7, 'tags': ["x"]}""",
        '{a: {"b": 1}, c: 2}',
        '[True, {"a": 1}]',
        '{,"a": [{"x": 1}]}',
        '```json\n{ // c\n "a": ["b"] }\n```',
        '```json\n[hello, {"a": 1}]\n```',
        '{ some words: {"b": 1} }',
        '{\u201ca\u201d: ["b"]}',
        '[/* c */ {"a": 1}]',
        '[u"a", {"n": 1}]',
        '{&quot;a&quot;: ["b"]}',
        '{\\"a\\": ["b"]}',
        '"a": {"b": 1}, "c": 2}',
        '{\u00a0"n": 1}',
    ],
)
def test_no_part_is_shown_of_what_opens_like_json_with_faults(text: str, size: int) -> None:
    extractor = PartialExtractor()

    for start in range(0, len(text), size):
        extractor.feed(text[start : start + size])

    assert (extractor.value, extractor.complete, extractor.broken) == (None, False, True)


@pytest.mark.parametrize(
    "text", ['{"a" "b"}', '{"a":: 1}', '{"a":}', "[1,]", '{"a": 1,}', "[1 2]", "[[] []]", '["a" 1]', '{"a": "\\u0000"}']
)
def test_what_is_no_strict_json_is_never_complete(text: str) -> None:
    extractor = PartialExtractor()
    extractor.feed(text)

    assert (extractor.complete, extractor.broken) == (False, True)


@pytest.mark.parametrize(
    "before", ['As data["n"] or rows[0] says: ', "Use [see below] and {name}. ", "- [ ] to do\n", "{{", "{% if x %}"]
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_brackets_of_prose_and_code_open_nothing(before: str, size: int) -> None:
    extractor = PartialExtractor()
    text = before + '{"n": 2}'

    for start in range(0, len(text), size):
        extractor.feed(text[start : start + size])

    assert (extractor.value, extractor.complete) == ({"n": 2}, True)


_PIECES = (
    *'{}[]",:a1-\\/<>|#&=$',
    *(
        "'",
        "\n",
        " ",
        "     ",
        "\t",
        "\ufeff",
        "x ",
        "12",
        "true",
        "True",
        "null",
        '"a"',
        '"a":',
        '{"a": 1}',
        "[1]",
        '["x"]',
    ),
    *(
        "```json\n",
        "```",
        "<think>",
        "</think>",
        "[THINK]",
        "[/THINK]",
        "<|end|>",
        "<b ",
        "&quot;",
        "//",
        '",',
        "{ // c\n",
    ),
)


@given(
    st.lists(st.sampled_from(_PIECES), max_size=14).map("".join), st.lists(st.integers(1, 6), min_size=1, max_size=9)
)
@settings(max_examples=500)
@example("{\n [1, 2]}", [1])
@example("$[  \t2", [1])
@example("```json\n[/THINK]{}", [1])
def test_the_pieces_in_which_a_text_arrives_make_no_difference(text: str, sizes: list[int]) -> None:
    whole, pieces = PartialExtractor(), PartialExtractor()

    whole.feed(text)
    rest, turn = text, 0
    while rest:
        size = sizes[turn % len(sizes)]
        pieces.feed(rest[:size])
        rest, turn = rest[size:], turn + 1

    assert (pieces.value, pieces.complete, pieces.broken) == (whole.value, whole.complete, whole.broken)


def test_a_megabyte_of_brackets_is_given_up_early() -> None:
    extractor = PartialExtractor()
    extractor.feed("[" * 1_000_000)

    assert extractor.broken


@pytest.mark.parametrize(
    "before",
    [
        "As shown in [1], the answer: ",
        "As shown in [1, 2] and [3]: ",
        "Use {} for objects, [] for lists. ",
        "A [note] and a [true story]: ",
        '<analysis>{"n": 1}</analysis>',
        '[THINK]{"n": 1}[/THINK] ',
        '<think mode="deep">{"n": 1}</think >\n',
        '<|channel|>analysis<|message|>{"n": 1}<|end|><|start|>assistant<|channel|>final<|message|>',
        'Perhaps {"n": 1}? No.</think>\n',
        'Perhaps {"n": 1, x}? No.</think>\n',
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1_000])
def test_what_stands_before_the_value_is_not_shown_for_it(before: str, size: int) -> None:
    extractor = PartialExtractor()
    text = before + '{"n": 2}\nand [3] {"n": 4}'

    for start in range(0, len(text), size):
        extractor.feed(text[start : start + size])

    assert (extractor.value, extractor.complete) == ({"n": 2}, True)


@pytest.mark.parametrize(
    "before", ["<think>{}</think>", "[THINK]{}[/THINK] ", "<think>[1]</think>\n", "\ufeff", "\ufeff \n"]
)
@pytest.mark.parametrize("value", ["{}", "[]", "[1]"])
@pytest.mark.parametrize("size", [1, 3, 1_000])
def test_a_value_of_nothing_is_one_behind_a_thought_too(before: str, value: str, size: int) -> None:
    extractor = PartialExtractor()
    text = before + value + "\n"

    for start in range(0, len(text), size):
        extractor.feed(text[start : start + size])

    assert (extractor.value, extractor.complete) == (json.loads(value), True)


def test_integers_are_exact() -> None:
    extractor = PartialExtractor()

    assert extractor.feed('{"n": 123456789012345678901234567890, "m": [-98765432109876543210], "x": 1e30}') == {
        "n": 123456789012345678901234567890,
        "m": [-98765432109876543210],
        "x": 1e30,
    }
    assert not isinstance(extractor.value["x"], int)


def test_a_string_whose_end_is_in_doubt_is_not_shown() -> None:
    extractor = PartialExtractor()

    assert extractor.feed('{"s": "a "big" lid", "n": 1}') == {}
    assert extractor.broken


@pytest.mark.parametrize(
    ("before", "piece"),
    [
        ('{"a": "', '\\"\\"'),
        ('{"a": "', "abc\\"),
        ("{", "    "),
        ('{"a"', "    "),
        ("[1, ", "1111"),
        ("", "[1] "),
        ("", "{}  "),
        ("<think>", "a < "),
        ("[", "tttt"),
        ('{"a": 1}', "<thi"),
        ('{"a": 1}', '</think>", '),
        ("", "[ { "),
        ("[x", "{ a "),
        ("<a", "{\n\n"),
    ],
)
def test_a_long_answer_in_small_pieces_takes_time_in_proportion(before: str, piece: str) -> None:
    extractor = PartialExtractor()
    started = process_time()

    extractor.feed(before)
    for _ in range(60_000):
        extractor.feed(piece)
    PartialExtractor().feed(before + piece * 60_000)
    PartialExtractor().feed("<think></think>" * 70_000)

    assert process_time() - started < 10


def test_tags_that_are_quoted_behind_a_value_take_time_in_proportion() -> None:
    started = process_time()

    PartialExtractor().feed('{"a": 1}' + '</think>", ' * 200_000)

    assert process_time() - started < 4


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1, b: "use </think> here"}', {"a": 1}),
        ('{"a": 1}\nThe string "</think>", by the way.', {"a": 1}),
        ('{"a": 1}\nIt was "</think>", and "</think>", again', {"a": 1}),
        ('{"a": 1}\n</think>\n{"a": 2}', {"a": 2}),
        ('{"a": 1} </think>{"a": 2}', {"a": 2}),
        ('{"a": 1} and then some </think> so the answer is {"a": 2}', {"a": 2}),
    ],
)
def test_a_value_is_taken_back_by_the_end_of_a_thought_and_not_by_one_that_is_quoted(
    text: str, value: Any, size: int
) -> None:
    extractor = PartialExtractor()

    for start in range(0, len(text), size):
        extractor.feed(text[start : start + size])

    assert extractor.value == value


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_the_marks_of_a_cdata_section_open_nothing(size: int) -> None:
    extractor, text = PartialExtractor(), '<![CDATA[{"n": 1}]]>'

    for start in range(0, len(text), size):
        extractor.feed(text[start : start + size])

    assert (extractor.value, extractor.complete) == ({"n": 1}, True)
