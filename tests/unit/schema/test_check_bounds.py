"""What a check costs is bounded: references and alternatives that multiply, patterns, faults, memory."""

import json
import resource
from typing import Any

import pytest

from common.errors import SchemaError
from common.schema import Violation, check, check_schema


def only(violations: list[Violation]) -> Violation:
    assert len(violations) == 1
    return violations[0]


def _doubling(keyword: str, times: int) -> dict[str, Any]:
    definitions: dict[str, Any] = {
        f"d{n}": {keyword: [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]} for n in range(times)
    }
    return {"$defs": {**definitions, f"d{times}": {"type": "integer"}}, "$ref": "#/$defs/d0"}


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf"])
def test_references_that_multiply_one_another_are_refused(keyword: str) -> None:
    assert only(check_schema(_doubling(keyword, 60))).keyword == "$ref"
    with pytest.raises(SchemaError, match="multiply"):
        check(1, _doubling(keyword, 60))
    assert check_schema({**_doubling(keyword, 60), "$ref": "#/$defs/d55"}) == []


@pytest.mark.parametrize(
    ("schema", "instance"),
    [
        ({"items": {"required": [f"m{n}" for n in range(20)]}}, [{}] * 10_000),
        ({"anyOf": [{"items": {"required": [f"m{n}" for n in range(20)]}}]}, [{}] * 10_000),
        ({"required": [f"m{n}" for n in range(20_000)]}, {"a": "x" * 30_000}),
        (_doubling("allOf", 16), "x"),
        (
            {"type": "object", "allOf": [{"properties": {"a": {"$ref": "#"}}}] * 2},
            json.loads('{"a":' * 40 + "1" + "}" * 40),
        ),
    ],
)
def test_of_too_many_faults_the_first_is_told(schema: Any, instance: Any) -> None:
    only(check(instance, schema))


def test_faults_that_do_not_grow_with_the_depth_are_all_told() -> None:
    value = {"anyOf": [{"type": "object", "additionalProperties": {"$ref": "#"}}, {"items": {"$ref": "#"}}]}
    tree = {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}, "n": {"type": "integer"}}, "required": ["n"]}

    assert check([[{"a": [1]}]], value) == []
    assert len(check({"left": {"left": {}, "right": {"n": "x"}}, "right": {}}, tree)) == 5


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        ({"allOf": [{"pattern": rf"\p{{L}}{{20}}\d{{{n}}}"} for n in range(1_000)]}, "/allOf/"),
        (
            {
                "$defs": {"a/b": {"patternProperties": {rf"\p{{L}}{{200}}{n}": {} for n in range(9)}}},
                "$ref": "#/$defs/a~1b",
            },
            "/$defs/a~1b/",
        ),
        ({"enum": [{"a": n, "b": [n]} for n in range(100_000)]}, ""),
    ],
)
def test_a_schema_that_takes_hundreds_of_megabytes_is_refused(schema: Any, pointer: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    violation = only(check_schema(schema))

    assert violation.pointer.startswith(pointer)
    assert "memory" in violation.message or "too large" in violation.message
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000  # KiB


def test_a_repeated_pattern_takes_its_memory_once_and_unused_ones_take_none() -> None:
    again = {"properties": {f"p{n}": {"pattern": r"^\p{L}{1,200}$"} for n in range(100)}}
    unused = {"$defs": {f"p{n}": {"pattern": rf"^\p{{L}}{{1,200}}{n}$"} for n in range(100)}}

    assert check({"p1": "a", "p2": "b"}, again) == []
    assert check({}, unused) == []


@pytest.mark.parametrize("start", [10**30, 1 << 62])
def test_integers_that_are_alike_as_doubles_cannot_stall(start: int) -> None:
    schema = {"items": {"uniqueItems": True}}

    assert check([[start + n for n in range(300)]], schema) == []
    assert only(check([[start + n for n in range(20_000)]], schema)).keyword == "uniqueItems"
    assert check([[start + n * (1 << 80) for n in range(20_000)]], schema) == []
    assert check([[start] for _ in range(20_000)], schema) == []
    assert check([[start + n for n in range(3)] for _ in range(20_000)], schema) == []
    assert only(check([[start + n for n in range(490)] for _ in range(100)], schema)).keyword == "uniqueItems"
    assert only(check([[[start + n] for n in range(20_000)]], schema)).keyword == "uniqueItems"


def test_the_faults_of_many_alternatives_take_no_memory_by_the_gigabyte() -> None:
    schema = {"anyOf": [{"maxLength": n} for n in range(1, 3_000)]}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    (violation,) = check("x" * 30_000, schema)

    assert violation.keyword == "anyOf"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000  # KiB
