"""Tells which members an object's schema declares, where it can be told for certain that it declares no others. Pure.

A cut-off answer may be taken for whole only if nothing can be missing. So a keyword that is not known to be
harmless, at the schema or at a reference on the way to it, leaves it open what else there may be.
"""

from typing import Final

from common.schema import Json
from output_validation.guided import resolve_once

_MAX_REFERENCES: Final = 16
_ANNOTATIONS: Final = frozenset(
    {"$schema", "$id", "id", "$anchor", "$comment", "$defs", "definitions", "title", "description", "default"}
    | {"examples", "example", "nullable", "deprecated", "readOnly", "writeOnly"}
)
_REFERENCE: Final = _ANNOTATIONS | {"$ref"}
_OBJECT: Final = _ANNOTATIONS | {
    "type",
    "properties",
    "required",
    "additionalProperties",
    "minProperties",
    "maxProperties",
    "propertyNames",
}
_ARRAY: Final = _ANNOTATIONS | {
    "type",
    "items",
    "prefixItems",
    "additionalItems",
    "minItems",
    "maxItems",
    "uniqueItems",
}


def plain(schema: Json, root: Json) -> dict[str, Json] | None:
    """Return the schema of an object or array behind its references, if it stands for itself; else None."""
    for _ in range(_MAX_REFERENCES):
        if not isinstance(schema, dict) or (schema is not root and not schema.keys().isdisjoint(("$id", "id"))):
            return None  # references in a part with a name of its own do not start from the root
        if "$ref" not in schema:
            is_plain = schema.keys() <= _OBJECT or schema.keys() <= _ARRAY
            return schema if is_plain and not isinstance(schema.get("additionalProperties"), dict) else None
        if not schema.keys() <= _REFERENCE:
            return None
        schema = resolve_once(schema, root)
    return None


def members(schema: dict[str, Json]) -> dict[str, Json]:
    """Return the members that an object's schema names."""
    declared = schema.get("properties")
    return declared if isinstance(declared, dict) else {}


def item(schema: dict[str, Json], number: int) -> Json:
    """Return the schema of an array's item, counted from 0: its own, or that of the rest."""
    firsts, rest = schema.get("prefixItems"), schema.get("items")
    if isinstance(rest, list):
        # So it was up to draft 2019-09.
        firsts, rest = rest, schema.get("additionalItems")
    return firsts[number] if isinstance(firsts, list) and number < len(firsts) else rest
