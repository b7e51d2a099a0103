"""Rewrites patterns that begin with flags, (?i)ab, as the group that ECMA 262 has for them, (?i:ab). Pure.

Many languages write them so and generated schemas hold them; their meaning is in no doubt. Drafts 4 to 7 have their
patterns checked to be ECMA 262, where flags at the beginning are a fault.
"""

import re
from typing import Final

from common.schema.keywords import VALUES
from common.schema.violations import Json

_FLAGS: Final = re.compile(r"\(\?([ims]+)\)")


def with_flags_in_groups(schema: Json) -> Json:
    """Return the schema, or a copy if it may hold a pattern that begins with flags."""
    return _copied(schema) if _holds_flags(schema) else schema


def _holds_flags(schema: Json) -> bool:
    open_parts = [schema]
    while open_parts:
        part = open_parts.pop()
        if isinstance(part, dict):
            open_parts += part.values()
            open_parts += part
        elif isinstance(part, list):
            open_parts += part
        elif isinstance(part, str) and _FLAGS.match(part):
            return True
    return False


def _copied(schema: Json) -> Json:
    if isinstance(schema, list):
        return [_copied(each) for each in schema]
    if isinstance(schema, dict):
        return {key: _rewritten(key, value) for key, value in schema.items()}
    return schema


def _rewritten(keyword: str, value: Json) -> Json:
    if keyword in VALUES:
        return value
    if keyword == "pattern" and isinstance(value, str):
        return _grouped(value)
    value = _copied(value)
    if keyword == "patternProperties" and isinstance(value, dict) and any(_FLAGS.match(pattern) for pattern in value):
        named = {_grouped(pattern): part for pattern, part in value.items()}
        return named if len(named) == len(value) else value
    return value


def _grouped(pattern: str) -> str:
    flags = _FLAGS.match(pattern)
    return f"(?{flags[1]}:{pattern[flags.end() :]})" if flags else pattern
