"""Reads a value as its schema demands: wrong types, cases and wrappers, where only one reading is possible. Pure.

Nothing is invented and nothing is dropped but a wrapper. What comes out is checked against the whole schema by
the caller; a place that is as the schema wants it is never touched.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from common.errors import SchemaError
from common.schema import CompiledSchema, Json, dump_json
from common.schema.compiled import compile_part
from common.schema.references import RootReferences
from common.schema.violations import json_type, to_pointer
from output_validation.extraction import RepairKind
from output_validation.guided_scalar import (
    OptionIndex,
    index_options,
    is_option,
    may_be_one_item,
    read_enum,
    read_format,
    read_scalar_as,
)
from output_validation.guided_wrapper import Change, held_by, is_envelope

_MAX_NODES: Final = 20_000
_MAX_DEPTH: Final = 120
"""Parts of the schema within one another; a schema may refer to itself without going deeper into the value."""

_MAX_REFERENCES: Final = 16
_MAX_BRANCHES: Final = 12
_CONTAINERS: Final = frozenset({"object", "array"})


@dataclass(slots=True)
class _Known:
    """What was made of parts of the schema, by their identity: the schema outlives the reading."""

    references: RootReferences
    options: dict[int, OptionIndex] = field(default_factory=dict)
    branches: dict[int, CompiledSchema | None] = field(default_factory=dict)
    names: dict[int, dict[str, list[str]]] = field(default_factory=dict)
    formats: dict[str, CompiledSchema | None] = field(default_factory=dict)


@dataclass(slots=True)
class _Reading:
    changes: list[Change] = field(default_factory=list)
    nodes_left: int = _MAX_NODES
    depth: int = 0
    all_keys: bool = False
    """Whether a key is known to be spelled otherwise: then all are, also those that need not be there."""


def read_as(value: Json, schema: CompiledSchema) -> tuple[Json, tuple[Change, ...]] | None:
    """Return ``value`` read so that it satisfies ``schema``, and the changes; None where it cannot be."""
    for candidate, changes in _unwrapped(value, schema.schema):
        for all_keys in (False, True):
            guide = _Guide(schema.schema, _Reading(all_keys=all_keys))
            try:
                read = guide.read(candidate, schema.schema, "")
            except _GivenUpError:
                break
            made = guide.reading.changes
            if not all_keys and any(change.kind is RepairKind.KEY_MATCHED for change in made):
                continue
            if (changes or made) and schema.is_valid(read):
                return read, (*changes, *made)
            break
    return None


def called_with(value: Json, schema: CompiledSchema) -> tuple[Json, tuple[Change, ...]] | None:
    """Return what ``value``, a call, calls a tool with, read so that it satisfies ``schema``; None if it is no call.

    What cannot be read so comes back as it is.
    """
    called = None
    for held, changes in _unwrapped(value, schema.schema):
        decoded = read_scalar_as(held, _CONTAINERS) if isinstance(held, str) else None
        inner, made = (decoded[0], (*changes, Change(decoded[1], ""))) if decoded is not None else (held, changes)
        if not made or not isinstance(inner, dict | list):
            continue
        if schema.is_valid(inner):
            return inner, made
        called = called or (inner, made)
        if read := read_as(inner, schema):
            return read[0], (*made, *read[1])
    return called


def _unwrapped(value: Json, schema: Json) -> Iterator[tuple[Json, tuple[Change, ...]]]:
    """Yield the value and what wrappers around it hold; the wrapper first where an array is wanted of an object."""
    root = resolve(schema, schema)
    own = _declared_by(root)
    wants_array = isinstance(root, dict) and root.get("type") in ("array", ["array"])
    of_items = _declared_by(resolve(root.get("items"), schema)) if wants_array else frozenset()
    inner = list(held_by(value, (), own, of_items))
    decoded = read_scalar_as(value, _CONTAINERS) if isinstance(value, str) else None
    if decoded is not None:
        inner = list(held_by(decoded[0], (Change(decoded[1], ""),), own, of_items))
    if isinstance(root, dict) and root.get("type") == "object" and not own:
        # An entry of a map wraps it only if nothing else does, or all that does has the name of a wrapper.
        inner = [each for each in inner if len(each[1]) == 1 or all(map(is_envelope, each[1]))]
    if wants_array:
        for content, changes in inner:
            decoded = read_scalar_as(content, _CONTAINERS) if isinstance(content, str) else None
            if isinstance(content, list):
                yield content, changes
            elif decoded is not None and isinstance(decoded[0], list):
                yield decoded[0], (*changes, Change(decoded[1], ""))
    yield value, ()
    if not wants_array:
        yield from inner


def _declared_by(node: Json) -> frozenset[str]:
    declared = node.get("properties") if isinstance(node, dict) else None
    return frozenset(declared) if isinstance(declared, dict) else frozenset()


class _GivenUpError(Exception):
    """The value is too large or the schema too tangled to be read by."""


class _Guide:
    def __init__(self, root: Json, reading: _Reading | None = None, known: _Known | None = None) -> None:
        self._root = root
        self._known = known or _Known(RootReferences(root))
        self.reading = reading or _Reading()

    def read(self, value: Json, schema: Json, pointer: str) -> Json:
        schema = resolve(schema, self._root, self._known.references)
        if not isinstance(schema, dict):
            return value
        self.reading.nodes_left -= 1
        if self.reading.nodes_left < 0 or self.reading.depth == _MAX_DEPTH:
            raise _GivenUpError
        self.reading.depth += 1
        value = self._read(value, schema, pointer)
        self.reading.depth -= 1
        return value

    def _read(self, value: Json, schema: dict[str, Any], pointer: str) -> Json:
        for part in schema.get("allOf", ()):
            value = self.read(value, part, pointer)
        for keyword in ("anyOf", "oneOf"):
            branches = schema.get(keyword)
            if isinstance(branches, list) and branches:
                value = self._branch(value, branches, pointer)
        if "const" in schema or isinstance(schema.get("enum"), list):
            return self._option(value, schema, pointer)
        value = self._typed(value, schema, pointer)
        return self._children(value, schema, pointer)

    def _note(self, kind: RepairKind, pointer: str) -> None:
        self.reading.changes.append(Change(kind, pointer))

    def _option(self, value: Json, schema: dict[str, Any], pointer: str) -> Json:
        options, index = self._options(schema)
        if is_option(value, options, index):
            return value
        if isinstance(value, list) and len(value) == 1 and not isinstance(value[0], list):
            self._note(RepairKind.ARRAY_UNWRAPPED, pointer)
            return self._option(value[0], schema, pointer)
        read = read_enum(value, options, index)
        if read is None:
            return value
        self._note(read[1], pointer)
        return read[0]

    def _options(self, schema: dict[str, Any]) -> tuple[list[Json], OptionIndex]:
        if "const" in schema:
            return [schema["const"]], index_options([schema["const"]])
        options, known = schema["enum"], self._known.options
        if id(options) not in known:
            known[id(options)] = index_options(options)
        return options, known[id(options)]

    def _is_ruled_out(self, value: Json, branch: Json) -> bool:
        """Return whether a member that tells the alternatives apart names another one, however it is read."""
        branch = resolve(branch, self._root, self._known.references)
        declared = branch.get("properties") if isinstance(branch, dict) else None
        if not isinstance(value, dict) or not isinstance(declared, dict):
            return False
        for name, part in declared.items():
            if name not in value or isinstance(value[name], list) or not isinstance(part, dict):
                continue
            if "const" in part or isinstance(part.get("enum"), list):
                options, index = self._options(part)
                if not is_option(value[name], options, index) and read_enum(value[name], options, index) is None:
                    return True
        return False

    def _typed(self, value: Json, schema: dict[str, Any], pointer: str) -> Json:
        types = _types(schema)
        if not types or _is_of(value, types):
            name = schema.get("format")
            read = read_format(value, name, types) if isinstance(value, str) and isinstance(name, str) else None
            if read is None or self._is_in_format(value, name):
                return value
            self._note(read[1], pointer)
            return read[0]
        read = read_scalar_as(value, types)
        if read is not None:
            self._note(read[1], pointer)
            return read[0]
        if "array" in types and may_be_one_item(value) and self._may_be_item(value, schema.get("items")):
            self._note(RepairKind.ARRAY_WRAPPED, pointer)
            return [value]
        if isinstance(value, list) and len(value) == 1:
            self._note(RepairKind.ARRAY_UNWRAPPED, pointer)
            return self._typed(value[0], schema, pointer)
        return value

    def _is_in_format(self, value: Json, name: Json) -> bool:
        known = self._known.formats
        if name not in known:
            known[name] = self._compile({"format": name})
        compiled = known[name]
        return compiled is not None and compiled.is_valid(value)

    def _may_be_item(self, value: Json, items: Json) -> bool:
        """Return whether an object is one of the items and not a wrapper around them."""
        if not isinstance(value, dict):
            return True
        items = resolve(items, self._root, self._known.references)
        declared = items.get("properties") if isinstance(items, dict) else None
        if isinstance(declared, dict) and declared:
            return not _by_plain(declared).keys().isdisjoint(map(_plain, value))
        return not any(isinstance(member, list) for member in value.values())

    def _children(self, value: Json, schema: dict[str, Any], pointer: str) -> Json:
        match value:
            case dict():
                return self._members(value, schema, pointer)
            case list():
                prefix = schema.get("prefixItems")
                firsts = prefix if isinstance(prefix, list) else []
                rest = schema.get("items", True)
                return [
                    self.read(item, firsts[n] if n < len(firsts) else rest, f"{pointer}/{n}")
                    for n, item in enumerate(value)
                ]
            case _:
                return value

    def _members(self, value: dict[str, Json], schema: dict[str, Any], pointer: str) -> dict[str, Json]:
        declared = schema.get("properties")
        declared = declared if isinstance(declared, dict) else {}
        renamed = self._keys(value, declared, schema)
        others = schema.get("additionalProperties", True)
        patterned = schema.get("patternProperties")
        members: dict[str, Json] = {}
        for key, member in value.items():
            if isinstance(patterned, dict) and key not in declared and self._matches(key, patterned):
                members[key] = member
                continue
            name = renamed.get(key, key)
            if name != key:
                self._note(RepairKind.KEY_MATCHED, pointer + to_pointer([name]))
            members[name] = self.read(member, declared.get(name, others), pointer + to_pointer([name]))
        return members

    def _matches(self, key: str, patterned: dict[str, Json]) -> bool:
        known = self._known.branches
        if id(patterned) not in known:
            known[id(patterned)] = self._compile({"patternProperties": dict.fromkeys(patterned, False)})
        compiled = known[id(patterned)]
        return compiled is None or not compiled.is_valid({key: None})

    def _keys(self, value: dict[str, Json], declared: dict[str, Json], schema: dict[str, Any]) -> dict[str, str]:
        """Return the keys that are declared ones in another case or with other separators."""
        unknown = [key for key in value if key not in declared]
        if not unknown or len(unknown) > 100:
            return {}
        required = schema.get("required", ())
        closed = schema.get("additionalProperties") is False
        if id(declared) not in self._known.names:
            self._known.names[id(declared)] = _by_plain(declared)
        names, rivals = self._known.names[id(declared)], _by_plain(unknown)
        renamed: dict[str, str] = {}
        for plain, keys in rivals.items():
            matches = [n for n in names.get(plain, ()) if n not in value]
            if len(matches) == 1 and len(keys) == 1:
                renamed[keys[0]] = matches[0]
        # Where any member may stand beside those declared, one that must be there shows how the keys are written.
        return renamed if closed or self.reading.all_keys or not set(renamed.values()).isdisjoint(required) else {}

    def _branch(self, value: Json, branches: list[Json], pointer: str) -> Json:
        """Return the value as the one alternative reads it that makes it valid; unchanged where there are several."""
        if len(branches) > _MAX_BRANCHES:
            return value
        readings: dict[bytes, tuple[Json, list[Change]]] = {}
        for branch in branches:
            compiled = self._compiled(branch)
            if compiled is None or compiled.is_valid(value):
                return value
            if self._is_ruled_out(value, branch):
                continue
            part = _Guide(
                self._root,
                _Reading(nodes_left=self.reading.nodes_left, depth=self.reading.depth, all_keys=self.reading.all_keys),
                self._known,
            )
            read = part.read(value, branch, pointer)
            self.reading.nodes_left = part.reading.nodes_left
            if part.reading.changes and compiled.is_valid(read):
                readings[dump_json(read)] = (read, part.reading.changes)
        reshaped = {Change(kind, pointer) for kind in (RepairKind.ARRAY_WRAPPED, RepairKind.ARRAY_UNWRAPPED)}
        found = [each for each in readings.values() if reshaped.isdisjoint(each[1])] or list(readings.values())
        if len(found) != 1:
            return value
        read, changes = found[0]
        self.reading.changes += changes
        return read

    def _compiled(self, branch: Json) -> CompiledSchema | None:
        known = self._known.branches
        if id(branch) not in known:
            known[id(branch)] = self._compile(branch)
        return known[id(branch)]

    def _compile(self, branch: Json) -> CompiledSchema | None:
        branch = resolve(branch, self._root, self._known.references)
        if not isinstance(branch, dict):
            return None
        named = {key: self._root[key] for key in ("$schema", "$defs", "definitions") if key in self._root}
        try:
            return compile_part({**named, **branch})
        except SchemaError:
            return None  # it refers to places that only the whole schema has


def resolve(schema: Json, root: Json, references: RootReferences | None = None) -> Json:
    """Return what a schema that is only a reference into ``root`` refers to; ``references``: those of ``root``."""
    for _ in range(_MAX_REFERENCES):
        target = resolve_once(schema, root, references)
        if target is schema:
            return schema
        schema = target
    return None


def resolve_once(schema: Json, root: Json, references: RootReferences | None = None) -> Json:
    """Return what the reference that a schema is refers to, which may be another one; the schema if it is none."""
    reference = schema.get("$ref") if isinstance(schema, dict) else None
    if not isinstance(reference, str) or not reference.startswith("#"):
        return schema
    return (references or RootReferences(root)).target(reference)


def _types(schema: dict[str, Any]) -> frozenset[str]:
    types = schema.get("type")
    if isinstance(types, str):
        return frozenset({types})
    return frozenset(types) if isinstance(types, list) else frozenset()


def _is_of(value: Json, types: frozenset[str]) -> bool:
    name = json_type(value)
    if name in types or (name == "integer" and "number" in types):
        return True
    return isinstance(value, float) and value.is_integer() and "integer" in types


def _by_plain(keys: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key in keys:
        found.setdefault(_plain(key), []).append(key)
    return found


def _plain(key: str) -> str:
    return "".join(sign for sign in key.casefold() if sign not in "_-." and not sign.isspace())
