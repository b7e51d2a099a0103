"""Finds what wrappers around an answer hold: envelopes, tool calls, a list of one. Pure.

A wrapper is removed only where nothing that stands beside its content says more than a remark does.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from common.schema import Json
from common.schema.violations import to_pointer
from output_validation.denials import STAND_IN_WORDS, WRONG_WORDS
from output_validation.extraction import RepairKind

_WRAPPERS_DEEP: Final = 3
_TAKEN_BACK: Final = frozenset(
    {
        *WRONG_WORDS,
        *(word.replace(" ", "_") for word in STAND_IN_WORDS),
        "error",
        "errors",
        "example",
        "examples",
        "template",
        "draft",
        "previous",
        "old",
        "initial",
        "before",
        "bad",
        "truncated",
        "partial",
        "incomplete",
    }
)
_TAKING_BACK: Final = re.compile(r"(?:^|_|-)(?:wrong|incorrect|(?:anti|counter)[_-]?example)(?:$|_|-)", re.IGNORECASE)
"""What the name of a wrapper says of what it holds, among its words."""

_SAYS_OTHERWISE: Final = re.compile(
    r"\b(?:this|the (?:answer|value|result|output|json|above)) (?:is|was|may be|might be)(?: an?)? "
    r"(?:wrong|incorrect|invalid|placeholder|truncated|incomplete)\W*\Z"
    r"|\A\W*(?:should be\b|(?:internal |server |internal server )error\W*\Z)",
    re.IGNORECASE,
)
"""What a remark beside the value says that is worse than a remark."""

_NOT_THE_ANSWER: Final = _TAKEN_BACK | {"input", "schema"}
_SUCCEEDED: Final = ("success", "ok", "valid")
_FAILED: Final = ("error", "failed", "failure")
_WENT_WELL: Final = ("ok", "success", "done", "completed")
_CALL_TYPES: Final = ("function", "function_call", "tool_call", "tool_use")
_ENVELOPES: Final = frozenset(
    {
        "function",
        "result",
        "results",
        "data",
        "output",
        "response",
        "answer",
        "json",
        "value",
        "final",
        "final_answer",
        "content",
    }
)
_OF_SCHEMAS: Final = frozenset(
    {"type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const", "properties", "items", "description", "title"}
)
_TYPES: Final = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_CALL_NAMES: Final = ("name", "tool", "tool_name", "function")
_FINAL_ACTION: Final = re.compile(
    r"final(?:[ _]?(?:answer|response|result|output))?|answer|finish|respond|response|submit|output|return",
    re.IGNORECASE,
)
"""What an agent calls the action that is its answer and no step on the way."""

_ARGUMENTS: Final = frozenset({"arguments", "args", "parameters", "params", "input", "tool_input", "action_input"})
"""How the arguments of a tool call are called, beside its name."""


@dataclass(frozen=True, slots=True)
class Change:
    """One place that was read otherwise than it stood."""

    kind: RepairKind
    pointer: str


def held_by(
    value: Json,
    changes: tuple[Change, ...],
    own: frozenset[str],
    of_items: frozenset[str] = frozenset(),
    levels: int = _WRAPPERS_DEEP,
) -> Iterator[tuple[Json, tuple[Change, ...]]]:
    """Yield what the wrappers around a value hold, the outermost first.

    ``own`` are the members of the answer, ``of_items`` those of its items, if it is a list.
    """
    if isinstance(value, list) and len(value) == 1:
        value, changes = value[0], (*changes, Change(RepairKind.ARRAY_UNWRAPPED, ""))
    key = _wrapping_key(value, own) if isinstance(value, dict) and levels > 0 else None
    if key is None:
        return
    inner = value[key]
    if _plain_name(key) in map(_plain_name, of_items) and not _holds_objects(inner):
        return  # a list in an item, and not the list of the items
    if isinstance(inner, dict | list | str) or (inner is not None and key.casefold() in _ENVELOPES):
        outer = next((each.pointer for each in reversed(changes) if each.kind is RepairKind.WRAPPER_REMOVED), "")
        unwrapped = (*changes, Change(RepairKind.WRAPPER_REMOVED, outer + to_pointer([key])))
        if not (key == "function" and isinstance(inner, dict) and not _ARGUMENTS.isdisjoint(inner)):
            yield inner, unwrapped
        yield from held_by(inner, unwrapped, own, of_items, levels - 1)


def is_envelope(change: Change) -> bool:
    """Return whether a wrapper has one of the names that wrappers have."""
    key = change.pointer.rpartition("/")[2].casefold()
    return change.kind is not RepairKind.WRAPPER_REMOVED or key in _ENVELOPES | _ARGUMENTS or key == "properties"


def _plain_name(key: str) -> str:
    return key.casefold().replace("_", "").replace("-", "").replace(" ", "")


def _holds_objects(value: Json) -> bool:
    if isinstance(value, str):
        return "{" in value
    return isinstance(value, list) and any(isinstance(item, dict) for item in value)


def _wrapping_key(value: dict[str, Json], own: frozenset[str]) -> str | None:
    """Return the key that holds the answer, where nothing stands beside it that is more than a remark.

    A member of the answer (``own``) is no wrapper of it: then the others were left out.
    """
    is_call = any(isinstance(value.get(key), str) for key in _CALL_NAMES)
    action = value.get("action")
    is_call = is_call or (isinstance(action, str) and _FINAL_ACTION.fullmatch(action) is not None)
    keys = [key for key in value if is_call and key in _ARGUMENTS]
    if not keys:
        is_call = False
        keys = [key for key in value if len(value) == 1 or key.casefold() in _ENVELOPES]
        keys = [] if any(key.casefold() in _NOT_THE_ANSWER or _TAKING_BACK.search(key) for key in keys) else keys
        if value.get("type") == "object" and "properties" in value and "type" not in own:
            keys = ["properties"]  # filled in where the schema has the members' own schemas
        keys = keys or _counted_list(value)
    if len(keys) != 1 or keys[0] in own:
        return None
    inner = value[keys[0]]
    if keys[0] == "type" and isinstance(inner, str) and inner in _TYPES:
        return None  # a schema
    if keys[0] == "properties" and holds_schemas(inner):
        return None
    for key, other in value.items():
        if key == keys[0]:
            continue
        if (isinstance(other, dict | list) and other) or (key.casefold() in _TAKEN_BACK and other):
            return None
        if (key.casefold() in _SUCCEEDED and other in (False, "no", "false")) or (key == "status" and other in _FAILED):
            return None
        if isinstance(other, str) and not is_call and _SAYS_OTHERWISE.search(other):
            return None
        is_remark = _holds(inner, key) if is_call else key == "status" and other in _WENT_WELL and _holds(inner, key)
        is_envelope = value.get("type") in _CALL_TYPES and (is_call or keys[0] == "function")
        if key in own and not (is_remark or is_envelope):
            return None
    return keys[0]


def _counted_list(value: dict[str, Json]) -> list[str]:
    """Return the key of a list beside which nothing stands but how many items it has."""
    lists = [key for key, inner in value.items() if isinstance(inner, list)]
    if len(lists) != 1:
        return []
    others = [other for key, other in value.items() if key != lists[0]]
    return lists if all(type(other) is int and other == len(value[lists[0]]) for other in others) else []


def holds_schemas(value: Json) -> bool:
    """Return whether the members of an object, or a value that is none, are schemas and not what one describes."""
    parts = list(value.values()) if isinstance(value, dict) else [value]
    return all(
        isinstance(part, bool)
        or (isinstance(part, dict) and (not part or not _OF_SCHEMAS.isdisjoint(part)))
        or (isinstance(part, str) and part in _TYPES)
        for part in parts
    )


def _holds(arguments: Json, key: str) -> bool:
    """Return whether the arguments of a call, or their text, hold a member."""
    return key in arguments if isinstance(arguments, dict) else isinstance(arguments, str) and f'"{key}"' in arguments
