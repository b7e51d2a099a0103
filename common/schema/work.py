"""Bounds what a check may cost where it does not grow with the instance alone: says which instances are too much. Pure.

Patterns may take many steps for each character, those with look-around or back-references the square of a string;
comparing items takes the square of how many numbers are one and the same double; alternatives and references multiply.
Schemas without such things are not concerned, and others only where an instance is large.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from common.schema.pattern_reach import PatternReach
from common.schema.pattern_steps import PatternSteps
from common.schema.strict_json import dump_json, has_long_numbers
from common.schema.violations import Json, Violation, json_type

_MOST_STEPS: Final = 50_000_000
"""Of all patterns, with all strings that they apply to: half a second, twice where a fault is then told."""

_FEW_PLACES: Final = 20
"""A pattern that follows so many at once is quick with any string."""

_MOST_COMPARISONS: Final = 250_000
"""Of integers that one double stands for, with one another, in all lists: about half a second."""

_FEW_QUESTIONS: Final = 1_000
_MOST_QUESTIONS: Final = 10_000_000
"""Asked by the schema of one value, times the instance's values: at most a second or two."""

_LARGEST_EXACT: Final = 1 << 53
_TOO_LONG: Final = "holds strings too long for patterns with look-around, back-references or repeats within repeats"
_TOO_ALIKE: Final = "holds too many integers beyond 2^53 that differ in their last digits to be told from one another"
_TOO_MUCH: Final = "holds too many values for a schema that asks so much of each, by alternatives or references"

Guard: TypeAlias = Callable[[Json], Violation | None]
"""Says why an instance is too much to be checked, if it is."""


def guards(schema: Json, resources: Mapping[str, Json], questions: float) -> tuple[Guard, ...]:
    """Return what an instance has to pass before it is checked; ``questions``: the schema's weight."""
    has_patterns, compares = _traits((schema, resources))
    found: list[Guard] = []
    if has_patterns:
        times = int(questions) if questions > _FEW_QUESTIONS else 1
        steps = PatternSteps(PatternReach(schema, resources), _FEW_PLACES, times)
        if steps.are_counted:
            found.append(lambda instance: _long_strings(instance, steps, int(questions)))
    if compares:
        found.append(_alike_numbers)
    if questions > _FEW_QUESTIONS:
        found.append(lambda instance: _many_values(instance, _MOST_QUESTIONS // int(questions)))
    return tuple(found)


def count_values(instance: Json, most: int) -> int:
    """Return how many values an instance holds, itself among them; of more than ``most``, some number beyond it."""
    count = 0
    for _ in values(instance):
        count += 1
        if count > most:
            break
    return count


def _traits(schema: Json) -> tuple[bool, bool]:
    """Return whether a schema may have patterns, and whether it compares items."""
    has_patterns = compares = False
    for part in values(schema):
        if isinstance(part, dict):
            has_patterns = has_patterns or "pattern" in part or "patternProperties" in part
            compares = compares or part.get("uniqueItems") is True
    return has_patterns, compares


def _long_strings(instance: Json, steps: PatternSteps, times: int) -> Violation | None:
    if steps.at_most(len(dump_json(instance))) * times <= _MOST_STEPS or not steps.exceed(instance, _MOST_STEPS):
        return None
    return Violation("", "pattern", _TOO_LONG, expected="shorter strings", actual=json_type(instance))


def _alike_numbers(instance: Json) -> Violation | None:
    if not has_long_numbers(dump_json(instance)):
        return None
    comparisons = 0
    for numbers in _large_numbers(instance, []):
        alike = Counter(map(_as_double, numbers))
        comparisons += sum(count**2 for count in alike.values() if count > 1)
        if comparisons > _MOST_COMPARISONS:
            break
    else:
        return None
    return Violation("", "uniqueItems", _TOO_ALIKE, expected="fewer of them", actual=json_type(instance))


def _large_numbers(part: Json, found: list[int]) -> Iterator[set[int]]:
    """Yield for each list those that it holds, also deeper down; add all of them to ``found``."""
    if isinstance(part, dict):
        for each in part.values():
            yield from _large_numbers(each, found)
    elif isinstance(part, list | tuple):
        own: list[int] = []
        for each in part:
            # Most items are numbers or strings: to ask each of them for its lists takes twice as long.
            if isinstance(each, dict | list | tuple):
                yield from _large_numbers(each, own)
            elif isinstance(each, int) and abs(each) > _LARGEST_EXACT:
                own.append(each)
        distinct = set(own)
        if len(part) > 1 and len(distinct) > 1:
            yield distinct
        found += distinct
    elif isinstance(part, int) and abs(part) > _LARGEST_EXACT:
        found.append(part)


def _as_double(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def _many_values(instance: Json, most: int) -> Violation | None:
    if count_values(instance, most) <= most:
        return None
    return Violation("", "maxItems", _TOO_MUCH, expected=f"at most {most} values", actual=json_type(instance))


def values(instance: Json) -> Iterator[Json]:
    """Yield an instance and all values in it."""
    open_parts: list[Any] = [instance]
    while open_parts:
        part = open_parts.pop()
        yield part
        if isinstance(part, dict):
            open_parts += part.values()
        elif isinstance(part, list | tuple):
            open_parts += part
