"""Explains why a schema cannot be used: by its meta-schema, else by what the compiler refused.

Slow and thorough; called only for schemas that the fast validator refused.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import jsonschema_rs

from common.schema.violations import MAX_VIOLATIONS, Json, Violation, brief, cut, to_pointer

_DEEPEST_SCHEMA: Final = 200
_TYPES: Final = ("array", "boolean", "integer", "null", "number", "object", "string")
_DRAFTS: Final[dict[type[jsonschema_rs.Validator], int]] = {
    jsonschema_rs.Draft4Validator: jsonschema_rs.Draft4,
    jsonschema_rs.Draft6Validator: jsonschema_rs.Draft6,
    jsonschema_rs.Draft7Validator: jsonschema_rs.Draft7,
    jsonschema_rs.Draft201909Validator: jsonschema_rs.Draft201909,
    jsonschema_rs.Draft202012Validator: jsonschema_rs.Draft202012,
}


def draft_number(schema: Json) -> int:
    """Return the validator's number for the draft that ``schema`` names, 2020-12 if it names none."""
    # The validator takes a text for a schema's JSON.
    return _DRAFTS[jsonschema_rs.validator_cls_for(schema if isinstance(schema, dict) else {})]


def explain(schema: Json, refusal: Exception) -> list[Violation]:
    """Return at least one violation saying why ``schema`` was refused; pointers go into the schema."""
    if not isinstance(schema, dict | bool):
        return [Violation("", "type", "must be an object or a boolean", ["object", "boolean"], brief(schema))]
    if isinstance(schema, dict) and not isinstance(schema.get("$schema", ""), str):
        return [
            Violation("/$schema", "type", "must be the URI of a draft, a string", "string", brief(schema["$schema"]))
        ]
    if _too_deep(schema):
        text = f"nests deeper than {_DEEPEST_SCHEMA}; name the inner parts in $defs"
        return [Violation("", "depth", text, _DEEPEST_SCHEMA)]
    return _against_meta_schema(schema) or [_refused(schema, refusal)]


def _against_meta_schema(schema: Json) -> list[Violation]:
    # Imported here: jsonschema costs tens of milliseconds and most processes never meet a faulty schema.
    from jsonschema.exceptions import best_match  # noqa: PLC0415
    from jsonschema.validators import Draft202012Validator, validator_for  # noqa: PLC0415

    meta = validator_for(schema, default=Draft202012Validator)
    try:
        errors = [best_match([e]) or e for e in islice(meta(meta.META_SCHEMA).iter_errors(schema), MAX_VIOLATIONS)]
    except RecursionError:
        return []
    return [
        Violation(
            pointer=to_pointer(list(error.absolute_path)),
            keyword=str(error.validator),
            message=_worded(list(error.absolute_path), error.message),
            expected=brief(error.validator_value),
            actual=brief(error.instance),
        )
        for error in errors
    ]


def _worded(path: list[str | int], message: str) -> str:
    if path[-1:] == ["type"] and path[-2:-1] != ["properties"]:
        # The meta-schema's own words are about the alternatives of an anyOf.
        return f"must be one of {', '.join(_TYPES)}, or a list of some of them"
    return cut(message, 200)


def _refused(schema: Json, refusal: Exception) -> Violation:
    """Locate what the compiler refused: a pattern, a reference, or the dialect."""
    reason = cut(str(getattr(refusal, "message", refusal)), 300)
    if isinstance(refusal, jsonschema_rs.ValidationError) and refusal.kind.name not in {
        "$ref",
        "referencing",
    }:
        pointer = to_pointer(refusal.instance_path)
        keyword = str(refusal.instance_path[-1]) if refusal.instance_path else refusal.kind.name
        if keyword == "pattern":
            reason = "is not a pattern that can be run: faulty, or far too large"
        return Violation(pointer, keyword, reason, actual=brief(refusal.instance))
    references = list(_references(schema, ""))
    for named in (_as_written, _resource, _fragment):
        for pointer, keyword, target in references:
            if (name := named(target)) and name in reason:
                advice = f"{cut(target)} is not known here, and nothing is fetched: bundle it, or mend the reference"
                return Violation(pointer, keyword, advice, expected="a bundled schema", actual=cut(target))
    return Violation("", "schema", reason)


def _as_written(target: str) -> str:
    return target.lstrip("#")


def _resource(target: str) -> str:
    return target.partition("#")[0]


def _fragment(target: str) -> str:
    return target.partition("#")[2]


def _references(node: Any, pointer: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            here = pointer + to_pointer([key])
            if key in {"$ref", "$dynamicRef", "$recursiveRef", "$schema"} and isinstance(value, str):
                yield here, key, value
            else:
                yield from _references(value, here)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _references(value, f"{pointer}/{index}")


def _too_deep(node: Json) -> bool:
    level = [node]
    for _ in range(_DEEPEST_SCHEMA):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True
