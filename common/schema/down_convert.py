"""Rewrites a schema into what a provider's strict mode accepts, and reports what was dropped. Pure.

Whatever is valid under the schema is valid under its converted form: keywords are dropped or widened, never
narrowed; an optional member that must be required may be null instead, see Converted.nullable. References are inlined.
The full schema is always checked afterwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jsonschema_rs

from common.schema.faults import draft_number
from common.schema.profiles import SchemaProfile
from common.schema.references import RootReferences
from common.schema.violations import Json, cut, to_pointer

_MAX_NODES: Final = 20_000
_DEEPEST: Final = 60
_TYPING: Final = frozenset({"type", "enum", "const", "anyOf", "properties"})
_INLINED_OR_IDLE: Final = frozenset({"$ref", "$defs", "definitions", "$schema", "$id", "$anchor", "$comment"})
"""Words of which nothing is lost: they are inlined, or say nothing of an answer."""

_NO_SCHEMA: Final = "it is not a JSON Schema; check_schema says where"
_OBJECT_WORDS: Final = frozenset({"properties", "required", "additionalProperties"})


_URIS: Final = {
    jsonschema_rs.Draft4: "http://json-schema.org/draft-04/schema#",
    jsonschema_rs.Draft6: "http://json-schema.org/draft-06/schema#",
    jsonschema_rs.Draft7: "http://json-schema.org/draft-07/schema#",
    jsonschema_rs.Draft201909: "https://json-schema.org/draft/2019-09/schema",
    jsonschema_rs.Draft202012: "https://json-schema.org/draft/2020-12/schema",
}
"""By which a schema's own form is checked, whatever it names: nothing is fetched for it."""

_FORMATS_SINCE: Final = {
    "uri-reference": jsonschema_rs.Draft6,
    "uri-template": jsonschema_rs.Draft6,
    "json-pointer": jsonschema_rs.Draft6,
    "iri": jsonschema_rs.Draft7,
    "iri-reference": jsonschema_rs.Draft7,
    "relative-json-pointer": jsonschema_rs.Draft7,
    "duration": jsonschema_rs.Draft201909,
    "uuid": jsonschema_rs.Draft201909,
}


@dataclass(frozen=True, slots=True)
class Dropped:
    """One keyword that is not in the converted schema: where it stood, and why it is not there."""

    pointer: str
    keyword: str
    reason: str


@dataclass(frozen=True, slots=True)
class Converted:
    """``schema``: the strict form, None where there is none (``dropped`` says why).

    ``nullable``: where in it members stand that are required and may be null, and are optional in truth.
    """

    schema: dict[str, Any] | None
    dropped: tuple[Dropped, ...]
    nullable: tuple[str, ...] = ()


class _NoStrictFormError(Exception):
    """Converting would refuse what the schema allows."""

    def __init__(self, pointer: str, keyword: str, reason: str) -> None:
        super().__init__(reason)
        self.dropped = Dropped(pointer, keyword, reason)


def down_convert(schema: Json, profile: SchemaProfile) -> Converted:
    """Return ``schema`` as ``profile`` takes it. The order of keys and properties is kept."""
    draft = draft_number(schema)
    if isinstance(schema, Mapping) and not _is_schema(schema, draft):
        return Converted(None, (Dropped("", "$schema", _NO_SCHEMA),))
    conversion = _Conversion(schema, profile, RootReferences(schema), draft=draft)
    try:
        converted = conversion.node(schema, "", 1, ())
        if profile.root_object and (converted.get("type") != "object" or "anyOf" in converted):
            raise _NoStrictFormError("", "type", "the root must be an object without alternatives")
    except _NoStrictFormError as error:
        return Converted(None, (*conversion.dropped, error.dropped))
    return Converted(converted, tuple(conversion.dropped), tuple(dict.fromkeys(conversion.nullable)))


def _is_schema(part: Json, draft: int) -> bool:
    """Return whether a part of a schema is one itself: only those that stand where the draft looks are sure to be."""
    if not isinstance(part, Mapping):
        return isinstance(part, bool)
    try:
        return jsonschema_rs.meta.is_valid({**part, "$schema": _URIS[draft]})
    except (ValueError, TypeError, RecursionError):
        return False  # it is not even JSON


@dataclass(slots=True)
class _Conversion:
    root: Json
    profile: SchemaProfile
    references: RootReferences
    dropped: list[Dropped] = field(default_factory=list)
    nullable: list[str] = field(default_factory=list)
    followed: set[str] = field(default_factory=set)
    nodes_left: int = _MAX_NODES
    properties: int = 0
    enum_values: int = 0
    draft: int = 0

    def node(self, schema: Json, pointer: str, level: int, seen: tuple[str, ...]) -> dict[str, Any]:
        """Convert the schema at ``pointer``; ``seen`` are the references on the way to it."""
        self.nodes_left -= 1
        deepest = self.profile.max_levels or _DEEPEST
        if self.nodes_left < 0 or level > deepest:
            raise _NoStrictFormError(pointer, "depth", f"the schema nests deeper than {deepest}, or is far too large")
        if schema is True or schema == {}:
            if self.profile.all_required:
                raise _NoStrictFormError(pointer, "type", "any value at all has no strict form")
            return {}
        if not isinstance(schema, Mapping):
            raise _NoStrictFormError(pointer, "type", "a place where nothing is allowed has no strict form")
        if schema is not self.root and self.references.has_own_base(schema):
            raise _NoStrictFormError(pointer, "$id", "references in it do not start from the root")
        reference = schema.get("$ref")
        if isinstance(reference, str):
            return self._inlined(schema, reference, pointer, level, seen)
        converted: dict[str, Any] = {}
        for keyword, value in schema.items():
            self._keyword(converted, keyword, value, schema, pointer, level, seen)
        if self._is_object(schema):
            self._object(converted, schema, pointer)
        if self.profile.typed:
            _refuse_untyped(converted, pointer)
        return converted

    def _inlined(
        self, schema: Mapping[str, Any], reference: str, pointer: str, level: int, seen: tuple[str, ...]
    ) -> dict[str, Any]:
        if reference in seen:
            raise _NoStrictFormError(pointer, "$ref", "the schema refers to itself")
        if len(seen) >= _DEEPEST:
            raise _NoStrictFormError(pointer, "$ref", f"more than {_DEEPEST} references lead to one another")
        found = self.references.target(reference)
        if found is None:
            raise _NoStrictFormError(pointer, "$ref", f"{cut(reference)} is not within the schema")
        if reference not in self.followed and not _is_schema(found, self.draft):
            raise _NoStrictFormError(pointer, "$ref", f"{cut(reference)}: {_NO_SCHEMA}")
        self.followed.add(reference)
        converted = self.node(found, pointer, level, (*seen, reference))
        for keyword, value in schema.items():
            if keyword in {"description", "title"} and keyword in self.profile.keywords:
                # What is said of this very place, instead of what is said of all that refer there.
                converted[keyword] = value
            elif keyword not in _INLINED_OR_IDLE:
                self._drop(pointer, keyword, "it stands beside a reference")
        return converted

    def _keyword(
        self,
        converted: dict[str, Any],
        keyword: str,
        value: Any,
        schema: Mapping[str, Any],
        pointer: str,
        level: int,
        seen: tuple[str, ...],
    ) -> None:
        here = pointer + to_pointer([keyword])
        takes = self.profile.keywords
        match keyword:
            case _ if keyword in _INLINED_OR_IDLE:
                return
            case _ if self._is_unknown(keyword, value):
                self._drop(pointer, keyword, "it has no meaning in the draft that the schema names")
            case "anyOf" | "oneOf" if keyword == "anyOf" or "anyOf" not in schema:
                branches = [self.node(each, f"{here}/{n}", level + 1, seen) for n, each in enumerate(value)]
                converted["anyOf"] = branches
                if keyword == "oneOf":
                    self._drop(pointer, "oneOf", "at least one alternative instead of exactly one")
            case "const" if self.profile.const_as_enum:
                converted["enum"] = [value]
            case "properties":
                self.properties += len(value)
                if self.properties > (self.profile.max_properties or self.properties):
                    raise _NoStrictFormError(pointer, keyword, "it has too many properties")
                converted["properties"] = {
                    name: self.node(each, here + to_pointer([name]), level + 1, seen) for name, each in value.items()
                }
            case "items" if isinstance(value, Mapping | bool) and "prefixItems" not in schema:
                if value is not True:
                    converted["items"] = self.node(value, here, level + 1, seen)
            case "required" | "additionalProperties":
                return  # made for the whole object
            case _ if keyword in takes and keyword not in {"items", "prefixItems", "anyOf"}:
                self._plain(converted, keyword, value, pointer)
            case _:
                self._drop(pointer, keyword, self._why_not(keyword, schema))

    def _plain(self, converted: dict[str, Any], keyword: str, value: Any, pointer: str) -> None:
        profile = self.profile
        if keyword == "format" and profile.formats is not None and value not in profile.formats:
            self._drop(pointer, keyword, f"the provider does not take the format {value}")
        elif keyword in {"exclusiveMinimum", "exclusiveMaximum"} and isinstance(value, bool):
            self._drop(pointer, keyword, "it is a flag, as in draft 4")
        elif keyword == "minItems" and profile.min_items is not None and value > profile.min_items:
            converted[keyword] = profile.min_items
            self._drop(pointer, keyword, f"lowered to {profile.min_items}")
        else:
            if keyword == "enum":
                self.enum_values += len(value)
                if self.enum_values > (profile.max_enum_values or self.enum_values):
                    raise _NoStrictFormError(pointer, keyword, "it has too many enum values")
            converted[keyword] = value

    def _is_unknown(self, keyword: str, value: Any) -> bool:
        """Return whether the draft has no such word, so that nothing is refused for it."""
        if keyword == "format":
            return self.draft < _FORMATS_SINCE.get(value, 0)
        return keyword == "const" and self.draft < jsonschema_rs.Draft6

    def _why_not(self, keyword: str, schema: Mapping[str, Any]) -> str:
        if keyword == "items" and "prefixItems" in schema:
            return "it speaks of the items after those that prefixItems places"
        if keyword == "prefixItems" and keyword in self.profile.keywords:
            return "providers differ in what may follow the items that it places"
        return "the provider does not take it"

    @staticmethod
    def _is_object(schema: Mapping[str, Any]) -> bool:
        types = schema.get("type")
        return types == "object" or (isinstance(types, list) and "object" in types) or bool(_OBJECT_WORDS & set(schema))

    def _object(self, converted: dict[str, Any], schema: Mapping[str, Any], pointer: str) -> None:
        declared = converted.get("properties", {})
        required = [name for name in schema.get("required", ()) if name in declared]
        undeclared = [name for name in schema.get("required", ()) if name not in declared]
        if undeclared:
            self._drop(pointer, "required", f"{', '.join(undeclared)} is not among the properties")
        others = schema.get("additionalProperties", True)
        closed = others is False and "patternProperties" not in schema
        if self.profile.closed and not closed:
            raise _NoStrictFormError(pointer, "additionalProperties", "strict mode refuses members with other names")
        if self.profile.all_required and len(required) < len(declared):
            for name in declared:
                if name not in required:
                    declared[name] = _nullable(declared[name])
                    self.nullable.append(f"{pointer}{to_pointer(['properties', name])}")
                    self._drop(pointer, "required", f"{name} is optional; it is required there and may be null")
            required = list(declared)
        if required:
            converted["required"] = required
        if closed:
            converted["additionalProperties"] = False
        elif isinstance(others, Mapping):
            self._drop(pointer, "additionalProperties", "members with other names are not described")

    def _drop(self, pointer: str, keyword: str, reason: str) -> None:
        self.dropped.append(Dropped(pointer, keyword, reason))


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    if _takes_null(schema):
        return schema
    if "enum" in schema or "const" in schema or "anyOf" in schema or not isinstance(schema.get("type"), str | list):
        return {"anyOf": [schema, {"type": "null"}]}
    types = schema["type"]
    return {**schema, "type": [*([types] if isinstance(types, str) else types), "null"]}


def _takes_null(converted: Mapping[str, Any]) -> bool:
    types = converted.get("type", "null")
    if "null" not in ([types] if isinstance(types, str) else types):
        return False
    if None not in converted.get("enum", (None,)) or converted.get("const") is not None:
        return False
    branches = converted.get("anyOf")
    return not branches or any(map(_takes_null, branches))


def _refuse_untyped(converted: Mapping[str, Any], pointer: str) -> None:
    types = converted.get("type")
    if not _TYPING & converted.keys():
        raise _NoStrictFormError(pointer, "type", "nothing that is left of it says what may stand there")
    if (types == "array" or (isinstance(types, list) and "array" in types)) and "items" not in converted:
        raise _NoStrictFormError(pointer, "items", "strict mode wants to know the items of an array")
