"""Estimates the memory that a compiled schema takes, before it is compiled. Pure; measured figures, rather too high."""

from collections.abc import Mapping
from typing import Final

from common.schema.pattern_cost import pattern_cost
from common.schema.pattern_reach import PatternReach
from common.schema.violations import Json, Violation, cut, to_pointer

MOST_BYTES: Final = 256 << 20
_MOST_PATTERN_BYTES: Final = 128 << 20
_BYTES_OF: Final = {"{": 3_000, "[": 500, ",": 200}
_COPIES_OF_TEXT: Final = 6
_TOO_LARGE: Final = "is too large to be compiled: give fewer objects and alternatives"
_PATTERNS_TOO_LARGE: Final = (
    "with the patterns before it takes too much memory: repeat classes, above all of Unicode, less"
)


def footprint(text: str, schema: Json, resources: Mapping[str, Json]) -> int | Violation:
    """Return the bytes that a schema will take, or why it may not; ``text``: it and its resources written as JSON."""
    size = _COPIES_OF_TEXT * len(text) + sum(text.count(mark) * each for mark, each in _BYTES_OF.items())
    if size > MOST_BYTES:
        return Violation("", "schema", _TOO_LARGE, expected="a schema of some ten thousand parts")
    if '"pattern' not in text:
        return size
    patterns: set[str] = set()
    pattern_bytes = 0
    for part, keyword, pattern in PatternReach(schema, resources).patterns():
        # The validator compiles what is the same once.
        if pattern in patterns:
            continue
        patterns.add(pattern)
        pattern_bytes += pattern_cost(pattern).size_bytes
        if pattern_bytes > _MOST_PATTERN_BYTES and len(patterns) > 1:
            at = to_pointer([*_path_to(schema, part), keyword])
            return Violation(at, keyword, _PATTERNS_TOO_LARGE, expected="smaller patterns", actual=cut(pattern))
    return size + pattern_bytes


def _path_to(schema: Json, part: Json) -> list[str | int]:
    """Return where in a schema the very part stands; the root's path if it is in none, but among the resources."""
    waiting: list[tuple[Json, list[str | int]]] = [(schema, [])]
    while waiting:
        node, path = waiting.pop()
        if node is part:
            return path
        if isinstance(node, dict):
            waiting += [(each, [*path, key]) for key, each in node.items() if isinstance(each, dict | list)]
        elif isinstance(node, list):
            waiting += [(each, [*path, at]) for at, each in enumerate(node) if isinstance(each, dict | list)]
    return []
