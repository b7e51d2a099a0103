"""A value is read as its schema demands only where it can be read in one way."""

import json
import time
from typing import Any

import pytest

from output_validation import LOSSLESS, Policy, extract


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
        (["NA", "EU"], '"N/A"'),
        (["NA", "EU"], '"n - a"'),
        (["A", "B", "AB"], '"A/B"'),
        (["in", "out", "inout"], '"in/out"'),
        (["am", "pm"], '"p/m"'),
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
        (["high", "low"], "High.", "high"),
        (["a / b"], "A/B", "a / b"),
        (["a-b"], "A B", "a-b"),
        (["USA"], "U.S.A", "USA"),
        ([1, 2], "2", 2),
        (["1", "2"], 2, "2"),
        (["a", None], "null", None),
        (["a", None], "N/A", None),
        (["low", "high"], "'low'", "low"),
        (["low", "high"], '"low"', "low"),
        (["low", "high"], "**Low**", "low"),
        (["low", "high"], "`low`", "low"),
    ],
)
def test_an_option_in_another_spelling_is_read(options: list[Any], value: Any, option: Any) -> None:
    assert _read(json.dumps({"v": value}), _closed(v={"enum": options})) == {"v": option}


@pytest.mark.parametrize("word", ["null", "None", "N/A", "-", "not available", ""])
@pytest.mark.parametrize(
    "schema",
    [{"type": ["string", "null"], "format": "date"}, {"type": ["number", "null"]}, {"type": ["boolean", "null"]}],
)
def test_words_for_nothing_are_null_where_no_text_may_stand(word: str, schema: dict[str, Any]) -> None:
    assert _read(json.dumps({"v": word}), _closed(v=schema)) == {"v": None}
    assert _read(json.dumps({"v": word}), _closed(v={"type": ["string", "null"]})) == {"v": word}


@pytest.mark.parametrize(("word", "value"), [("true.", True), ("Yes.", True), ("'false'", False), ("**no**", False)])
def test_a_decorated_word_is_still_true_or_false(word: str, value: bool) -> None:
    assert _read(json.dumps({"v": word}), _closed(v={"type": "boolean"})) == {"v": value}


def test_keys_are_read_in_another_spelling_all_or_none() -> None:
    schema = {"type": "object", "properties": {"price": {}, "isPaid": {}}, "required": ["price"]}

    assert _read('{"Price": 1, "is_paid": true}', schema) == {"price": 1, "isPaid": True}
    assert _read('{"price": 1, "is_paid": true}', schema) == {"price": 1, "is_paid": True}


def test_keys_in_another_spelling_are_read_in_all_objects_of_the_value() -> None:
    seller = {"type": "object", "properties": {"name": {}, "vat_id": {}}, "required": ["name"]}
    schema = {"type": "object", "properties": {"due_date": {}, "seller": seller}, "required": ["due_date"]}

    extraction = extract('{"dueDate": 1, "seller": {"name": "a", "vatId": 2}}', schema)

    assert extraction.value == {"due_date": 1, "seller": {"name": "a", "vat_id": 2}}
    assert [repair.pointer for repair in extraction.repairs] == ["/due_date", "/seller/vat_id"]


def test_a_place_that_is_right_is_not_touched_where_another_is_read() -> None:
    schema = _closed(at={"type": "string", "format": "date-time"}, n={"type": "integer"})

    extraction = extract('{"at": "2026-01-05t10:00:00z", "n": "1"}', schema)

    assert extraction.value == {"at": "2026-01-05t10:00:00z", "n": 1}
    assert [repair.pointer for repair in extraction.repairs] == ["/n"]


@pytest.mark.parametrize("depth", [3, 64])
def test_what_a_string_holds_nests_no_deeper_than_anything_else(depth: int) -> None:
    policy = Policy(LOSSLESS.allowed, max_depth=depth)
    part = {"type": "object", "properties": {"part": {"type": "array"}}}

    assert extract(json.dumps({"part": "[" * (depth - 1) + "]" * (depth - 1)}), part, policy=policy).ok
    assert not extract(json.dumps({"part": "[" * depth + "]" * depth}), part, policy=policy).ok


def test_wrappers_in_one_another_are_told_by_their_path() -> None:
    extraction = extract('{"result": {"data": {"n": 1}}}', _closed(n={"type": "integer"}))

    assert [repair.pointer for repair in extraction.repairs] == ["/result", "/result/data"]


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
        ({"status": "error", "result": {"n": 0}}, _N),
        *(({key: {"n": 1}}, _N) for key in ("wrong", "draft", "previous", "invalid", "fake", "made_up")),
    ],
)
def test_what_is_said_beside_a_wrapper_is_not_lost(value: Any, schema: dict[str, Any]) -> None:
    assert _read(json.dumps(value), schema) is _REFUSED


@pytest.mark.parametrize(
    "value",
    [
        {"error": None, "data": {"name": "Bob"}},
        {"success": True, "result": {"name": "Bob"}},
        {"status": "ok", "result": {"name": "Bob", "status": "new"}},
        {"name": "extract", "arguments": {"name": "Bob"}},
        {"name": "extract", "arguments": '{"name": "Bob"}'},
        {"type": "tool_use", "id": "t", "name": "extract", "input": {"name": "Bob"}},
    ],
)
def test_a_wrapper_is_removed(value: Any) -> None:
    text = {"type": "string"}
    read = _read(json.dumps(value), {**_closed(name=text, id=text, status=text), "required": ["name"]})

    assert read in ({"name": "Bob"}, {"name": "Bob", "status": "new"})


_TAGS = _closed(tags={"type": "array", "items": {"type": "string"}})


@pytest.mark.parametrize("text", ["", "None", "null", "N/A", "-", "['a']", "[a]", "a\u3001b", "a\uff0cb"])
def test_no_item_and_several_in_one_text_are_not_one(text: str) -> None:
    assert _read(json.dumps({"tags": text}), _TAGS) is _REFUSED
    assert _read(json.dumps({"tags": "a-b"}), _TAGS) == {"tags": ["a-b"]}


@pytest.mark.parametrize("items", [{"type": "object", "properties": {"n": {"type": "integer"}}}, {"type": "object"}])
def test_a_wrapper_around_the_items_is_no_item(items: dict[str, Any]) -> None:
    schema = {"type": "array", "items": items}

    assert _read('{"items": [{"n": 1}, {"n": 2}], "count": 2}', schema) == [{"n": 1}, {"n": 2}]
    assert _read('{"items": [{"n": 1}, {"n": 2}], "count": 12}', schema) is _REFUSED
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

    read = _read('{"x-ver": "12", "n": "5", "m": "6"}', {"type": "object", **schema})

    assert read == {"x-ver": "12", "n": 5, "m": 6}


def test_an_anchor_is_not_the_root() -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "a": {"$ref": "#addr"}},
        "$defs": {"A": {"$anchor": "addr", "type": "object"}},
    }

    assert _read('{"n": "1", "a": {"n": "2"}}', schema) == {"n": 1, "a": {"n": "2"}}


@pytest.mark.parametrize("number", ["+4915112345", "0x1F", "1_000"])
@pytest.mark.parametrize("part", [{"type": "string"}, {"enum": ["4915112345", "31", "1000"]}])
def test_a_mended_number_is_no_text(number: str, part: dict[str, Any]) -> None:
    assert _read(f'{{"s": {number}}}', _closed(s=part)) is _REFUSED


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("before 5 January 2026", _REFUSED),
        ("until 5 Jan 2026", _REFUSED),
        ("not, Jan 5 2026", _REFUSED),
        ("Mon, 5 Jan 2026", "2026-01-05"),
        ("Monday 5 January 2026", "2026-01-05"),
        ("Wednesday, January 7, 2026", "2026-01-07"),
        ("Thurs, Jan 8 2026", "2026-01-08"),
    ],
)
def test_only_a_weekday_may_stand_before_a_date(text: str, day: Any) -> None:
    read = _read(json.dumps({"d": text}), _closed(d={"type": "string", "format": "date"}))

    assert read == {"d": day} or read is day


@pytest.mark.parametrize(
    ("text", "value"),
    [("12345678901234567890.0", 12345678901234567890), ("1.5e1", 15), ("1.5", _REFUSED), ("1e999", _REFUSED)],
)
def test_an_integer_is_read_with_all_its_digits(text: str, value: Any) -> None:
    read = _read(json.dumps({"n": text}), _N)

    assert read == {"n": value} or read is value


def test_large_enums_and_many_branches_cost_no_time() -> None:
    numbers = {"type": "array", "items": {"enum": list(range(2_000))}}
    values = [n % 2_000 for n in range(19_000)]

    started = time.perf_counter()
    assert _read(json.dumps([*values[:-1], str(values[-1])]), numbers) == values
    assert time.perf_counter() - started < 1


def test_the_branch_that_a_member_names_is_read() -> None:
    kinds = [_closed(kind={"const": kind}, n={"type": part}) for kind, part in (("a", "integer"), ("b", "boolean"))]

    assert _read('{"kind": "A", "n": "1"}', {"anyOf": kinds}) == {"kind": "a", "n": 1}
    assert _read('{"kind": "c", "n": "1"}', {"anyOf": kinds}) is _REFUSED


def test_the_alternative_that_wraps_nothing_goes_first() -> None:
    number = {"type": "integer"}
    schema = _closed(v={"anyOf": [number, {"type": "array", "items": number}]})

    assert _read('{"v": "5"}', schema) == {"v": 5}
    assert _read('{"v": ["5"]}', schema) == {"v": [5]}


@pytest.mark.parametrize(
    ("text", "kind", "value"), [('{"result": 42}', "integer", 42), ('{"answer": true}', "boolean", True)]
)
def test_a_wrapper_around_a_scalar_is_removed(text: str, kind: str, value: Any) -> None:
    assert _read(text, {"type": kind}) is value
    assert _read('{"error": 42}', {"type": "integer"}) is _REFUSED


_MAPS: dict[str, Any] = {
    "type": "object",
    "properties": {"scores": {"type": "object"}, "labels": {"additionalProperties": {"type": "string"}}},
    "required": ["scores", "labels"],
}


@pytest.mark.parametrize("wrapper", [{}, {"type": "object"}])
def test_an_answer_filled_into_its_schema_is_read(wrapper: dict[str, Any]) -> None:
    value = {"scores": {"a": 1}, "labels": {"b": "c"}}

    assert extract(json.dumps({**wrapper, "properties": value}), _MAPS).value == value


@pytest.mark.parametrize("wrapper", [{}, {"type": "object"}])
def test_a_schema_that_is_given_back_is_no_answer(wrapper: dict[str, Any]) -> None:
    types = {"scores": {"type": "object"}, "labels": {"type": "string"}}

    assert not extract(json.dumps({**wrapper, "properties": types}), _MAPS).ok


def test_what_names_a_call_is_no_member_of_the_answer() -> None:
    schema = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
    call = {"id": "call_1", "type": "function", "function": {"name": "submit", "arguments": '{"id": 7}'}}

    assert extract(json.dumps({"tool_calls": [call]}), schema).value == {"id": 7}


@pytest.mark.parametrize("text", ["5th of March 2026", "5 of March, 2026"])
def test_a_date_may_have_an_of(text: str) -> None:
    assert extract(json.dumps(text), {"type": "string", "format": "date"}).value == "2026-03-05"


PET: dict[str, Any] = {
    "$ref": "#/$defs/Pet",
    "$defs": {
        "Pet": {"type": "object", "required": ["kind"], "oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]},
        "Cat": {"allOf": [{"$ref": "#/$defs/Pet"}, {"properties": {"kind": {"const": "cat"}}}]},
        "Dog": {"allOf": [{"$ref": "#/$defs/Pet"}, {"properties": {"kind": {"const": "dog"}}}]},
    },
}


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ('{"kind": "cow"}', PET),
        ("[]", PET),
        ('{"a": 1}', {"type": "string", "allOf": [{"$ref": "#"}]}),
        ('{"a": 1}', {"type": "string", "anyOf": [{"$ref": "#"}]}),
        ("[" * 60 + "]" * 60, {"type": "array", "minItems": 1, "allOf": [{"allOf": [{"items": {"$ref": "#"}}]}] * 3}),
    ],
)
def test_a_schema_that_comes_back_to_itself_is_left(text: str, schema: dict[str, Any]) -> None:
    assert not extract(text, schema).ok


@pytest.mark.parametrize("reference", ["#/$defs/a%20b", "#/allOf/0/$defs/c", "#named", "#/$defs/chain"])
def test_a_value_is_read_behind_any_reference_into_the_schema(reference: str) -> None:
    part = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": reference}},
        "required": ["a"],
        "allOf": [{"$defs": {"c": part}}],
        "$defs": {"a b": part, "d": {**part, "$anchor": "named"}, "chain": {"$ref": "#named"}},
    }

    assert _read('{"a": {"n": "1"}}', schema) == {"a": {"n": 1}}
