"""Values without quotes are read as texts where it is certain that they are one and where they end."""

from typing import Any

import pytest

from output_validation import extract

_OPEN = {"type": "object"}


def _of(kind: str) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": {"type": kind}, "b": {"type": "integer"}}, "required": ["a"]}


@pytest.mark.parametrize(
    "value",
    [
        "New York",
        "St. Johns",
        "Mary-Jane",
        "Élan Vital",
        "AT&T Inc.",
        "J.R.R. Tolkien",
        "Rio de Janeiro",
        "Frankfurt am Main",
        "Ludwig van Beethoven",
        "Mohammed bin Salman",
        "\u5317\u4eac",
        "https://a.b/c?d=1&e=%20",
        "http://localhost:8080",
        "1.1.1",
        "10.0.0.1",
        "555-0100-200",
        "10:30",
        "2026-01-05 10:30:00",
        "123e4567-e89b-12d3-a456-426614174000",
    ],
)
@pytest.mark.parametrize("text", ['{"a": %s}', '{"a": %s, "b": 1}', '{\n  "b": 1,\n  "a": %s\n}', '{"a":%s ,}'])
def test_a_text_without_quotes_is_read(text: str, value: str) -> None:
    extraction = extract(text % value, _of("string"))

    assert extraction.ok, extraction.violations
    assert extraction.value["a"] == value


@pytest.mark.parametrize(
    "value",
    [
        "true or false",
        "not sure",
        "tea or coffee",
        "None found",
        "5 kg",
        "5kg",
        "12%",
        "3L",
        "New York, NY",
        "New (York)",
        "New\nYork",
        "New York // a town\n",
        "New York # a town\n",
        "the rest of it",
        "and so on ...",
        "new Date",
        "a + b",
        "a - b",
        "a = b",
        "it's here",
        "see [1]",
        "see: below",
        "https://a.b//c",
        "https://a.b/#c",
        "ftp://a.b",
        "https://a.b c",
        "10:3",
        "urn:x",
        "and/or so",
        "1-2",
        "10-20",
        # What stands for a value
        *("your city here", "city name", "see below", "to be determined", "same as above", "no value", "not set"),
        *("Your City", "City Name", "See Below", "To Be Determined", "TO BE DETERMINED", "No Value", "TBD Later"),
        *("Insert City", "Enter City", "Same As Above", "Unknown City", "Value Here", "DATE of BIRTH", "List of Texts"),
        # More than one value
        *("New York n 1", "Paris and n is 1", "New York tags Berlin", "red and blue", "Red and Blue", "Red And Blue"),
        *("Johnson & Johnson", "\u5317\u4eac \u4e0a\u6d77"),
        # Code
        *("x if y", "i.city for i in x", "x is y", "city not in db", "let x"),
        # Names in part
        *("iPhone 15 Pro", "van Gogh", "the City", "Rio de", "New york"),
    ],
)
@pytest.mark.parametrize("text", ['{"a": %s}', '{"a": %s, "b": 1}'])
def test_what_may_be_more_or_less_than_a_text_is_refused(text: str, value: str) -> None:
    assert not extract(text % value, _OPEN).ok


@pytest.mark.parametrize(
    "text",
    [
        "{title: Cats and dogs, b: 1}",
        '{"a": Cats, dogs: a story}',
        '{"a": New York',
        '{"a": New York "b": 1}',
        '{"a": https://a.b/c',
        "[New York]",
        '["a", New York]',
    ],
)
def test_words_whose_end_is_not_certain_are_refused(text: str) -> None:
    assert not extract(text, None).ok


@pytest.mark.parametrize(
    ("value", "number"),
    [("-2,000.00", -2000.0), ("1,234,567", 1234567), ("1,234.5", 1234.5), ("+12,345,678.90", 12345678.9)],
)
@pytest.mark.parametrize("text", ['{"a": %s}', '{"a": %s, "b": 1}', "{a: %s,\n b: 1}"])
def test_commas_between_thousands_are_read_where_they_are_certain(text: str, value: str, number: float) -> None:
    assert extract(text % value, _of("number")).value["a"] == number
    assert extract(text % value, _of("string")).value["a"] == value
    assert not extract(text % value, _of("array")).ok


@pytest.mark.parametrize("value", ["1,234", "0,234,567", "1,234,5678", "12,34,567", "1234,567,890", "1,234,567 kg"])
@pytest.mark.parametrize("text", ['{"a": %s}', '{"a": %s, "b": 1}'])
def test_other_commas_between_digits_are_refused(text: str, value: str) -> None:
    assert not extract(text % value, _of("number")).ok


@pytest.mark.parametrize("text", ['{"a": %s, "b": %s}', '{"b": %s, "a": %s}'])
@pytest.mark.parametrize("items", ["[1,234.5, 3]", "[[1,234]]", '{"c": [0, 1,234, 5]}', "(1,234)"])
def test_commas_in_an_array_are_in_doubt_where_others_group_digits(text: str, items: str) -> None:
    order = ("1,234.5", items) if text.startswith('{"a"') else (items, "1,234.5")

    assert not extract(text % order, _OPEN).ok
    assert extract(text % tuple(each.replace(",234.5", "") for each in order), _OPEN).ok


@pytest.mark.parametrize("items", ["[1, 234]", "[1,2345]", "[1,23]", '["1,234"]'])
def test_commas_in_an_array_that_group_no_digits_separate_items(items: str) -> None:
    assert extract(f'{{"a": 1,234.5, "b": {items}}}', _OPEN).ok


def test_commas_in_arrays_separate_items() -> None:
    assert extract("[1,234,567]", None).value == [1, 234, 567]
    assert extract('{"a": [1,234,567,]}', _of("array")).value == {"a": [1, 234, 567]}
