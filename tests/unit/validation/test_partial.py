"""A value is seen as it arrives, and what has been seen stays."""

import copy
import json
from typing import Any

from hypothesis import given
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
    assert extractor.feed('lo"') == {"a": 123, "b": "hello"}
    assert not extractor.complete


def test_what_is_not_strict_json_stops_where_it_breaks() -> None:
    extractor = PartialExtractor()

    assert extractor.feed('{"a": 1, b: 2, "c": 3}') == {"a": 1}
    assert extractor.broken
    assert PartialExtractor().feed("no value at all") is None


def test_a_megabyte_of_brackets_is_given_up_early() -> None:
    extractor = PartialExtractor()
    extractor.feed("[" * 1_000_000)

    assert extractor.broken
