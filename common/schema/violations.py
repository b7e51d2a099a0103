"""What is wrong with one place of an instance, in words a person or a model can act on.

Values quoted in a violation are cut to a few dozen characters, and pointers through very long names to some hundred:
a violation never carries a whole payload.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final, TypeAlias

import jsonschema_rs
import orjson

Json: TypeAlias = Any
"""A JSON value: dict, list, str, int, float, bool or None. Its shape is known only to a schema."""

MAX_VIOLATIONS: Final = 100
"""How many violations are reported of one instance; the rest would help nobody."""

HIDDEN_KEYWORD: Final = "x-headrace-alternatives"
"""In a ``not`` of a rewritten schema (see alternatives): the keyword that it stands for."""

_MAX_QUOTED_CHARS: Final = 80
_MAX_EXPECTED_CHARS: Final = 400
_MAX_POINTER_CHARS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Violation:
    """One fault: where (JSON Pointer, RFC 6901), which keyword, and what was expected and found.

    ``expected`` and ``actual`` are short JSON values; long ones are replaced by a description.
    """

    pointer: str
    keyword: str
    message: str
    expected: Json = None
    actual: Json = None


def to_pointer(path: Sequence[str | int]) -> str:
    """Return the JSON Pointer of ``path``; the root is the empty string."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def cut(text: str, limit: int = _MAX_QUOTED_CHARS) -> str:
    """Return ``text``, or its beginning and an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


_TYPE_NAMES: Final[dict[type, str]] = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    dict: "object",
    list: "array",
    tuple: "array",
}


def json_type(value: Json) -> str:
    """Return the JSON Schema name of the value's type."""
    return _TYPE_NAMES.get(type(value), type(value).__name__)


def brief(value: Json, limit: int = _MAX_QUOTED_CHARS) -> Json:
    """Return the value itself if it is short, else a description of it."""
    match value:
        case None | bool() | float():
            return value
        case int():
            return value if -(1 << 53) <= value <= 1 << 53 else cut(_digits(value), limit)
        case str():
            return cut(value, limit)
        case dict() | list() | tuple():
            # A long container is described, not serialised: it may be megabytes.
            if len(value) <= limit:
                try:
                    text = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
                except (TypeError, ValueError):
                    text = ""
                if 0 < len(text) <= limit:
                    return value
            noun = "object with {} members" if isinstance(value, dict) else "array of {} items"
            return noun.format(len(value))
        case _:
            return json_type(value)


def _digits(value: int) -> str:
    # Python refuses to print integers beyond a few thousand digits.
    return str(value) if value.bit_length() < 4096 else f"an integer of {value.bit_length()} bits"


def _quoted(value: Json) -> str:
    shown = brief(value)
    try:
        return orjson.dumps(shown).decode()
    except (TypeError, ValueError):
        return str(shown)


def _listed(values: Sequence[Json]) -> str:
    shown = ", ".join(_quoted(v) for v in values[:12])
    return shown if len(values) <= 12 else f"{shown} and {len(values) - 12} more"


def _items(n: object) -> str:
    return f"{n} item" if n == 1 else f"{n} items"


def _characters(n: object) -> str:
    return f"{n} character" if n == 1 else f"{n} characters"


def _members(n: object) -> str:
    return f"{n} member" if n == 1 else f"{n} members"


_Worded: TypeAlias = tuple[str, Json, Json]
_Wording: TypeAlias = Callable[[dict[str, Any], Json], _Worded]


def _size(at_least: bool, unit: Callable[[object], str]) -> _Wording:
    bound = "at least" if at_least else "at most"

    def word(facts: dict[str, Any], actual: Json) -> _Worded:
        limit, size = facts["limit"], len(actual)
        return f"must have {bound} {unit(limit)}, has {size}", limit, size

    return word


def _limit(relation: str) -> _Wording:
    def word(facts: dict[str, Any], actual: Json) -> _Worded:
        limit = facts["limit"]
        return f"must be {relation} {limit}, is {_quoted(actual)}", limit, actual

    return word


def _type(facts: dict[str, Any], actual: Json) -> _Worded:
    types = facts["types"]
    one_of = types[0] if len(types) == 1 else types
    return f"must be of type {' or '.join(types)}, is {json_type(actual)} ({_quoted(actual)})", one_of, actual


def _unexpected(facts: dict[str, Any], actual: Json) -> _Worded:
    names = facts["unexpected"] if "unexpected" in facts else actual[facts["limit"] :]
    return f"must not have these: {_listed(names)}", "no other members or items", names


def _one_of_many(what: str) -> _Wording:
    def word(_: dict[str, Any], actual: Json) -> _Worded:
        return f"must match {what}, is {_quoted(actual)}", what, actual

    return word


_WORDING: Final[dict[str, _Wording]] = {
    "type": _type,
    "required": lambda f, _: (f"must have the member {_quoted(f['property'])}", f["property"], None),
    "enum": lambda f, a: (f"must be one of {_listed(f['options'])}, is {_quoted(a)}", f["options"], a),
    "const": lambda f, a: (
        f"must be {_quoted(f['expected_value'])}, is {_quoted(a)}",
        f["expected_value"],
        a,
    ),
    "format": lambda f, a: (f"must be a valid {f['format']}, is {_quoted(a)}", f["format"], a),
    "pattern": lambda f, a: (
        f"must match the pattern {cut(f.get('pattern', ''))}, is {_quoted(a)}",
        f.get("pattern"),
        a,
    ),
    "maxLength": _size(False, _characters),
    "minLength": _size(True, _characters),
    "maxItems": _size(False, _items),
    "minItems": _size(True, _items),
    "maxProperties": _size(False, _members),
    "minProperties": _size(True, _members),
    "maximum": _limit("at most"),
    "minimum": _limit("at least"),
    "exclusiveMaximum": _limit("less than"),
    "exclusiveMinimum": _limit("greater than"),
    "multipleOf": lambda f, a: (
        f"must be a multiple of {f['multiple_of']}, is {_quoted(a)}",
        f["multiple_of"],
        a,
    ),
    "additionalProperties": _unexpected,
    "unevaluatedProperties": _unexpected,
    "unevaluatedItems": _unexpected,
    "additionalItems": _unexpected,
    "uniqueItems": lambda _, a: ("must not have equal items", "all items different", a),
    "anyOf": _one_of_many("at least one of the alternatives"),
    "oneOf": _one_of_many("exactly one of the alternatives"),
    "not": lambda f, a: (f"must not match {_quoted(f['schema'])}, is {_quoted(a)}", {"not": f["schema"]}, a),
    "falseSchema": lambda _, a: (f"must not be present, is {_quoted(a)}", "nothing", a),
    "propertyNames": lambda f, _: (
        f"has a member name that is not allowed: {cut(f['error'].message, 160)}",
        "allowed member names",
        brief(f["error"].instance),
    ),
    "contains": _one_of_many("the number of required items"),
    "minContains": _one_of_many("the number of required items"),
    "maxContains": _one_of_many("the number of required items"),
}


def _at(root: Json, path: Sequence[str | int]) -> Json:
    return reduce(lambda node, part: node[part], path, root)


def _is_of_other_members(error: jsonschema_rs.ValidationError) -> bool:
    """Return whether ``additionalProperties: false`` is meant, where no member is allowed at all.

    The validator reports it as a false schema for the whole object, or with its first member's value.
    """
    *_, before, last = ("", "", *error.schema_path)
    if last != "additionalProperties":
        return False
    # What has this name, instead.
    is_member = before == "properties" and error.instance_path[-1:] == ["additionalProperties"]
    return not is_member and before not in {"patternProperties", "dependentSchemas", "dependencies", "$defs"}


def _path(error: jsonschema_rs.ValidationError, root: Json) -> Sequence[str | int]:
    """Return where the error is. The validator leaves out members with an empty name: look where its value is."""
    given = error.instance_path
    may_be_first = _is_of_other_members(error)
    waiting: deque[tuple[Json, int, tuple[str | int, ...]]] = deque([(root, 0, ())])
    while waiting:
        node, taken, path = waiting.popleft()
        is_object = isinstance(node, dict)
        if taken == len(given):
            if not (waiting or (is_object and "" in node)) and len(path) == len(given):
                return given
            if _same(node, error.instance) or (
                may_be_first and is_object and _same(next(iter(node.values()), None), error.instance)
            ):
                return path
        elif _holds(node, given[taken]):
            waiting.appendleft((node[given[taken]], taken + 1, (*path, given[taken])))
        if is_object and "" in node and (taken == len(given) or given[taken] != ""):
            waiting.append((node[""], taken, (*path, "")))
    return given


def _holds(node: Json, part: str | int) -> bool:
    if isinstance(node, dict):
        return part in node
    return isinstance(node, list | tuple) and isinstance(part, int) and part < len(node)


def _same(one: Json, other: Json) -> bool:
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def describe(error: jsonschema_rs.ValidationError, root: Json) -> Violation:
    """Return the violation that the validator's ``error`` about ``root`` stands for."""
    keyword, facts = error.kind.name, error.kind.as_dict()
    last = error.schema_path[-1] if error.schema_path else None
    path = _path(error, root)
    if keyword == "contains" and last in {"minContains", "maxContains"}:
        keyword = str(last)
    if keyword == "falseSchema" and _is_of_other_members(error):
        parent = _at(root, path)
        if isinstance(parent, dict):
            keyword, facts = "additionalProperties", {"unexpected": list(parent)}
    if keyword == "not" and isinstance(facts["schema"], dict):
        keyword = facts["schema"].get(HIDDEN_KEYWORD, keyword)
    wording = _WORDING.get(keyword)
    message, expected, actual = (
        wording(facts, error.instance) if wording else (cut(error.message, 200), None, error.instance)
    )
    return Violation(
        pointer=cut(to_pointer(path), _MAX_POINTER_CHARS),
        keyword=keyword,
        message=message,
        expected=brief(expected, _MAX_EXPECTED_CHARS),
        actual=brief(actual),
    )
