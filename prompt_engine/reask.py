"""Words a re-ask: what to change, in imperatives with JSON Pointers, in few tokens. Pure.

The previous answer is repeated so that the model corrects it instead of starting anew; a long one is cut in
the middle, and only the first few faults are named: the rest usually goes with them. What is to be done in several
places is said once. Each is one line and bounded, whatever names the model has given to its members: what is not
plainly a name is quoted, and holds no sign that a chat template, a terminal or a reader could take for its own.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from common.contracts import PromptPart
from common.schema import Json, Violation, dump_json
from common.schema.references import RootReferences, index_in_list, unescaped
from common.schema.violations import cut

MAX_PREVIOUS_CHARS: Final = 4000
MAX_FAULTS: Final = 12
_MAX_SCHEMA_CHARS: Final = 600
_MAX_POINTER_CHARS: Final = 200
_MAX_PLACES: Final = 12
_MAX_PLACES_CHARS: Final = 400
_MAX_LINES_CHARS: Final = 6000
_MOST_OPTIONS: Final = 12
_MOST_REFERENCES: Final = 20
_TAKEN_FROM_SCHEMA: Final = frozenset({"enum", "const", "pattern"})
_NAMING: Final = frozenset({"additionalProperties", "unevaluatedProperties", "unevaluatedItems"})
"""Keywords whose violation names what is to be removed."""

_MATCHING: Final = frozenset({"anyOf", "oneOf", "contains", "minContains", "maxContains"})
"""Keywords whose violation says what is to be matched, and what stands there instead."""

_BIDI: Final = (0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_UNSEEN: Final = (*range(0x20), *range(0x7F, 0xA0), 0x200B, 0x2028, 0x2029, *range(0x2060, 0x2065), 0xFEFF)
_TAGS: Final = range(0xE0000, 0xE0080)
_ESCAPES: Final = {each: json.dumps(chr(each))[1:-1] for each in (*_BIDI, *_UNSEEN, *_TAGS)} | {0x7F: "\\u007f"}
"""What begins a new line, turns the direction of a text or is not seen, and how JSON writes it."""

_MARK: Final = re.compile(r"[<◁](?=[|\uff5c<]|/?[A-Za-z_][\w:.-]{0,30}[>▷])|\[(?=/?[A-Z][A-Z_]{1,30}\])")
"""What opens a mark of chat templates, as <|im_end|>, </s>, <<SYS>>, [/INST]."""

_PLAIN_POINTER: Final = re.compile(r"(?:/[\w$@.~-]*)*")
_ITEM: Final = re.compile(r"(.*/)(0|[1-9][0-9]{0,8})((?:/.*)?)", re.DOTALL)

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
    places: dict[str, list[str]] = {}
    references = RootReferences(schema)
    for violation in violations:
        places.setdefault(_wording(violation, schema, references).translate(_ESCAPES), []).append(violation.pointer)
    lines: list[str] = []
    left = len(violations)
    for wording, pointers in places.items():
        line = f"- {_places(pointers)}{wording}"
        if len(lines) == MAX_FAULTS or (lines and sum(map(len, lines)) + len(line) > _MAX_LINES_CHARS):
            lines.append(f"- and {left} more faults of this kind")
            break
        lines.append(line)
        left -= len(pointers)
    text = "\n".join(("Correct your answer:", *lines, f"Then send the whole {_noun(schema)} again, and nothing else."))
    request = PromptPart(role="user", content=text)
    if not previous_answer.strip():
        return [request]
    return [PromptPart(role="assistant", content=_cut_middle(previous_answer)), request]


def _places(pointers: Sequence[str]) -> str:
    """Return where something is to be done, empty if it is the whole answer; items in a row as first, second, last."""
    told: list[str] = []
    runs = [run for run in _runs(list(dict.fromkeys(pointers))) if run != [""]]
    for number, run in enumerate(runs):
        shown = [_pointer(each) for each in (run if len(run) <= 3 else (*run[:2], run[-1]))]
        if len(run) > 3:
            shown[-1] = f"… {shown[-1]}"
        if (told and sum(map(len, (*told, *shown))) > _MAX_PLACES_CHARS) or len(told) + len(shown) > _MAX_PLACES:
            told.append(f"and {sum(map(len, runs[number:]))} more places")
            break
        told += shown
    return f"{', '.join(told)}: " if told else ""


def _runs(pointers: Sequence[str]) -> list[list[str]]:
    """Return the pointers apart where one is not the next item of the same array, or the same member of it."""
    runs: list[list[str]] = []
    following = None
    for pointer in pointers:
        if pointer == following:
            runs[-1].append(pointer)
        else:
            runs.append([pointer])
        item = _ITEM.fullmatch(pointer)
        following = f"{item.group(1)}{int(item.group(2)) + 1}{item.group(3)}" if item else None
    return runs


def _pointer(pointer: str) -> str:
    """Return a pointer as it is where its names are plain ones, else as JSON text: the model made them up."""
    told = cut(pointer, _MAX_POINTER_CHARS)
    if _PLAIN_POINTER.fullmatch(told):
        return told
    return _unmarked(dump_json(told).decode().translate(_ESCAPES))


def _unmarked(text: str) -> str:
    """Return a text with what opens a chat template's mark written as JSON may write it."""
    return _MARK.sub(lambda mark: f"\\u{ord(mark.group()):04x}", text)


def _wording(violation: Violation, schema: Json, references: RootReferences) -> str:
    """Return what to do, without the place."""
    node = _node(schema, violation.pointer, references)
    if (imperative := _imperative(violation, node)) is not None:
        return imperative
    message = _unmarked(violation.message)
    if violation.keyword == "json":
        return f"send one {_noun(schema)}{_members(schema)} ({message})"
    if violation.keyword == "check":
        return message
    if violation.keyword in _NAMING:
        return message.replace("must not have these", "remove these", 1)
    part = _short(node)
    if part and violation.keyword in _MATCHING and isinstance(violation.expected, str):
        message = f"must match {violation.expected}"  # without the value, so that many places are one line
    return f"{message}{'; it must satisfy ' + part if part else ''}"


def _imperative(violation: Violation, node: Json) -> str | None:
    """Return what to do; None where that cannot be said from the violation, which describes what is long."""
    imperative = _IMPERATIVES.get(violation.keyword)
    expected, actual = violation.expected, violation.actual
    if imperative is None or (violation.keyword in _NAMING and not isinstance(actual, list | tuple)):
        return None
    shown = _shown(expected)
    if violation.keyword in _TAKEN_FROM_SCHEMA:
        from_schema = node.get(violation.keyword) if isinstance(node, dict) else None
        if _short(from_schema):
            shown = _shown(from_schema)
        elif violation.keyword != "enum":
            return None
        elif isinstance(from_schema, list) and _short(from_schema[:_MOST_OPTIONS]):
            shown = f"{_shown(from_schema[:_MOST_OPTIONS])} and {len(from_schema) - _MOST_OPTIONS} more"
        elif not isinstance(expected, list | tuple):
            return None
    return imperative.format(expected=shown, actual=_unmarked(_shown(actual)))


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


def _node(schema: Json, pointer: str, references: RootReferences) -> Json:
    """Return the piece of the schema for what stands at ``pointer``, None if it is not found."""
    node: Any = _resolved(schema, references)
    for token in pointer.split("/")[1:]:
        node = _resolved(_child(node, token), references)
    return node


def _resolved(node: Any, references: RootReferences) -> Any:
    for _ in range(_MOST_REFERENCES):
        if not (isinstance(node, dict) and isinstance(node.get("$ref"), str)):
            break
        node = references.target(node["$ref"])
    return node


def _short(part: Json) -> str:
    """Return a part of a schema as JSON, empty if there is none or it is long."""
    text = "" if part in (None, {}) else dump_json(part).decode()
    return text if len(text) <= _MAX_SCHEMA_CHARS else ""


def _child(node: Any, token: str) -> Any:
    if not isinstance(node, dict):
        return None
    name = unescaped(token)
    members = node.get("properties")
    if isinstance(members, dict) and name in members:
        return members[name]
    index = index_in_list(name)
    if index is None:
        return None
    first = node.get("prefixItems")
    return first[index] if isinstance(first, list) and index < len(first) else node.get("items")
