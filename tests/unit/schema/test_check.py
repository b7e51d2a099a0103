"""check says what is wrong with an instance, agrees with the reference implementation, and cannot be stalled."""

import json
import math
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from common.errors import SchemaError
from common.schema import MAX_VIOLATIONS, Violation, check, check_schema


def only(violations: list[Violation]) -> Violation:
    assert len(violations) == 1
    return violations[0]


def test_a_valid_instance_has_no_violations() -> None:
    assert check({"a": 1}, {"properties": {"a": {"type": "integer"}}}) == []


@pytest.mark.parametrize(
    ("schema", "instance", "keyword", "pointer", "expected", "actual"),
    [
        ({"type": "string"}, 5, "type", "", "string", 5),
        ({"type": ["string", "null"]}, 5, "type", "", ["null", "string"], 5),
        ({"required": ["a"]}, {}, "required", "", "a", None),
        ({"properties": {"a/b~c": {"maxLength": 2}}}, {"a/b~c": "abc"}, "maxLength", "/a~1b~0c", 2, 3),
        ({"items": {"minimum": 3}}, [4, 2], "minimum", "/1", 3, 2),
        ({"enum": ["x", "y"]}, "z", "enum", "", ["x", "y"], "z"),
        ({"const": {"a": 1}}, 2, "const", "", {"a": 1}, 2),
        ({"additionalProperties": False}, {"z": 1}, "additionalProperties", "", "no other members or items", ["z"]),
        (
            {"additionalProperties": False, "properties": {"a": {}}},
            {"z": 1},
            "additionalProperties",
            "",
            "no other members or items",
            ["z"],
        ),
        (
            {"properties": {"additionalProperties": False}},
            {"additionalProperties": {"x": 1}},
            "falseSchema",
            "/additionalProperties",
            "nothing",
            {"x": 1},
        ),
        (
            {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{}], "additionalItems": False},
            [1, 2],
            "additionalItems",
            "",
            "no other members or items",
            [2],
        ),
        ({"maxItems": 1}, [1, 2], "maxItems", "", 1, 2),
        ({"minProperties": 1}, {}, "minProperties", "", 1, 0),
        ({"format": "date"}, "2024-13-01", "format", "", "date", "2024-13-01"),
        ({"pattern": "^a+$"}, "b", "pattern", "", "^a+$", "b"),
        ({"multipleOf": 3}, 10**30 + 1, "multipleOf", "", 3, str(10**30 + 1)),
        ({"contains": {"const": 1}, "minContains": 2}, [1], "minContains", "", "the number of required items", [1]),
        ({"properties": {"a": False}}, {"a": 1}, "falseSchema", "/a", "nothing", 1),
        ({"uniqueItems": True}, [1, 1], "uniqueItems", "", "all items different", [1, 1]),
    ],
)
def test_a_violation_says_where_what_and_how(
    schema: Any, instance: Any, keyword: str, pointer: str, expected: Any, actual: Any
) -> None:
    violation = only(check(instance, schema))

    assert (violation.keyword, violation.pointer) == (keyword, pointer)
    assert violation.expected == expected
    assert violation.actual == actual
    assert violation.message


@pytest.mark.parametrize(
    ("instance", "schema", "pointers"),
    [
        ({"": 1}, {"additionalProperties": {"type": "string"}}, ["/"]),
        ({"": 1, "a": "b"}, {"properties": {"": {"type": "string"}}}, ["/"]),
        (
            {"x": {"": [1]}},
            {"items": {}, "additionalProperties": {"additionalProperties": {"items": False}}},
            ["/x//0"],
        ),
        ({"": {"": {"a": 1}, "a": ""}}, {"properties": {"": {"properties": {"": {"maxProperties": 0}}}}}, ["//"]),
        ({"": {"a": 1}, "a": 2}, {"properties": {"a": {"type": "string"}}}, ["/a"]),
        ({"": {"a": 1}, "a": "b"}, {"properties": {"": {"properties": {"a": {"type": "string"}}}}}, ["//a"]),
        ({"": 1}, {"maxProperties": 0}, [""]),
        ({"": 1}, {"additionalProperties": False}, [""]),
        ({"": {"k": 1}}, {"additionalProperties": {"additionalProperties": False}}, ["/"]),
    ],
)
def test_a_pointer_goes_through_members_with_an_empty_name(instance: Any, schema: Any, pointers: list[str]) -> None:
    assert [v.pointer for v in check(instance, schema)] == pointers


@pytest.mark.parametrize("value", [{}, 1, {"k": {}}])
@pytest.mark.parametrize("closed", [{"additionalProperties": False}, {"type": "object", "additionalProperties": False}])
def test_what_must_have_no_members_names_those_that_it_has(value: Any, closed: dict[str, Any]) -> None:
    for schema, instance in (({"items": closed}, [{"k": value}]), ({"properties": {"properties": closed}}, None)):
        violation = only(check(instance or {"properties": {"k": value}}, schema))

        assert (violation.keyword, violation.actual) == ("additionalProperties", ["k"])
        assert violation.pointer in {"/0", "/properties"}


def test_violations_carry_no_payload() -> None:
    violation = only(check({"a": ["x" * 10_000]}, {"properties": {"a": {"items": {"enum": ["y" * 5_000]}}}}))

    assert len(str(violation)) < 1_500

    violation = only(
        check({"n" * 100_000: {"m" * 100_000: 1}}, {"additionalProperties": {"additionalProperties": False}})
    )

    assert violation.pointer.startswith("/nnn")
    assert len(str(violation)) < 1_500


def test_formats_can_be_switched_off() -> None:
    assert check("nonsense", {"format": "date-time"}, formats=False) == []
    assert check("nonsense", {"format": "date-time"}) != []


def test_references_resolve_to_bundled_schemas_only() -> None:
    schema = {"$ref": "https://example.com/number"}
    assert only(check("x", schema, resources={"https://example.com/number": {"type": "number"}})).keyword == "type"
    for remote in ("https://example.com/number", "file:///etc/hostname", "other.json"):
        with pytest.raises(SchemaError) as caught:
            check(1, {"properties": {"a": {"$ref": remote}}})
        assert caught.value.faults[0].pointer == "/properties/a/$ref"


@pytest.mark.parametrize(
    ("reference", "resources"),
    [
        ("https://x/y#/a", {}),
        ("https://x/y#a", {}),
        ("https://x/y#/a", {"https://x/y": {}}),
        ("https://x/y#/a%20b", {"https://x/y": {}}),
        ("y.json#/a", {}),
    ],
)
def test_a_reference_that_leads_nowhere_is_pointed_at(reference: str, resources: dict[str, Any]) -> None:
    schema = {"items": {"$ref": "#"}, "properties": {"a": {"$ref": reference}}}

    violation = only(check_schema(schema, resources=resources))

    assert (violation.pointer, violation.actual) == ("/properties/a/$ref", reference)


@pytest.mark.parametrize("resources", [{1: {}}, {None: {}, "https://x": {}}, [{}]])
def test_resources_that_are_not_named_are_refused(resources: Any) -> None:
    with pytest.raises(SchemaError, match="resources"):
        check(1, {}, resources=resources)
    assert only(check_schema({}, resources=resources)).keyword == "resources"


def test_a_bundled_schema_is_read_only_if_it_is_needed() -> None:
    resources = {"https://x/faulty": {"$ref": "https://x/nowhere"}, "https://x/n": {"type": "integer"}}

    assert check(1, {"$ref": "https://x/n"}, resources=resources) == []
    assert only(check("a", {"$ref": "https://x/n"}, resources=resources)).keyword == "type"
    with pytest.raises(SchemaError):
        check(1, {"$ref": "https://x/faulty"}, resources=resources)


def test_a_bundled_schema_is_read_under_the_draft_that_it_names() -> None:
    older = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "dependentRequired": {"a": ["b"]},
        "maxProperties": 1,
    }
    resources = {"https://x/older": older}

    assert check({"a": 1}, {"$ref": "https://x/older"}, resources=resources) == []
    assert only(check({"a": 1, "b": 2}, {"$ref": "https://x/older"}, resources=resources)).keyword == "maxProperties"


@pytest.mark.parametrize("reference", ["https://x/all", "https://x/own", "https://x/part", "https://x/all#/$defs/part"])
def test_a_bundled_schema_is_found_by_its_key_its_id_and_the_ids_of_its_parts(reference: str) -> None:
    part = {"$id": "part", "type": "integer"}
    resources = {"https://x/all": {"$id": "https://x/own", "$ref": "#/$defs/part", "$defs": {"part": part}}}

    assert check(1, {"$ref": reference}, resources=resources) == []
    assert only(check("a", {"$ref": reference}, resources=resources)).keyword == "type"


def test_a_part_of_a_bundled_schema_has_a_name_where_its_draft_reads_one() -> None:
    part = {"$id": "https://x/part", "type": "integer"}

    for held in ({"properties": {"enum": part}}, {"$defs": {"a": part}}):
        assert check(1, {"$ref": "https://x/part"}, resources={"https://x/all": held}) == []
    assert check(1, {}, resources={"https://[#": {"$id": "https://["}}) == []
    for not_held in (
        {"enum": [part]},
        {"$defs": {"a": {"id": "https://x/part"}}},
        {"$defs": {"a": {"$id": "https://["}}},
    ):
        with pytest.raises(SchemaError):
            check(1, {"$ref": "https://x/part"}, resources={"https://x/all": not_held})


def test_the_draft_is_read_from_the_schema() -> None:
    old = {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}, {"type": "integer"}]}
    assert check(["a", 1], old) == []
    assert only(check(["a", "b"], old)).pointer == "/1"
    assert check(1.0, {"$schema": "http://json-schema.org/draft-04/schema#", "type": "integer"}) != []


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        ({"type": "nope"}, "/type"),
        ({"properties": {"a": {"minLength": -1}}}, "/properties/a/minLength"),
        ({"properties": {"a": {"pattern": "("}}}, "/properties/a/pattern"),
        ({"pattern": "(a{1000}){1000}{1000}"}, "/pattern"),
        ({"$ref": "#/$defs/missing"}, "/$ref"),
        ({"$schema": "https://example.com/own-dialect"}, "/$schema"),
        ({"$schema": 5}, "/$schema"),
        ({"$schema": []}, "/$schema"),
        ([], ""),
        (5, ""),
        ({"properties": {1: {}}}, ""),
        ({"const": math.nan, "title": "unseen"}, ""),
        ({"const": UUID(int=1)}, ""),
    ],
)
def test_a_faulty_schema_is_explained_with_a_pointer_into_it(schema: Any, pointer: str) -> None:
    violations = check_schema(schema)

    assert violations[0].pointer == pointer
    assert violations[0].message
    with pytest.raises(SchemaError) as caught:
        check(1, schema)
    assert caught.value.faults[0].pointer == pointer


@pytest.mark.parametrize("depth", [150, 300, 5_000])
@pytest.mark.parametrize("fault", [{"type": "string"}, {"type": "nope"}])
def test_a_deep_schema_is_used_or_refused(depth: int, fault: dict[str, Any]) -> None:
    schema: Any = fault
    for _ in range(depth):
        schema = {"items": schema}

    if check_schema(schema) == []:
        assert check([], schema) == []
    else:
        with pytest.raises(SchemaError):
            check([], schema)


@pytest.mark.parametrize("pattern", [r"^(a+)+$", r"^(a|aa)+$", r"^(?:(a+)\1*)+$(?!b)", r"(?=(a+))a*b"])
def test_an_evil_pattern_cannot_stall(pattern: str) -> None:
    assert only(check("a" * 5_000 + "!", {"pattern": pattern})).keyword == "pattern"
    assert only(check({"s": "a" * 1_000_000 + "!"}, {"properties": {"s": {"pattern": pattern}}})).keyword == "pattern"


@pytest.mark.parametrize("draft", ["draft-04/schema#", "draft-06/schema#", "draft-07/schema#", ""])
def test_a_pattern_may_begin_with_flags_whatever_the_draft(draft: str) -> None:
    named = {"$schema": f"http://json-schema.org/{draft}"} if draft else {}
    schema = {
        **named,
        "properties": {"pattern": {"pattern": "(?i)^a|b$"}, "enum": {"enum": [{"pattern": "(?i)a"}]}},
        "patternProperties": {"(?i)^x-": {"type": "integer"}},
    }

    assert check({"pattern": "xB", "enum": {"pattern": "(?i)a"}, "X-a": 1}, schema) == []
    faults = check({"pattern": "ba", "enum": {"pattern": "(?i:a)"}, "X-a": "1"}, schema)
    assert {(v.pointer, v.keyword) for v in faults} == {("/pattern", "pattern"), ("/enum", "enum"), ("/X-a", "type")}
    with pytest.raises(SchemaError):
        check("a", {**named, "pattern": "(?i)("})


def test_recursion_ends() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    assert only(check(deep, {"items": {"$ref": "#"}})).keyword == "json"
    assert check(1, {"$ref": "#"}) == []
    assert check(1, {"allOf": [{"$ref": "#"}]}) == []


@pytest.mark.parametrize(
    "instance", [{1: 2}, "\ud800", b"x", {"a": {2}}, math.nan, math.inf, {"a": [None, math.nan]}, [10**30, math.nan]]
)
def test_what_is_not_json_is_a_violation(instance: Any) -> None:
    assert only(check(instance, {"type": "object", "maxProperties": 0, "pattern": "a"})).keyword == "json"


@pytest.mark.parametrize("instance", [None, "null", {"null": [1.5, None]}, [None, 10**30], ["\u00e4null"]])
def test_null_is_json(instance: Any) -> None:
    assert check(instance, {}) == []


def test_the_number_of_violations_is_bounded() -> None:
    assert len(check(["x"] * 1_000, {"items": {"type": "integer"}})) == MAX_VIOLATIONS
    assert len(check(["x" * 100] * 10_000, {"items": {"type": "integer"}})) == 1


_names = st.sampled_from(["a", "b", "c"])
_instances = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(["", "a", "ab", "xyz"])
    | st.floats(-2, 2, width=16),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
    max_leaves=8,
)
_sizes = st.integers(0, 3)
_leaves: st.SearchStrategy[Any] = st.booleans() | st.one_of(
    st.fixed_dictionaries({"type": st.sampled_from(["string", "integer", "number", "null", "object", "array"])}),
    st.fixed_dictionaries({"enum": st.lists(_instances, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"maxLength": _sizes, "minItems": _sizes, "maxProperties": _sizes}),
    st.fixed_dictionaries({"minimum": st.integers(-2, 2), "exclusiveMaximum": st.integers(-2, 2)}),
    st.fixed_dictionaries({"multipleOf": st.sampled_from([1, 2, 0.5])}),
    st.fixed_dictionaries({"required": st.lists(_names, unique=True, max_size=2)}),
    st.fixed_dictionaries({"pattern": st.sampled_from(["^a", "b$", "[xy]+"]), "uniqueItems": st.booleans()}),
)
_schemas = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"properties": st.dictionaries(_names, inner, max_size=2)}),
        st.fixed_dictionaries({"properties": st.just({"a": {}}), "additionalProperties": inner}),
        st.fixed_dictionaries({"items": inner, "prefixItems": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"contains": inner, "minContains": _sizes}),
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"oneOf": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"allOf": st.lists(inner, min_size=1, max_size=2), "unevaluatedProperties": inner}),
        st.fixed_dictionaries({"not": inner}),
        st.fixed_dictionaries({"if": inner, "then": inner, "else": inner}),
        st.fixed_dictionaries({"propertyNames": inner}),
    ),
    max_leaves=6,
)


@given(_schemas, _instances)
def test_it_agrees_with_the_reference(schema: Any, instance: Any) -> None:
    assert (check(instance, schema) == []) == Draft202012Validator(schema).is_valid(instance)


def _tree(depth: int, leaf: Any) -> Any:
    return {"op": "and", "left": _tree(depth - 1, leaf), "right": {"value": 1}} if depth else {"value": leaf}


def _tree_schema(**more: Any) -> dict[str, Any]:
    node = {"$ref": "#/$defs/node"}
    leaf = {"properties": {"value": {"type": "integer"}}, "required": ["value"], "additionalProperties": False}
    both = [
        {"properties": {"op": {"const": op}, "left": node, "right": node}, "required": ["op", "left", "right"]}
        for op in ("and", "or")
    ]
    return {"properties": {"tree": node, "n": {"type": "integer"}}, "$defs": {"node": {"anyOf": [*both, leaf]}}, **more}


@pytest.mark.parametrize("more", [{}, {"unevaluatedProperties": False}])
def test_alternatives_that_hold_themselves_are_told_in_time_and_in_place(more: dict[str, Any]) -> None:
    schema = _tree_schema(**more)

    for depth in (1, 60):
        assert check({"tree": _tree(depth, 5), "n": 1}, schema) == []
        violations = check({"tree": _tree(depth, "five"), "n": "x"}, schema)
        assert {(v.pointer, v.keyword) for v in violations} == {("/tree", "anyOf"), ("/n", "type")}
        assert "at least one of the alternatives" in next(v.message for v in violations if v.pointer == "/tree")


def test_what_an_alternative_evaluates_counts_in_a_schema_with_references_too() -> None:
    a, b = ({"properties": {name: {"$ref": "#/$defs/any"}}, "required": [name]} for name in "ab")
    schema = {"anyOf": [a, b], "$defs": {"any": True}, "unevaluatedProperties": False}

    assert [v.keyword for v in check({"a": 1, "c": 2}, schema)] == ["unevaluatedProperties"]


def test_a_reference_into_an_alternative_leaves_the_root_to_blame_where_the_instance_is_deep() -> None:
    schema = {"properties": {"a": {"$ref": "#/anyOf/0"}}, "anyOf": [{"type": ["integer", "object"]}, {"type": "null"}]}
    deep = json.loads("[" * 9 + "]" * 9)

    assert [(v.pointer, v.keyword) for v in check({"a": "x"}, schema)] == [("/a", "type")]
    assert [(v.pointer, v.keyword) for v in check({"a": deep}, schema)] == [("", "anyOf")]
