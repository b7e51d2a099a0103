"""parse_json takes exactly JSON that every reader reads alike, and says where anything else goes wrong."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import StrictJsonError
from common.schema import dump_json, parse_json

_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _text
)
json_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_text, inner, max_size=5), max_leaves=30
)


def refused(text: str | bytes) -> StrictJsonError | None:
    try:
        parse_json(text)
    except StrictJsonError as refusal:
        return refusal
    return None


@given(json_values, st.booleans(), st.sampled_from([None, 2]))
def test_any_value_written_as_json_comes_back_equal(value: Any, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)

    assert parse_json(text) == value
    assert parse_json(dump_json(value)) == value


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_no_text_does_more_than_be_refused(text: str | bytes) -> None:
    length_bytes = len(text.encode(errors="surrogatepass") if isinstance(text, str) else text)

    refusal = refused(text)

    assert refusal is None or (refusal.mend and refusal.offset <= length_bytes)


@given(json_values, st.integers(0, 200), st.sampled_from(list('[]{}",:\\u01n \n')), st.booleans())
def test_what_is_taken_is_what_the_standard_parser_reads(value: Any, at: int, char: str, insert: bool) -> None:
    text = json.dumps(value)
    damaged = text[:at] + char + text[at + (not insert) :]

    assert refused(damaged) is not None or parse_json(damaged) == json.loads(damaged)


@pytest.mark.parametrize(
    ("text", "code", "pointer", "offset"),
    [
        (b'{"a":1,"a":2}', "duplicate-key", "/a", 7),
        (b'{"x":[{"k":{"a":1,"\\u0061":2}}]}', "duplicate-key", "/x/0/k/a", 18),
        (b'{"big":' + b"1" * 25 + b',"big":1}', "duplicate-key", "/big", 33),
        (b"[1,NaN]", "syntax", "/1", 3),
        (b'{"q":{"r":-Infinity}}', "syntax", "/q/r", 10),
        (b'["x","\\ud800"]', "syntax", "/1", 6),
        ("[1, \ud800]", "encoding", "/1", 4),
        (b'["\xff"]', "encoding", "/0", 2),
        (b'{"a/b":["\\u0000"]}', "nul", "/a~1b/0", 9),
        (b'["a\x00"]', "syntax", "/0", 3),
        (b"[1e400]", "syntax", "/0", 1),
        (b"[" + b"1" * 400 + b"]", "syntax", "/0", 1),
        (b"\xef\xbb\xbf{}", "syntax", "", 0),
        (b'{"a":1,}', "syntax", "", 7),
        (b'{"a":', "syntax", "/a", 5),
        (b"", "syntax", "", 0),
    ],
)
def test_a_fault_is_named_with_its_place(text: bytes | str, code: str, pointer: str, offset: int) -> None:
    with pytest.raises(StrictJsonError) as caught:
        parse_json(text)

    assert caught.value.code == code
    if pointer or code != "syntax":
        assert caught.value.pointer == pointer
    assert abs(caught.value.offset - offset) <= 1


def test_line_and_column_count_characters() -> None:
    with pytest.raises(StrictJsonError) as caught:
        parse_json('{\n  "ä": "ö" x\n}')

    assert (caught.value.line, caught.value.column) == (2, 12)


@pytest.mark.parametrize("padding", ["", " " * 70_000], ids=["short", "long"])
@pytest.mark.parametrize("innermost", ["1", "[]", "{}"])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_depth_is_bounded_exactly(opening: str, innermost: str, padding: str) -> None:
    closing = "]" if opening == "[" else "}"
    bound = 64 if innermost == "1" else 63
    at_bound = opening * bound + innermost + closing * bound
    assert parse_json(at_bound + padding) is not None
    for levels in (bound + 1, 251, 300, 1_000):
        with pytest.raises(StrictJsonError) as caught:
            parse_json(opening * levels + innermost + closing * levels + padding)
        assert caught.value.code == "depth"


def test_a_colon_that_is_escaped_hides_no_duplicate() -> None:
    # Written again, the one member that is left has as many colons as the two that stood here.
    with pytest.raises(StrictJsonError) as caught:
        parse_json(r'{"a":1,"a":2,"b":"\u003A"}')

    assert caught.value.code == "duplicate-key"
    assert parse_json(r'{"a":1,"b":"\u003a"}') == {"a": 1, "b": ":"}


def test_brackets_in_strings_are_not_depth() -> None:
    text = json.dumps(["[" * 500, {"]" * 300: "}{" * 200}, " " * 500])

    assert parse_json(text) == json.loads(text)


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    assert parse_json(r'["\\u0000"]') == ["\\u0000"]


def test_integers_of_any_size_are_exact() -> None:
    assert parse_json("[123456789012345678901234567890, -18446744073709551617]") == [
        123456789012345678901234567890,
        -18446744073709551617,
    ]
    assert dump_json({"n": 10**30}) == b'{"n":1000000000000000000000000000000}'


def test_floats_are_finite() -> None:
    value = parse_json("[1.7976931348623157e308, -0.0, 1e-400]")

    assert all(math.isfinite(number) for number in value)


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 1_000_000,
        b'{"a":' * 200_000,
        b'"' * 1_000_000,
        b'"' + b'\\"' * 500_000,
        b"\\" * 1_000_000,
        b"[" * 60 + b"[]," * 300_000,
        b'{"a":1,"a":2,' + b'"b":[1,2,3],' * 80_000 + b'"c":1}',
        b'{"z":"' + b"\\u0000" * 150_000 + b'"}',
        b"[1," * 300_000,
    ],
    ids=["brackets", "objects", "quotes", "escapes", "backslashes", "unclosed", "duplicates", "nuls", "numbers"],
)
def test_a_megabyte_of_nonsense_is_refused(text: bytes) -> None:
    with pytest.raises(StrictJsonError):
        parse_json(text)
