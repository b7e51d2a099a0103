"""Bounds the work of patterns that no linear engine runs: look-around and back-references cost the square of a string.

Pure. A schema without such patterns is not concerned.
"""

import re
from typing import Any, Final

from common.schema.violations import Json

_MOST_STEPS: Final = 100_000_000
"""The squares of the lengths of an instance's strings, summed: about a tenth of a second for one pattern."""

_BACKTRACKS: Final = re.compile(r"\(\?<?[=!]|\\[1-9]|\\k<")


def looks_around(schema: Json) -> bool:
    """Return whether a schema has a pattern with look-around or a back-reference."""
    open_parts: list[Any] = [schema]
    while open_parts:
        part = open_parts.pop()
        if isinstance(part, dict):
            patterns = [part.get("pattern"), *_keys(part.get("patternProperties"))]
            if any(isinstance(pattern, str) and _BACKTRACKS.search(pattern) for pattern in patterns):
                return True
            open_parts += part.values()
        elif isinstance(part, list | tuple):
            open_parts += part
    return False


def within_pattern_work(instance: Json) -> bool:
    """Return whether the strings of an instance are short enough for such patterns."""
    steps_left = _MOST_STEPS
    open_parts: list[Any] = [instance]
    while open_parts and steps_left >= 0:
        part = open_parts.pop()
        if isinstance(part, str):
            steps_left -= len(part) ** 2
        elif isinstance(part, dict):
            open_parts += part.values()
            open_parts += part
        elif isinstance(part, list):
            open_parts += part
    return steps_left >= 0


def _keys(value: Json) -> list[Json]:
    return list(value) if isinstance(value, dict) else []
