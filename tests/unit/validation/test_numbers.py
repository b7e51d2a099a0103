"""A number that is not kept exactly is noted, or is not read out of a text at all."""

import json

import pytest

from output_validation import extract


def _of(kind: str) -> dict[str, object]:
    return {"type": "object", "properties": {"x": {"type": kind}}}


@pytest.mark.parametrize(
    "text", ["123456789012345678901.5", "1e-400", "1e400", "0.12345678901234567890", "1,234,567,890,123,456,789.5"]
)
def test_a_text_is_no_number_that_would_be_rounded(text: str) -> None:
    assert not extract(f'{{"x": "{text}"}}', _of("number")).ok


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0.1", 0.1),
        ("1.50", 1.5),
        ("+2.5e3", 2500.0),
        ("1e-300", 1e-300),
        ("123456789012345678901", 123456789012345678901),
    ],
)
def test_a_text_is_the_number_that_it_says(text: str, number: float) -> None:
    assert extract(f'{{"x": "{text}"}}', _of("number")).value == {"x": number}


def test_a_long_text_is_an_exact_integer() -> None:
    assert extract('{"x": "123456789012345678.0"}', _of("integer")).value == {"x": 123456789012345678}
    assert not extract('{"x": "1e-400"}', _of("integer")).ok


@pytest.mark.parametrize(
    "text", ["{x: 1e-400}", "{x: 2.5E-0400}", "So: {x: 12345678901234567.5}", "{'s': '5\" of', x: 12345678901234567.5}"]
)
def test_a_number_that_was_rounded_is_noted(text: str) -> None:
    extraction = extract(text, _of("number"))

    assert extraction.ok
    assert [note.keyword for note in extraction.notes] == ["number-precision"]


def test_a_number_in_a_comment_or_a_string_is_not_noted() -> None:
    assert extract('{"x": 1, "s": "-0.12345678901234567890 \\" 12345678901234567890123"}', _of("number")).notes == ()
    assert extract("{'x': 1, 's': '12345678901234567890123'}", _of("number")).notes == ()
    assert extract('{"x": 1 // 12345678901234567890123\n}', _of("number")).notes == ()


@pytest.mark.parametrize("before", ["", "\ufeff"])
def test_a_rounded_number_in_a_string_is_noted_or_refused(before: str) -> None:
    inner = '{"x": 0.12345678901234567890}'

    assert extract(before + inner, _of("number")).notes
    assert extract(before + json.dumps(inner), _of("number")).notes
    assert not extract(json.dumps({"part": inner}), {"properties": {"part": {"type": "object"}}}).ok


@pytest.mark.parametrize("text", ["{x: 1%s}", '{"x": 1%s}', '```json\n{"x": 1%s}\n```'])
def test_a_number_beyond_a_double_is_refused_as_in_strict_json(text: str) -> None:
    assert not extract(text % ("0" * 400), _of("number")).ok


def test_thousands_of_groups_of_digits_are_no_number() -> None:
    assert not extract('{"x": "1' + ",000" * 1_600 + '"}', _of("integer")).ok
    assert extract('{"x": "1' + ",000" * 60 + '"}', _of("integer")).value == {"x": 10**180}


@pytest.mark.parametrize("text", ["{x: 1e-300}", "{x: 1e-5}", '{y: "1e-400"}'])
def test_a_number_that_was_kept_is_not_noted(text: str) -> None:
    assert extract(text, _of("number")).notes == ()
