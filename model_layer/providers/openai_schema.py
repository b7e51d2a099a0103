"""Which JSON Schemas OpenAI's strict mode accepts, and how to word them for it. Pure.

Only keywords that merely narrow are dropped (our validator judges them); a schema that would change its
meaning has no strict form, and is sent unstrict.
"""

from collections.abc import Mapping
from typing import Any

_KEPT = frozenset(
    {
        *("type", "enum", "const", "anyOf", "$ref", "$defs", "description", "title"),
        *("properties", "required", "additionalProperties", "items", "minItems", "maxItems"),
        *("multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "pattern", "format"),
    }
)
_DROPPED = frozenset({"$schema", "$id", "$comment", "default", "examples", "minLength", "maxLength", "uniqueItems"})
_MAX_LEVELS = 10
_MAX_PROPERTIES = 5_000
_MAX_ENUM_VALUES = 1_000


class _UnfitError(Exception):
    """Not in the strict subset."""


class _Counts:
    def __init__(self) -> None:
        self.properties = 0
        self.enum_values = 0


def strict_form(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schema as strict mode takes it, or None where it has no such form."""
    if schema.get("type") != "object" or "anyOf" in schema:
        return None
    try:
        return _converted(schema, 1, _Counts())
    except _UnfitError:
        return None


def _converted(schema: object, level: int, counts: _Counts) -> dict[str, Any]:
    if not isinstance(schema, Mapping) or level > _MAX_LEVELS:
        raise _UnfitError
    converted: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword in _DROPPED:
            continue
        if keyword not in _KEPT:
            raise _UnfitError
        converted[keyword] = _value(keyword, value, level, counts)
    types = converted.get("type")
    if types == "object" or (isinstance(types, list) and "object" in types) or "properties" in converted:
        names = converted.get("properties", {}).keys()
        if converted.get("additionalProperties") is not False or set(converted.get("required", ())) != set(names):
            raise _UnfitError
    return converted


def _value(keyword: str, value: Any, level: int, counts: _Counts) -> Any:
    if keyword in {"properties", "$defs"}:
        counts.properties += len(value) if keyword == "properties" else 0
        if counts.properties > _MAX_PROPERTIES:
            raise _UnfitError
        return {name: _converted(each, level + 1, counts) for name, each in value.items()}
    if keyword == "anyOf":
        return [_converted(each, level + 1, counts) for each in value]
    if keyword == "items":
        return _converted(value, level + 1, counts)
    if keyword == "enum":
        counts.enum_values += len(value)
        if counts.enum_values > _MAX_ENUM_VALUES:
            raise _UnfitError
    return value
