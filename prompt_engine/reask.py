"""Words a re-ask: what to change, in imperatives with JSON Pointers, in few tokens. Pure.

The previous answer is repeated so that the model corrects it instead of starting anew; a long one is cut in
the middle, and only the first few faults are named: the rest usually goes with them. Each is one line and bounded,
whatever names the model has given to its members.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from common.contracts import PromptPart
from common.schema import Json, Violation, dump_json
from common.schema.nulls import target
from common.schema.violations import cut

MAX_PREVIOUS_CHARS: Final = 4000
MAX_FAULTS: Final = 12
_MAX_SCHEMA_CHARS: Final = 600
_MAX_POINTER_CHARS: Final = 200
_MOST_REFERENCES: Final = 20
_TAKEN_FROM_SCHEMA: Final = frozenset({"enum", "const", "pattern"})
_NAMING: Final = frozenset({"additionalProperties", "unevaluatedProperties", "unevaluatedItems"})
"""Keywords whose violation names what is to be removed."""

_BREAKS: Final = {ord(sign): json.dumps(sign)[1:-1] for sign in "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"}
"""What begins a new line somewhere, and how JSON writes it."""

_IMPERATIVES: Final[dict[str, str]] = {
    "type": "make it of type {expected}",
    "required": "add the member {expected}",
    "enum": "use one of {expected}",
    "const": "write {expected}",
    "format": "write a valid {expected}",
    "pattern": "match the pattern {expected}",
    "maxLength": "shorten it to at most {expected} characters",
    "minLength": "write at least {expected} characters",
    "maxItems": "keep at most {expected} items",
    "minItems": "give at least {expected} items",
    "maxProperties": "keep at most {expected} members",
    "minProperties": "give at least {expected} members",
    "maximum": "use a number of at most {expected}",
    "minimum": "use a number of at least {expected}",
    "exclusiveMaximum": "use a number below {expected}",
    "exclusiveMinimum": "use a number above {expected}",
    "multipleOf": "use a multiple of {expected}",
    "additionalProperties": "remove {actual}",
    "unevaluatedProperties": "remove {actual}",
    "unevaluatedItems": "remove {actual}",
    "falseSchema": "remove it",
    "uniqueItems": "remove equal items",
    "duplicate-key": "write each key once",
    "truncated": "your answer was cut off before its end; write less",
    "ambiguous": "send one JSON value, not several",
}


def word_reask(violations: Sequence[Violation], previous_answer: str, schema: Json) -> list[PromptPart]:
    """Return the messages that continue the conversation: the answer as it was, then what to change."""
    lines = [f"- {_line(violation, schema).translate(_BREAKS)}" for violation in violations[:MAX_FAULTS]]
    if len(violations) > MAX_FAULTS:
        lines.append(f"- and {len(violations) - MAX_FAULTS} more faults of this kind")
    text = "\n".join(("Correct your answer:", *lines, f"Then send the whole {_noun(schema)} again, and nothing else."))
    request = PromptPart(role="user", content=text)
    if not previous_answer.strip():
        return [request]
    return [PromptPart(role="assistant", content=_cut_middle(previous_answer)), request]


def _line(violation: Violation, schema: Json) -> str:
    pointer = f"{cut(violation.pointer, _MAX_POINTER_CHARS)}: " if violation.pointer else ""
    node = _node(schema, violation.pointer)
    if (imperative := _imperative(violation, node)) is not None:
        return pointer + imperative
    if violation.keyword == "json":
        return f"send one {_noun(schema)}{_members(schema)} ({violation.message})"
    if violation.keyword == "check":
        return pointer + violation.message
    if violation.keyword in _NAMING:
        return pointer + violation.message.replace("must not have these", "remove these", 1)
    part = _short(node)
    return f"{pointer}{violation.message}{'; it must satisfy ' + part if part else ''}"


def _imperative(violation: Violation, node: Json) -> str | None:
    """Return what to do; None where that cannot be said from the violation, which describes what is long."""
    imperative = _IMPERATIVES.get(violation.keyword)
    expected, actual = violation.expected, violation.actual
    if imperative is None or (violation.keyword in _NAMING and not isinstance(actual, list | tuple)):
        return None
    if violation.keyword in _TAKEN_FROM_SCHEMA:
        from_schema = node.get(violation.keyword) if isinstance(node, dict) else None
        if _short(from_schema):
            expected = from_schema
        elif violation.keyword != "enum" or not isinstance(expected, list | tuple):
            return None
    return imperative.format(expected=_shown(expected), actual=_shown(actual))


def _shown(value: Json) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(dump_json(each).decode() for each in value)
    return value if isinstance(value, str) else dump_json(value).decode()


def _noun(schema: Json) -> str:
    return (
        f"JSON {schema['type']}"
        if isinstance(schema, dict) and schema.get("type") in ("object", "array")
        else "JSON value"
    )


def _members(schema: Json) -> str:
    names = schema.get("required") if isinstance(schema, dict) else None
    return f" with the members {', '.join(map(str, names[:20]))}" if isinstance(names, list) and names else ""


def _cut_middle(text: str) -> str:
    if len(text) <= MAX_PREVIOUS_CHARS:
        return text
    half = MAX_PREVIOUS_CHARS // 2
    return f"{text[:half]}\n[…]\n{text[-half:]}"


def _node(schema: Json, pointer: str) -> Json:
    """Return the piece of the schema for what stands at ``pointer``, None if it is not found."""
    node: Any = _resolved(schema, schema)
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        node = _resolved(_child(node, name), schema)
    return node


def _resolved(node: Any, schema: Json) -> Any:
    for _ in range(_MOST_REFERENCES):
        if not (isinstance(node, dict) and isinstance(node.get("$ref"), str)):
            break
        node = target(schema, node["$ref"])
    return node


def _short(part: Json) -> str:
    """Return a part of a schema as JSON, empty if there is none or it is long."""
    text = "" if part in (None, {}) else dump_json(part).decode()
    return text if len(text) <= _MAX_SCHEMA_CHARS else ""


def _child(node: Any, name: str) -> Any:
    if not isinstance(node, dict):
        return None
    members = node.get("properties")
    if isinstance(members, dict) and name in members:
        return members[name]
    if not (name.isascii() and name.isdigit() and len(name) < 10):
        return None
    first = node.get("prefixItems")
    return first[int(name)] if isinstance(first, list) and int(name) < len(first) else node.get("items")
