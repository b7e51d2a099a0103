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


_N = _closed(n={"type": "integer"})


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        ({"n": 5, "result": {"n": 1}}, _N),
        (
            {"name": "Bob", "params": {"age": 3}},
            {**_closed(name={"type": "string"}, age={"type": "integer"}), "required": ["age"]},
        ),
        ({"error": "not found", "data": {"n": 0}}, _N),
        ({"success": False, "result": {"n": 0}}, _N),
        *(({key: {"n": 1}}, _N) for key in ("wrong", "draft", "previous", "invalid")),
    ],
)
def test_what_is_said_beside_a_wrapper_is_not_lost(value: Any, schema: dict[str, Any]) -> None:
    assert _read(json.dumps(value), schema) is _REFUSED


@pytest.mark.parametrize(
    "value",
    [
        {"error": None, "data": {"name": "Bob"}},
        {"success": True, "result": {"name": "Bob"}},
        {"name": "extract", "arguments": {"name": "Bob"}},
        {"name": "extract", "arguments": '{"name": "Bob"}'},
        {"type": "tool_use", "id": "t", "name": "extract", "input": {"name": "Bob"}},
    ],
)
def test_a_wrapper_is_removed(value: Any) -> None:
    schema = {**_closed(name={"type": "string"}, id={"type": "string"}), "required": ["name"]}

    assert _read(json.dumps(value), schema) == {"name": "Bob"}


_TAGS = _closed(tags={"type": "array", "items": {"type": "string"}})


@pytest.mark.parametrize("text", ["", "None", "null", "N/A", "-", "['a']", "[a]", "a\u3001b", "a\uff0cb"])
def test_no_item_and_several_in_one_text_are_not_one(text: str) -> None:
    assert _read(json.dumps({"tags": text}), _TAGS) is _REFUSED
    assert _read(json.dumps({"tags": "a-b"}), _TAGS) == {"tags": ["a-b"]}


@pytest.mark.parametrize("items", [{"type": "object", "properties": {"n": {"type": "integer"}}}, {"type": "object"}])
def test_a_wrapper_around_the_items_is_no_item(items: dict[str, Any]) -> None:
    schema = {"type": "array", "items": items}

    assert _read('{"items": [{"n": 1}, {"n": 2}], "count": 2}', schema) is _REFUSED
    assert _read('{"N": 1, "m": 2}', schema) == [{"N": 1, "m": 2}]


@pytest.mark.parametrize(("key", "name"), [("c++", "c"), ("discount%", "discount"), ("c#", "c")])
def test_signs_tell_keys_apart(key: str, name: str) -> None:
    schema = _closed(**{name: {"type": "integer"}})

    assert _read(json.dumps({key: 5}), schema) is _REFUSED
    assert _read(json.dumps({name.upper() + "_": 5}), schema) == {name: 5}


def test_what_a_pattern_speaks_of_is_left_alone() -> None:
    schema = {
        "properties": {"n": {"type": "integer"}},
        "patternProperties": {"^x-": {}},
        "additionalProperties": {"type": "integer"},
    }

    assert _read('{"x-ver": "12", "n": "5"}', {"type": "object", **schema}) == {"x-ver": "12", "n": 5}


def test_an_anchor_is_not_the_root() -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "a": {"$ref": "#addr"}},
        "$defs": {"A": {"$anchor": "addr", "type": "object"}},
    }

    assert _read('{"n": "1", "a": {"n": "2"}}', schema) == {"n": 1, "a": {"n": "2"}}
