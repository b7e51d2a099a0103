"""A value is read as its schema demands only where it can be read in one way."""

import json
from typing import Any

import pytest

from output_validation import extract


def _closed(**members: Any) -> dict[str, Any]:
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}


_REFUSED: Any = object()


def _read(text: str, schema: dict[str, Any]) -> Any:
    extraction = extract(text, schema)
    return extraction.value if extraction.ok else _REFUSED


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ([1, 2, 3], "-1"),
        ([15, 30, 60], "1.5"),
        ([10, 20], "1.0"),
        (["3.1", "3.10", "3.11"], "3.10"),
        (["3.1", "3.10", "3.11"], '"31"'),
        (["AAA", "AA", "A"], '"AA-"'),
        (["gpt-41", "gpt-3"], '"gpt-4.1"'),
        (["a", "b"], '"null"'),
    ],
)
def test_another_number_or_sign_is_another_option(options: list[Any], value: str) -> None:
    assert _read(f'{{"v": {value}}}', _closed(v={"enum": options})) is _REFUSED


@pytest.mark.parametrize(
    ("options", "value", "option"),
    [
        (["very-high"], "very_high", "very-high"),
        (["gpt-4", "gpt-3"], "gpt 4", "gpt-4"),
        (["very-high"], "Very high", "very-high"),
        (["a / b"], "A/B", "a / b"),
        ([1, 2], "2", 2),
        (["1", "2"], 2, "2"),
        (["a", None], "null", None),
    ],
)
def test_an_option_in_another_spelling_is_read(options: list[Any], value: Any, option: Any) -> None:
    assert _read(json.dumps({"v": value}), _closed(v={"enum": options})) == {"v": option}


def test_a_number_is_an_option_by_its_value() -> None:
    schema = _closed(v={"enum": [1, 5, 10]}, w={"type": "integer"})

    assert _read('{"v": 1.0, "w": "5"}', schema) == {"v": 1, "w": 5}
    assert _read('{"v": true, "w": "5"}', schema) is _REFUSED
