"""Turns a plain JSON Schema into a type that msgspec reads and checks JSON by, in one pass over the text.

Most output schemas are plain: objects, lists, text, numbers, options, dates. What such a type takes is valid under the
schema and read as orjson reads it; what it does not take may be valid all the same, and the validator decides. So
whatever is not known here for certain to mean the same makes a schema not plain.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, NewType, NotRequired, TypedDict, Union

import msgspec
import orjson

from common.schema.strict_json import has_part_of_long_number
from common.schema.violations import Json

_MOST_OBJECTS: Final = 50
_MOST_NODES: Final = 400
_MOST_OPTIONS: Final = 1_000
_BYTES_PER_OBJECT: Final = 8 << 10
_EXACT: Final = 1 << 53
_LONGEST: Final = 1 << 31
_DRAFTS: Final = frozenset(
    f"{at}{end}"
    for at in (
        "http://json-schema.org/draft-04/schema",
        "http://json-schema.org/draft-06/schema",
        "http://json-schema.org/draft-07/schema",
        "https://json-schema.org/draft/2019-09/schema",
        "https://json-schema.org/draft/2020-12/schema",
    )
    for end in ("", "#")
)
_TELLS_NOTHING: Final = frozenset(
    {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment"}
)
_KEYWORDS_OF: Final = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "string": frozenset({"minLength", "maxLength", "format"}),
    "integer": frozenset({"minimum", "maximum"}),
    "number": frozenset({"minimum", "maximum"}),
    "boolean": frozenset[str](),
    "null": frozenset[str](),
}
_ROOTS_OWN: Final = frozenset({"$schema", "$defs", "definitions"})
_DEFINITION: Final = re.compile(r"#/(\$defs|definitions)/(\w+)", re.ASCII)
_FIRST_DAY: Final = date(1990, 1, 1)
_DAYS: Final = (date(2040, 1, 1) - _FIRST_DAY).days


class _NotPlainError(Exception):
    """The schema says something that no type here says."""


@dataclass(frozen=True, slots=True)
class TypedReader:
    """Reads texts by a type. ``levels``: how deep what it takes nests; ``size``: about the bytes of memory it holds."""

    decode: Callable[[bytes], Json]
    levels: int
    size: int

    def __call__(self, raw: bytes) -> Json | None:
        """Return the value of a JSON text that is certainly valid and free of doubt, see strict_json; else None."""
        try:
            value = self.decode(raw)
        except (msgspec.DecodeError, RecursionError):
            return None
        if has_part_of_long_number(raw):
            return None
        at = raw.find(b"\\")
        if at >= 0 and (raw.rfind(b"\\u0000", at) >= 0 or raw.rfind(b"\\u003", at) >= 0):
            return None
        # Members that stand twice, or that the type does not name, were dropped, with their colons.
        return value if orjson.dumps(value).count(b":") == raw.count(b":") else None


def typed_reader(schema: Json) -> TypedReader | None:
    """Return what reads texts by a schema, which must be one that the validator compiles; None if it is not plain."""
    if not isinstance(schema, dict) or schema.get("type") not in ("object", "array"):
        return None
    if "$schema" in schema and schema["$schema"] not in _DRAFTS:
        return None
    built = _Builder(schema)
    try:
        type_, _ = built.build({key: part for key, part in schema.items() if key not in _ROOTS_OWN}, 1)
        decode: Callable[[bytes], Json] = msgspec.json.Decoder(type_).decode
    except (_NotPlainError, TypeError, ValueError, RecursionError):
        return None
    return TypedReader(decode, built.levels, built.objects * _BYTES_PER_OBJECT)


class _Builder:
    """Goes through one schema."""

    def __init__(self, root: dict[str, Json]) -> None:
        self._root = root
        self.levels = self.objects = self._nodes = self._options = 0

    def build(self, schema: Json, level: int) -> tuple[Any, frozenset[str]]:
        """Return the type, and which of JSON's types it takes."""
        self._nodes += 1
        if not isinstance(schema, dict) or self._nodes > _MOST_NODES:
            raise _NotPlainError
        said = {key: part for key, part in schema.items() if key not in _TELLS_NOTHING}
        if said.keys() == {"$ref"}:
            return self.build(self._referred(said["$ref"]), level)
        for keyword in ("anyOf", "oneOf"):
            if said.keys() == {keyword}:
                return self._either([self.build(part, level) for part in said[keyword]])
        if "const" in said and "enum" not in said:
            said["enum"] = [said.pop("const")]
        kinds = said.pop("type", None)
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if "enum" in said and said.keys() == {"enum"}:
            return self._enum(said["enum"], kinds)
        if not kinds or not said.keys() <= frozenset[str]().union(*(_KEYWORDS_OF[kind] for kind in kinds)):
            raise _NotPlainError
        return self._either([self._kind(kind, said, level) for kind in kinds])

    def _referred(self, reference: str) -> Json:
        """Return what a reference to one of the root's definitions means; one to itself ends at the most nodes."""
        found = _DEFINITION.fullmatch(reference)
        definitions = self._root.get(found[1]) if found else None
        if found is None or not isinstance(definitions, dict):
            raise _NotPlainError
        return definitions.get(found[2])

    def _either(self, parts: list[tuple[Any, frozenset[str]]]) -> tuple[Any, frozenset[str]]:
        """Return what takes each of them; no two may take the same type of JSON."""
        taken = frozenset[str]().union(*(kinds for _, kinds in parts))
        if not parts or len(taken) != sum(len(kinds) for _, kinds in parts):
            raise _NotPlainError
        return Union[tuple(type_ for type_, _ in parts)], taken  # noqa: UP007 - its members are found at run time

    def _kind(self, kind: str, said: dict[str, Json], level: int) -> tuple[Any, frozenset[str]]:
        taken = frozenset({"number" if kind == "integer" else kind})
        match kind:
            case "object":
                return self._object(said, level), taken
            case "array":
                self.levels = max(self.levels, level)
                items, _ = self.build(said.get("items"), level + 1)
                return _bounded(list[items], said, "minItems", "maxItems"), taken  # type: ignore[valid-type]  # known at run time
            case "string":
                return _string(said), taken
            case "integer":
                return _ranged(int, said), taken
            case "number":
                return _ranged(int, said) | _ranged(float, said), taken
            case "boolean":
                return bool, taken
            case _:
                return None, taken

    def _object(self, said: dict[str, Json], level: int) -> Any:
        self.objects += 1
        self.levels = max(self.levels, level)
        properties, required = said.get("properties", {}), set(said.get("required", ()))
        is_open = said.get("additionalProperties", True)
        if self.objects > _MOST_OBJECTS or not required <= properties.keys() or not isinstance(is_open, bool):
            raise _NotPlainError
        members = {name: self.build(part, level + 1)[0] for name, part in properties.items()}
        fields = {name: type_ if name in required else NotRequired[type_] for name, type_ in members.items()}
        return TypedDict("Object", fields)  # type: ignore[operator]  # its members are found at run time

    def _enum(self, options: list[Json], kinds: list[str] | None) -> tuple[Any, frozenset[str]]:
        self._options += len(options)
        if self._options > _MOST_OPTIONS or not all(each is None or isinstance(each, str) for each in options):
            raise _NotPlainError
        kept = [each for each in options if kinds is None or ("null" if each is None else "string") in kinds]
        if not kept:
            raise _NotPlainError
        return Literal[tuple(kept)], frozenset("null" if each is None else "string" for each in kept)


def _string(said: dict[str, Json]) -> Any:
    if "format" not in said:
        return _bounded(str, said, "minLength", "maxLength")
    if said["format"] != "date" or "minLength" in said or "maxLength" in said:
        raise _NotPlainError
    return _dates()


@lru_cache(maxsize=1)
def _dates() -> Any:
    """Return the days of fifty years as options, which cost a look-up each; another day is left to the validator."""
    days: Any = Literal[tuple((_FIRST_DAY + timedelta(days=day)).isoformat() for day in range(_DAYS))]
    # Types are hashed when they are put together: this one by what it is, not by all of its days.
    return NewType("Date", days)


def _bounded(type_: Any, said: dict[str, Json], least: str, most: str) -> Any:
    """Return the type with bounds of its length, in code points or items."""
    bounds = {name: said[keyword] for name, keyword in (("min_length", least), ("max_length", most)) if keyword in said}
    if not all(type(bound) is int and 0 <= bound < _LONGEST for bound in bounds.values()):
        raise _NotPlainError
    return Annotated[type_, msgspec.Meta(**bounds)] if bounds else type_


def _ranged(type_: Any, said: dict[str, Json]) -> Any:
    bounds = {name: said[keyword] for name, keyword in (("ge", "minimum"), ("le", "maximum")) if keyword in said}
    if not all(type(bound) is int and -_EXACT < bound < _EXACT for bound in bounds.values()):
        raise _NotPlainError
    return Annotated[type_, msgspec.Meta(**bounds)] if bounds else type_
