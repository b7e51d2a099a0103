"""The smallest JSON text that satisfies a JSON Schema, for the scripted provider. Pure.

Covers what output schemas use (types, enum, const, bounds, required, items, local $ref, anyOf/oneOf/allOf,
common formats); patterns only where a run of one letter or digit matches. Each sample is checked against
the full schema: a schema out of reach is refused, never answered wrongly.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import jsonschema_rs
import orjson

from common.errors import ProviderError, ProviderErrorKind
from common.schema.references import RootReferences

_MAX_DEPTH = 32
_LONGEST_TRIED = 40

_FORMATS = {
    "date": "2000-01-01",
    "date-time": "2000-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "PT0S",
    "email": "a@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uri-reference": "/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def sample_text(schema: Mapping[str, Any]) -> str:
    """The sample as JSON text. ProviderError(invalid_request) if none was found."""
    sample = minimal_instance(schema)
    if not jsonschema_rs.is_valid(dict(schema), sample):
        raise ProviderError(
            ProviderErrorKind.INVALID_REQUEST,
            "the scripted provider found no sample for this schema; give the deployment an `output`",
            sent=False,
            retryable=False,
        )
    return orjson.dumps(sample).decode()


def minimal_instance(schema: Mapping[str, Any]) -> Any:
    """A small instance; valid wherever the schema uses only what the module covers."""
    return _instance(schema, schema, 0)


def _instance(schema: Any, root: Mapping[str, Any], depth: int) -> Any:
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return None
    schema = _flattened(schema, root, depth)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for union in ("anyOf", "oneOf"):
        if schema.get(union):
            rest = {key: value for key, value in schema.items() if key != union}
            return _instance({"allOf": [rest, schema[union][0]]}, root, depth + 1)
    return _typed(schema, root, depth)


def _typed(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "null")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        properties = schema.get("properties", {})
        names = schema.get("required", ())
        return {name: _instance(properties.get(name, {}), root, depth + 1) for name in names}
    if kind == "array":
        return _array(schema, root, depth)
    if kind == "string":
        return _string(schema)
    if kind in {"integer", "number"}:
        return _number(schema, whole=kind == "integer")
    return False if kind == "boolean" else None


def _string(schema: Mapping[str, Any]) -> str:
    text = _FORMATS.get(schema.get("format", ""), "")
    least = int(schema.get("minLength", 0))
    padded = text + "x" * max(0, least - len(text))
    pattern = schema.get("pattern")
    if pattern is None:
        return padded
    for length in range(least, least + _LONGEST_TRIED):
        for filling in "axA01":
            if re.search(str(pattern), filling * length):
                return filling * length
    return padded


def _flattened(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Mapping[str, Any]:
    """The schema with its local $ref and its allOf merged in."""
    parts: list[Any] = [*schema.get("allOf", ())]
    if "$ref" in schema:
        parts.append(_resolve(schema["$ref"], root))
    if not parts or depth > _MAX_DEPTH:
        return schema
    merged: dict[str, Any] = {key: value for key, value in schema.items() if key not in {"allOf", "$ref"}}
    for part in parts:
        if not isinstance(part, Mapping):
            continue
        for key, value in _flattened(part, root, depth + 1).items():
            if key == "properties":
                merged[key] = {**value, **merged.get(key, {})}
            elif key == "required":
                merged[key] = list(dict.fromkeys([*merged.get(key, ()), *value]))
            else:
                merged.setdefault(key, value)
    return merged


def _resolve(reference: object, root: Mapping[str, Any]) -> Any:
    found = RootReferences(root).target(reference) if isinstance(reference, str) else None
    return {} if found is None else found


def _array(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> list[Any]:
    prefix = schema.get("prefixItems", ())
    items = schema.get("items", {})
    count = schema.get("minItems", 0)
    found = [_instance(prefix[index] if index < len(prefix) else items, root, depth + 1) for index in range(count)]
    if schema.get("uniqueItems") and count > 1:
        return _distinct(items, root, found)
    return found


def _distinct(items: Any, root: Mapping[str, Any], found: list[Any]) -> list[Any]:
    items = _flattened(items, root, 0) if isinstance(items, Mapping) else {}
    choices = items.get("enum", ())
    if len(choices) >= len(found):
        return list(choices[: len(found)])
    if isinstance(found[0], str):
        return [f"{text}{index}" for index, text in enumerate(found)]
    if isinstance(found[0], int | float) and not isinstance(found[0], bool):
        return [number + index for index, number in enumerate(found)]
    return found


def _number(schema: Mapping[str, Any], *, whole: bool) -> Any:
    step = schema.get("multipleOf", 1 if whole else None)
    least, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    most, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    floor = max((bound for bound in (least, above) if bound is not None), default=-math.inf)
    ceiling = min((bound for bound in (most, below) if bound is not None), default=math.inf)
    if floor < 0 < ceiling or (floor <= 0 <= ceiling and 0 not in {above, below}):
        return 0
    start = floor if floor > -math.inf else ceiling
    if step:
        candidate = (math.ceil if floor > -math.inf else math.floor)(start / step) * step
        if candidate in {above, below}:
            candidate += step if floor > -math.inf else -step
        return candidate
    if start not in {above, below}:
        return float(start)
    if ceiling < math.inf and floor > -math.inf:
        return (floor + ceiling) / 2
    return float(start + 1 if floor > -math.inf else start - 1)
