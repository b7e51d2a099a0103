"""Bounds what a check may cost where it does not grow with the instance alone: says which instances are too much. Pure.

Look-around and back-references take the square of a string; comparing items takes the square of how many numbers are
one and the same double; references multiply. Schemas without such things are not concerned, and others only where an
instance is large.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

from common.schema.strict_json import dump_json, has_long_numbers
from common.schema.violations import Json, Violation, json_type

_MOST_STEPS: Final = 100_000_000
"""The squares of the lengths of an instance's strings, summed: about a tenth of a second for one pattern."""

_MOST_COMPARISONS: Final = 250_000
"""Of integers that one double stands for, with one another: about half a second."""

_FEW_QUESTIONS: Final = 1_000
_MOST_QUESTIONS: Final = 300_000_000
"""Asked by the schema of one value, times the instance's values: seconds."""

_LARGEST_EXACT: Final = 1 << 53
_BACKTRACKS: Final = re.compile(r"\(\?<?[=!]|\\[1-9]|\\k<")
_TOO_LONG: Final = "holds strings too long to be matched against a pattern with look-around or back-references"
_TOO_ALIKE: Final = "holds too many integers beyond 2^53 that differ in their last digits to be told from one another"
_TOO_MUCH: Final = "holds too many values for a schema whose parts refer to one another in so many ways"

Guard: TypeAlias = Callable[[Json], Violation | None]
"""Says why an instance is too much to be checked, if it is."""


def guards(schema: Json, questions: float) -> tuple[Guard, ...]:
    """Return what an instance has to pass before it is checked; ``questions``: the schema's weight."""
    looks_around, compares = _traits(schema)
    found: list[Guard] = []
    if looks_around:
        found.append(_long_strings)
    if compares:
        found.append(_alike_numbers)
    if questions > _FEW_QUESTIONS:
        found.append(lambda instance: _many_values(instance, _MOST_QUESTIONS // int(questions)))
    return tuple(found)


def count_values(instance: Json, most: int) -> int:
    """Return how many values an instance holds, itself among them; of more than ``most``, some number beyond it."""
    count = 0
    for _ in _values(instance):
        count += 1
        if count > most:
            break
    return count


def _traits(schema: Json) -> tuple[bool, bool]:
    """Return whether a schema has a pattern with look-around or a back-reference, and whether it compares items."""
    looks_around = compares = False
    for part in _values(schema):
        if isinstance(part, dict):
            named = part.get("patternProperties")
            patterns = [part.get("pattern"), *(named if isinstance(named, dict) else ())]
            looks_around = looks_around or any(isinstance(p, str) and _BACKTRACKS.search(p) for p in patterns)
            compares = compares or part.get("uniqueItems") is True
    return looks_around, compares


def _long_strings(instance: Json) -> Violation | None:
    steps_left = _MOST_STEPS
    for part in _values(instance):
        if isinstance(part, str):
            steps_left -= len(part) ** 2
        elif isinstance(part, dict):
            steps_left -= sum(len(key) ** 2 for key in part)
        if steps_left < 0:
            return Violation("", "pattern", _TOO_LONG, expected="shorter strings", actual=json_type(instance))
    return None


def _alike_numbers(instance: Json) -> Violation | None:
    if not has_long_numbers(dump_json(instance)):
        return None
    large = {part for part in _values(instance) if isinstance(part, int) and abs(part) > _LARGEST_EXACT}
    alike = Counter(map(_as_double, large))
    if sum(count**2 for count in alike.values() if count > 1) <= _MOST_COMPARISONS:
        return None
    return Violation("", "uniqueItems", _TOO_ALIKE, expected="fewer of them", actual=json_type(instance))


def _as_double(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def _many_values(instance: Json, most: int) -> Violation | None:
    if count_values(instance, most) <= most:
        return None
    return Violation("", "maxItems", _TOO_MUCH, expected=f"at most {most} values", actual=json_type(instance))


def _values(instance: Json) -> Iterator[Json]:
    open_parts: list[Any] = [instance]
    while open_parts:
        part = open_parts.pop()
        yield part
        if isinstance(part, dict):
            open_parts += part.values()
        elif isinstance(part, list | tuple):
            open_parts += part
