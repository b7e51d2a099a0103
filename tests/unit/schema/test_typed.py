"""What a typed reader takes is valid under its schema and read as the plain parser reads it; the rest it leaves."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.validation.instances import make_object
from common.errors import StrictJsonError
from common.schema import compile_schema
from common.schema.strict_json import parse_json
from common.schema.typed import typed_reader

KEYS = st.sampled_from(["a", "b", "the key", "é", "", "a:b", 'q"'])
TEXTS = st.text(st.sampled_from('ab:é\U0001f600"\\\n\u0000 0\u2028'), max_size=6) | st.sampled_from(
    ["low", "high", "2026-02-28", "2026-02-29", "2024-02-29", "1890-01-01", "2026-13-01"]
)
NUMBERS = (
    st.integers(-20, 20)
    | st.integers()
    | st.floats(-5, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0.0, -0.0, 1.0, 2**53, 2**64])
)
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
BOUNDS = st.integers(-2, 4)


def _with(kind: str, *keywords: str) -> st.SearchStrategy[dict[str, Any]]:
    optional = {keyword: st.integers(0, 4) if "Length" in keyword else BOUNDS for keyword in keywords}
    return st.fixed_dictionaries({"type": st.just(kind)}, optional=optional)


PLAIN_LEAVES = st.one_of(
    _with("string", "minLength", "maxLength"),
    _with("integer", "minimum", "maximum"),
    _with("number", "minimum", "maximum"),
    st.sampled_from(
        [
            {"type": "boolean", "title": "sure?"},
            {"type": "null"},
            {"type": "string", "format": "date"},
            {"enum": ["low", "high"]},
            {"enum": ["low", None], "type": ["string", "null"]},
            {"const": "low"},
            {"type": ["string", "null"], "maxLength": 3},
            {"type": ["integer", "string", "boolean"]},
            {"anyOf": [{"type": "number"}, {"type": "null"}]},
            {"oneOf": [{"type": "string", "format": "date"}, {"type": "boolean"}]},
        ]
    ),
)


def _objects(parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    def with_required(properties: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
        fixed = {"type": st.just("object"), "properties": st.just(properties)}
        required = st.lists(st.sampled_from(sorted(properties) or [""]), unique=True).filter(
            lambda names: set(names) <= properties.keys()
        )
        return st.fixed_dictionaries(fixed, optional={"required": required, "additionalProperties": st.booleans()})

    return st.dictionaries(KEYS, parts, max_size=4).flatmap(with_required)


def _arrays(parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    bounds = {"minItems": st.integers(0, 2), "maxItems": st.integers(0, 3)}
    return st.fixed_dictionaries({"type": st.just("array"), "items": parts}, optional=bounds)


PARTS = st.recursive(PLAIN_LEAVES, lambda parts: _objects(parts) | _arrays(parts), max_leaves=8)
PLAIN = _objects(PARTS) | _arrays(PARTS)


def _like(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return values of a plain schema's shape, of which many satisfy it."""
    if "anyOf" in schema or "oneOf" in schema:
        return st.one_of(*map(_like, schema.get("anyOf") or schema["oneOf"]))
    if schema.get("type") == "object":
        members = {name: _like(part) for name, part in schema["properties"].items()}
        required = schema.get("required", [])
        return st.fixed_dictionaries(
            {name: member for name, member in members.items() if name in required},
            optional={name: member for name, member in members.items() if name not in required},
        )
    if schema.get("type") == "array":
        return st.lists(_like(schema["items"]), max_size=3)
    return LEAVES


@given(st.data(), PLAIN, st.sampled_from([None, 2]), st.booleans(), st.booleans())
def test_what_is_taken_is_valid_and_read_as_the_plain_parser_reads_it(
    data: st.DataObject, schema: dict[str, Any], indent: int | None, is_ascii: bool, is_twice: bool
) -> None:
    value = data.draw(_like(schema) | VALUES)
    text = json.dumps(value, indent=indent, ensure_ascii=is_ascii)
    if is_twice and text.startswith('{"'):
        text = "{" + text[1:-1] + "," + text[1:]
    reader = typed_reader(schema)
    taken = reader(text.encode()) if reader is not None else None

    if taken is not None:
        assert json.dumps(taken) == json.dumps(parse_json(text))
        assert compile_schema(schema).is_valid(taken)


@given(st.data(), PLAIN)
def test_what_is_valid_and_without_doubt_is_taken(data: st.DataObject, schema: dict[str, Any]) -> None:
    value = data.draw(_like(schema))
    text = json.dumps(value, ensure_ascii=False)
    reader = typed_reader(schema)
    is_doubtful = any(part in text for part in ("\\u00", "1890", ".0")) or re.search("[0-9]e|[0-9.]{11}", text)

    # Bounds that exclude one another make no type.
    if reader is not None and compile_schema(schema).is_valid(value) and not is_doubtful:
        assert reader(text.encode()) == value


@given(st.randoms(use_true_random=False))
def test_what_recipes_ask_for_is_plain(rng: Any) -> None:
    schema, value = make_object(rng)
    reader = typed_reader(schema)

    assert reader is not None
    assert reader(json.dumps(value).encode()) in (value, None)


OBJECT: dict[str, Any] = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def _holding(part: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"n": part}}


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"type": "string"},
        OBJECT | {"minProperties": 1},
        OBJECT | {"required": ["other"]},
        OBJECT | {"additionalProperties": {"type": "string"}},
        OBJECT | {"$schema": "https://example.com/my-own"},
        OBJECT | {"$id": "https://example.com/it"},
        {"type": "array"},
        {"type": "array", "items": True},
        {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        *map(
            _holding,
            [
                True,
                {},
                {"$ref": "#"},
                {"$ref": "#/$defs/none"},
                {"$ref": "#/properties/n"},
                {"type": "string", "pattern": "a"},
                {"type": "string", "format": "email"},
                {"type": "string", "format": "date", "maxLength": 3},
                {"type": "string", "maxLength": 2.0},
                {"type": "number", "multipleOf": 2},
                {"type": "number", "minimum": 0.5},
                {"type": "integer", "maximum": 1 << 60},
                {"type": ["integer", "number"]},
                {"type": "string", "enum": ["a"], "maxLength": 1},
                {"enum": ["a", 1]},
                {"enum": ["a"], "type": "integer"},
                {"const": 1},
                {"anyOf": [{"type": "string"}, {"const": "a"}]},
                {"anyOf": [{"type": "string"}, {"type": "null"}], "type": "string"},
                {"anyOf": [OBJECT, _holding({"type": "string"})]},
                {"allOf": [{"type": "string"}]},
                {"not": {"type": "string"}},
                {"type": "string", "x-anything": 1},
            ],
        ),
    ],
)
def test_what_is_not_known_to_mean_the_same_is_not_plain(schema: Any) -> None:
    assert typed_reader(schema) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"n": 1, "n": 1}',
        '{"n": 1, "other": 2}',
        '{"n": 1, "other": {"deep": ' + "[" * 100_000 + "]" * 100_000 + "}}",
        '{"n": 1.0}',
        '{"n": 12345678901234567}',
        '{"n": 1} ...',
        '{"n": true}',
        '{"n": NaN}',
        '\ufeff{"n": 1}',
        '{"n": 1, "\\u006e": 2}',
        '{"m\\u003a": 1, "n": 1, "n": 1}',
        "{}",
        "",
    ],
)
def test_what_may_be_doubtful_is_left(text: str) -> None:
    reader = typed_reader(OBJECT)

    assert reader is not None
    assert reader(text.encode()) is None


@pytest.mark.parametrize("text", ['{"n": "a\\u0000"}', '{"n": "a\\u003a", "n": "a\\u003A"}'])
def test_an_escape_that_may_hide_something_is_left_to_be_refused(text: str) -> None:
    reader = typed_reader(_holding({"type": "string"}))

    assert reader is not None
    assert reader(text.encode()) is None
    with pytest.raises(StrictJsonError):
        parse_json(text)


@pytest.mark.parametrize(
    ("part", "takes", "leaves"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 3}, [1, 3], [0, 4]),
        ({"type": "number", "minimum": -1, "maximum": 1}, [-1, 1, -0.5], [-1.01, 2]),
        ({"type": "string", "minLength": 1, "maxLength": 2}, ["\U0001f600", "éé"], ["", "abc"]),
        ({"type": "array", "items": {"type": "null"}, "minItems": 1, "maxItems": 2}, [[None], [None, None]], [[], [1]]),
        ({"type": "string", "format": "date"}, ["1990-01-01", "2039-12-31", "2024-02-29"], ["2023-02-29", "2024-2-1"]),
    ],
)
def test_bounds_are_inclusive(part: dict[str, Any], takes: list[Any], leaves: list[Any]) -> None:
    reader = typed_reader(_holding(part))

    assert reader is not None
    for value in takes:
        assert reader(json.dumps({"n": value}, ensure_ascii=False).encode()) == {"n": value}
    assert [reader(json.dumps({"n": value}).encode()) for value in leaves] == [None] * len(leaves)


DEFINED = {
    "type": "object",
    "properties": {"lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}}, "total": {"$ref": "#/$defs/Money"}},
    "required": ["lines"],
    "$defs": {
        "Line": {"type": "object", "properties": {"price": {"$ref": "#/$defs/Money", "title": "its price"}}},
        "Money": {"anyOf": [{"type": "number"}, {"type": "null"}], "default": None},
    },
}


def test_references_to_definitions_are_followed() -> None:
    reader = typed_reader(DEFINED)

    assert reader is not None
    assert reader.levels == 3
    assert reader(b'{"lines": [{"price": 1.5}, {}], "total": null}') == {"lines": [{"price": 1.5}, {}], "total": None}
    assert reader(b'{"lines": [{"price": "1.5"}]}') is None


@pytest.mark.parametrize(
    "line",
    [
        {"$ref": "#/$defs/Line"},
        {"type": "array", "items": {"$ref": "#/$defs/Line"}},
        {"$ref": "#/$defs/Money", "type": "number"},
        {"type": "number", "$id": "https://example.com/it"},
    ],
)
def test_references_that_come_back_or_mean_more_are_not_plain(line: dict[str, Any]) -> None:
    assert typed_reader(DEFINED | {"$defs": {"Line": line, "Money": {"type": "number"}}}) is None


def test_more_than_fifty_objects_are_not_plain() -> None:
    assert typed_reader({"type": "object", "properties": {f"k{n}": OBJECT for n in range(50)}}) is None
    assert typed_reader({"type": "object", "properties": {f"k{n}": OBJECT for n in range(49)}}) is not None
