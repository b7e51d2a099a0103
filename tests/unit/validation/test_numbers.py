"""A number that is not kept exactly is noted, or is not read out of a text at all."""

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


@pytest.mark.parametrize("text", ["{x: 1e-400}", "{x: 2.5E-0400}", "So: {x: 12345678901234567.5}"])
def test_a_number_that_was_rounded_is_noted(text: str) -> None:
    extraction = extract(text, _of("number"))

    assert extraction.ok
    assert [note.keyword for note in extraction.notes] == ["number-precision"]


@pytest.mark.parametrize("text", ["{x: 1e-300}", "{x: 1e-5}", '{y: "1e-400"}'])
def test_a_number_that_was_kept_is_not_noted(text: str) -> None:
    assert extract(text, _of("number")).notes == ()
