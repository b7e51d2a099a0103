"""What a pattern may cost is told from its text, and counted only where the pattern applies."""

import time
from collections.abc import Callable
from functools import reduce
from typing import Any

import pytest

from common.schema import Violation, check, compile_schema, pattern_steps
from common.schema.pattern_cost import _known_cost, pattern_cost
from common.schema.pattern_reach import PatternReach
from common.schema.pattern_steps import PatternSteps


def only(violations: list[Violation]) -> Violation:
    assert len(violations) == 1
    return violations[0]


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[\w.+-]{1,64}@[\w.-]{1,255}$",
        r"^\p{L}{1,200}$",
        r"^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
        r"^\d{4}-\d{2}-\d{2}$",
        r"^[A-Za-z0-9+/]{1,8192}={0,2}$",
        r"^-?\d{1,18}(\.\d{1,2})?$",
        r"^https?://[^\s/$.?#].[^\s]*$",
    ],
)
def test_honest_patterns_are_checked_by_the_validator_alone(pattern: str) -> None:
    compiled = compile_schema({"type": "string", "pattern": pattern})

    assert pattern_cost(pattern).places <= 20
    assert compiled.is_valid == compiled._validator.is_valid


@pytest.mark.parametrize(
    ("pattern", "places"),
    [
        ("(a{1,500}){1,20}b", 10_001),
        ("a{1,500}b", 501),
        ("^a{1,500}b{1,500}", 2),
        ("^a{1,500}b?a{1,500}", 502),
        ("(?m)^a{1,500}", 500),
        ("(?x)^a{1,500} a{1,500}", 1_001),
        ("^(a|ab){1,500}b", 1_501),
        (r"^[ab]{1,500}\x61{1,500}", 501),
        ("^(?=a{1,9}b)a{1,500}", 3),
    ],
)
def test_places_are_counted_where_a_text_can_be_read_in_many_ways(pattern: str, places: int) -> None:
    assert pattern_cost(pattern).places == places


@pytest.mark.parametrize("pattern", ["a*+b", "(?>a*)b", "(?=a)", "(?<!a)b", r"(a)\1", r"(?<x>a)\k<x>", "a{2}+b"])
def test_these_go_to_the_backtracking_engine(pattern: str) -> None:
    assert pattern_cost(pattern).backtracks


@pytest.mark.parametrize("pattern", [r"^\\1$", r"[(?=]", r"\(?=a", "(?:a)", "(?i:a)", "(?<x>a)", "a+?", "a{2}?"])
def test_these_do_not(pattern: str) -> None:
    assert not pattern_cost(pattern).backtracks


@pytest.mark.parametrize(
    ("instance", "schema"),
    [
        ("a" * 100_000, {"pattern": "(a{1,500}){1,20}b"}),
        ("a" * 2_000, {"pattern": "(?!x)(a{1,500}){1,20}b"}),
        ("a" * 10_000 + "!", {"allOf": [{"pattern": f"(?!x)a*b{n}"} for n in range(20)]}),
        ("a" * 100_000, {"pattern": "a*+b"}),
        ({"a" * 30_000: 1}, {"propertyNames": {"pattern": "(?!x)a*b"}}),
        ({"a" * 30_000: 1}, {"patternProperties": {"(?!x)a*b": False}, "minProperties": 2}),
        (["a" * 30_000], {"pattern": "(?!x)a*b", "items": {"$ref": "#"}}),
        (["a" * 30_000], {"$dynamicAnchor": "n", "pattern": "(?!x)a*b", "items": {"$dynamicRef": "#n"}}),
    ],
)
def test_no_pattern_takes_long(instance: Any, schema: Any) -> None:
    start = time.perf_counter()

    assert check(instance, schema) != []
    assert time.perf_counter() - start < 2


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "pattern",
    ["(?<a" * 125_000, r"\k<a" * 125_000, r"\p{a" * 125_000, r"\x{a" * 125_000, "a{1," + " " * 500_000 + "x"],
    ids=["name", "back-reference", "property", "character", "repeat"],
)
def test_what_a_pattern_does_not_close_is_read_once(pattern: str) -> None:
    assert pattern_cost(pattern).places > 1


def test_long_patterns_are_not_kept() -> None:
    before = _known_cost.cache_info().currsize

    pattern_cost("a long one" * 500)
    assert _known_cost.cache_info().currsize == before


def test_a_pattern_that_is_asked_in_many_ways_counts_as_often() -> None:
    doubled: dict[str, Any] = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(9)}
    schema = {"$defs": {**doubled, "d9": {"pattern": "(a{1,500}){1,20}b|a"}}, "$ref": "#/$defs/d0"}

    assert check("a", schema) == []
    assert only(check("a" * 1_000, schema)).message.startswith("holds strings too long")


class _Interrupted(dict[str, Any]):
    """An object of which another thread's count comes between the members."""

    count: Callable[[], object] = bool

    def items(self) -> Any:
        self.count()
        return super().items()


def test_a_thread_does_not_prolong_what_another_finds_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pattern_steps, "_MOST_LOOKED_AT", 50)
    costly = {"pattern": "(a{1,500}){1,20}b"}
    places = {f"p{n}": {"properties": {"code": costly, f"m{n + 1}": {"$ref": f"#/$defs/p{n + 1}"}}} for n in range(99)}
    reach = PatternReach({"$ref": "#/$defs/p0", "$defs": {**places, "p99": costly}}, {})
    shallow, deep = (
        reduce(lambda value, n: _Interrupted({f"m{n}": value}), range(depth, 0, -1), _Interrupted(body="a" * 9_000))
        for depth in (5, 60)
    )

    steps = PatternSteps(reach, few_places=20, times=1)
    assert not steps.exceed(shallow, 50_000_000)
    monkeypatch.setattr(_Interrupted, "count", lambda _: steps.exceed("a", 1))
    assert steps.exceed(deep, 50_000_000)


_LONG = "x" * 40_000
_COSTLY: Any = {"pattern": "^(?=a)ab$"}


@pytest.mark.parametrize(
    ("instance", "schema"),
    [
        ({"body": _LONG, "code": "ab"}, {"properties": {"code": _COSTLY, "body": {"type": "string"}}}),
        (
            [{"body": _LONG, "code": "ab"}],
            {"items": {"$ref": "#/$defs/x"}, "$defs": {"x": {"properties": {"code": _COSTLY}}}},
        ),
        ({"body": _LONG, "a": "ab"}, {"properties": {"body": {}}, "additionalProperties": _COSTLY}),
        ({"body": [_LONG], "a": "ab"}, {"additionalProperties": {"anyOf": [{"type": "array"}, _COSTLY]}}),
        (["ab", _LONG], {"prefixItems": [_COSTLY, {"type": "string"}]}),
        (_LONG, {"$defs": {"unused": _COSTLY}}),
        (_LONG, {"default": {"pattern": "(?=x)"}}),
        (_LONG, {"enum": [{"pattern": "(?=x)"}, _LONG]}),
        (_LONG, {"pattern": r"^\\1$|x"}),
        ({"pattern": _LONG}, {"properties": {"pattern": {"type": "string"}}, "required": ["pattern"]}),
    ],
)
def test_a_costly_pattern_says_nothing_of_strings_that_it_does_not_apply_to(instance: Any, schema: Any) -> None:
    assert check(instance, schema) == []
