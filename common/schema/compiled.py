"""Checks instances against JSON Schemas (drafts 4 to 2020-12) in microseconds, and says what is wrong.

Compiled schemas are cached by content. Nothing is ever fetched: a reference outside the schema resolves only
to ``resources``. Patterns run on a linear engine; look-around and back-references get a backtracking limit,
beyond which a pattern counts as not matched. Schemas whose references multiply one another, or that would
take hundreds of megabytes, are refused; an instance
that would take more time than its size allows, see work, counts as not valid.
"""

import json
import re
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final

import jsonschema_rs
import msgspec

from common.errors import Fault, SchemaError
from common.schema.alternatives import may_nest, without_branch_faults
from common.schema.bundle import bundled
from common.schema.faults import draft_number, explain
from common.schema.footprint import MOST_BYTES, footprint
from common.schema.kept import Kept
from common.schema.patterns import with_flags_in_groups
from common.schema.strict_json import dump_json
from common.schema.typed import TypedReader, typed_reader
from common.schema.violations import MAX_VIOLATIONS, Json, Violation, brief, describe
from common.schema.weight import Weight, weigh
from common.schema.work import count_values, guards, values

_MAX_CACHED: Final = 256
_PATTERNS: Final = jsonschema_rs.FancyRegexOptions(backtrack_limit=10_000, size_limit=16 << 20, dfa_size_limit=4 << 20)
_MOST_BYTES_OF_PARTS: Final = 64 << 20
_ALL_FAULTS_UP_TO_BYTES: Final = 32 << 10
_ALL_FAULTS_UP_TO: Final = 20_000
"""How many there may be at most. Beyond both only the first is told: the validator builds all at once, with copies."""

_MOST_COPIED: Final = 64 << 20
"""Bytes of schema or instance that all faults of one value may hold: each has a copy of both."""

_MOST_QUESTIONS: Final = 1_000_000
"""Asked of one value. Beyond it a schema is refused: its references multiply one another."""

_ALL_FAULTS_UP_TO_LEVELS: Final = 4
"""Beyond it only the root is told to be wrong, where alternatives that hold themselves cannot be rewritten."""

_MULTIPLIED: Final = "its references multiply one another: more than a million questions would be asked of one value"
_packed: Final = msgspec.msgpack.Encoder().encode
_HUGE_DOUBLE: Final = re.compile(rb"\xcb[\x7f\xff]").search
_NO_FLOATS: Final = frozenset({str, int, bool, type(None)})
_AS_A_WHOLE: Final = "does not satisfy the schema; which part of it is to blame cannot be told, look at the whole"
_NO_RESOURCES: Final = "cannot be read with these resources: they must map URIs, as strings, to schemas"
_NOT_JSON: Final = (
    "holds what JSON cannot carry (NaN, infinity, a lone surrogate, a non-string key, nesting beyond 250)"
)


class _Teller:
    """Compiles, once and only if something is wrong, the schema that tells what without telling of branches."""

    __slots__ = ("_compiled", "_formats", "parts")

    def __init__(self, schema: Json, formats: bool, resources: Mapping[str, Json] | None) -> None:
        self.parts = (schema, dict(resources or {}))
        self._formats = formats
        self._compiled: list[jsonschema_rs.Validator | None] = []

    def __call__(self) -> jsonschema_rs.Validator | None:
        """Return it, or None where the schema cannot be rewritten."""
        if not self._compiled:
            schema, resources = without_branch_faults(*self.parts)
            compiled = _compile(schema, self._formats, resources)
            self._compiled.append(None if isinstance(compiled, list) else compiled)
        return self._compiled[0]


class CompiledSchema:
    """One schema, ready to check. Keep it where the same schema is used again and again."""

    __slots__ = (
        "_guards",
        "_most_faults",
        "_nests",
        "_size",
        "_tell",
        "_validator",
        "holds_null",
        "is_valid",
        "schema",
        "typed",
    )

    is_valid: Callable[[Json], bool]
    """Whether an instance, of bounded nesting as parse_json gives it, satisfies the schema."""

    holds_null: bool
    """Whether null stands in the schema or its resources."""

    typed: TypedReader | None
    """What reads and checks most texts in one pass; None if the schema is not plain, or a part."""

    def __init__(self, schema: Json, validator: jsonschema_rs.Validator, weight: Weight, teller: _Teller) -> None:
        """Prepare. ``teller`` makes what says what is wrong, where ``validator`` could take too long for it."""
        self.schema = schema
        self.typed = None
        self._validator = validator
        self._most_faults = weight.faults
        self._size = len(dump_json(schema))
        self._nests = may_nest(teller.parts)
        self._tell = teller
        self.holds_null = any(part is None for part in values(teller.parts))
        self._guards = guards(*teller.parts, weight.questions)
        self.is_valid = self._is_valid_in_time if self._guards else validator.is_valid

    def check(self, instance: Json) -> list[Violation]:
        """Return what is wrong with ``instance``, of bounded nesting as parse_json gives it."""
        for guard in self._guards:
            if (too_much := guard(instance)) is not None:
                return [too_much]
        if self._validator.is_valid(instance):
            return []
        all_of_them = self._may_tell_all(instance)
        if not (self._nests or not all_of_them):
            return _faults(self._validator, instance, True)
        teller = self._tell()
        told = _faults(teller, instance, all_of_them) if teller is not None else []
        if not told and all_of_them and _nests_within(instance, _ALL_FAULTS_UP_TO_LEVELS):
            told = _faults(self._validator, instance, True)
        return told or [Violation("", "anyOf", _AS_A_WHOLE, actual=brief(instance))]

    def _is_valid_in_time(self, instance: Json) -> bool:
        return all(guard(instance) is None for guard in self._guards) and self._validator.is_valid(instance)

    def _may_tell_all(self, instance: Json) -> bool:
        """Return whether the instance is so small that all its faults can be built."""
        most = _ALL_FAULTS_UP_TO / self._most_faults
        size = len(dump_json(instance))
        if max(size, self._size) * self._most_faults > _MOST_COPIED:
            return False
        return size <= _ALL_FAULTS_UP_TO_BYTES and count_values(instance, int(most)) <= most


def _faults(validator: jsonschema_rs.Validator, instance: Json, all_of_them: bool) -> list[Violation]:
    if all_of_them:
        return [describe(error, instance) for error in islice(validator.iter_errors(instance), MAX_VIOLATIONS)]
    try:
        validator.validate(instance)
    except jsonschema_rs.ValidationError as error:
        return [describe(error, instance)]
    return []


def _holds_nan(value: Json) -> bool:
    """Return whether NaN or an infinity stands in a value: what subtracted from itself is not nothing."""
    try:
        # MessagePack, whose doubles are IEEE 754's, mostly shows in less time that there is none.
        if _HUGE_DOUBLE(_packed(value)) is None:
            return False
    except (OverflowError, TypeError):
        pass  # integers beyond 64 bits
    parts: list[Any] = [value]
    for part in parts:
        kind = type(part)
        if kind is dict:
            parts += part.values()
        elif kind is list:
            parts += part
        elif kind is float:
            if part - part:
                return True
        elif kind not in _NO_FLOATS and isinstance(part, dict | list | tuple):
            parts += part.values() if isinstance(part, dict) else part
    return False


def _nests_within(instance: Json, levels: int) -> bool:
    if not isinstance(instance, dict | list):
        return True
    parts = instance.values() if isinstance(instance, dict) else instance
    return levels > 0 and all(_nests_within(part, levels - 1) for part in parts)


_schemas: Final = Kept[CompiledSchema](_MAX_CACHED, MOST_BYTES)
_parts: Final = Kept[CompiledSchema](_MAX_CACHED, _MOST_BYTES_OF_PARTS)


def check(
    instance: Json,
    schema: Json,
    *,
    formats: bool = True,
    resources: Mapping[str, Json] | None = None,
) -> list[Violation]:
    """Return what is wrong with ``instance``: empty if it satisfies ``schema``, at most MAX_VIOLATIONS else.

    ``resources`` maps URIs to the schemas that may be referred to by them. Of instances over 32 KiB, or that could
    have tens of thousands of faults, only the first is told. Raises SchemaError if the schema itself is faulty.
    """
    compiled = compile_schema(schema, formats=formats, resources=resources)
    try:
        # The validator recurses without a guard of its own; the serialiser refuses deep nesting and non-JSON.
        # orjson writes null for NaN.
        if b"null" in dump_json(instance) and _holds_nan(instance):
            return [_not_json(instance)]
        return compiled.check(instance)
    except (ValueError, TypeError, RecursionError):
        return [_not_json(instance)]


def compile_schema(
    schema: Json, *, formats: bool = True, resources: Mapping[str, Json] | None = None
) -> CompiledSchema:
    """Return ``schema`` compiled, from the cache if its content was compiled before.

    Raises SchemaError, with every fault explained, if it cannot be used.
    """
    return _compiled(schema, formats, resources, _schemas)


def compile_part(schema: Json) -> CompiledSchema:
    """Return a part of a schema compiled; raises SchemaError.

    Parts are kept apart from schemas: those of one schema may be hundreds, and displace none of them.
    """
    return _compiled(schema, True, None, _parts)


def _compiled(
    schema: Json, formats: bool, resources: Mapping[str, Json] | None, kept: Kept[CompiledSchema]
) -> CompiledSchema:
    if resources and (unusable := _unusable(resources)):
        raise _refused(unusable)
    content = (_written(schema), _written(dict(resources)) if resources else b"", formats)
    found = kept.get(content)
    if found is not None:
        # orjson writes null for NaN.
        if found.holds_null and _holds_nan((schema, dict(resources or {}))):
            raise _refused([_not_json(schema)])
        return found
    usable = _weighed(schema, formats, resources)
    if isinstance(usable, list):
        raise _refused(usable)
    # What is kept stays as it was, whatever becomes of what was given.
    own, own_resources = json.loads(content[0]), json.loads(content[1] or b"{}")
    validator, weight, size = usable
    compiled = CompiledSchema(own, validator, weight, _Teller(own, formats, own_resources))
    if kept is _schemas and (typed := typed_reader(own)) is not None:
        compiled.typed = typed
        size += typed.size
    kept.put(content, compiled, size)
    return compiled


def check_schema(schema: Json, *, resources: Mapping[str, Json] | None = None) -> list[Violation]:
    """Return what is wrong with ``schema`` itself, pointers into the schema: empty if it can be used."""
    if resources and (unusable := _unusable(resources)):
        return unusable
    try:
        _written(schema)
    except SchemaError:
        return [_not_json(schema)]
    usable = _weighed(schema, True, resources)
    return usable if isinstance(usable, list) else []


def _weighed(
    schema: Json, formats: bool, resources: Mapping[str, Json] | None
) -> tuple[jsonschema_rs.Validator, Weight, int] | list[Violation]:
    try:
        # orjson writes NaN as null.
        text = json.dumps((schema, dict(resources or {})), allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        return [_not_json(schema)]
    size = footprint(text, schema, resources or {})
    if isinstance(size, Violation):
        return [size]
    validator = _compile(schema, formats, resources)
    if isinstance(validator, list):
        return validator
    # Where alternatives may hold themselves their faults are not told, see alternatives.
    weight = weigh(schema, resources, branches_are_told=not may_nest((schema, dict(resources or {}))))
    if weight.questions > _MOST_QUESTIONS:
        return [Violation("", "$ref", _MULTIPLIED, expected="fewer references to what refers on")]
    return validator, weight, size


def _compile(
    schema: Json, formats: bool, resources: Mapping[str, Json] | None
) -> jsonschema_rs.Validator | list[Violation]:
    try:
        grouped = {uri: with_flags_in_groups(part) for uri, part in (resources or {}).items()}
        bundle: dict[str, Any] = {"retriever": bundled(grouped, draft_number(schema))} if grouped else {"offline": True}
        return jsonschema_rs.validator_for(
            with_flags_in_groups(schema), validate_formats=formats, pattern_options=_PATTERNS, **bundle
        )
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        return explain(schema, error)


def _refused(violations: list[Violation]) -> SchemaError:
    faults = [Fault(v.pointer, v.message, v.keyword) for v in violations]
    first = violations[0]
    return SchemaError(f"the JSON Schema cannot be used: at {first.pointer or 'its root'}: {first.message}", faults)


def _unusable(resources: Mapping[str, Json]) -> list[Violation]:
    if isinstance(resources, Mapping) and all(isinstance(uri, str) for uri in resources):
        return []
    return [Violation("", "resources", _NO_RESOURCES, expected="URIs with schemas", actual=type(resources).__name__)]


def _not_json(value: Json) -> Violation:
    return Violation("", "json", _NOT_JSON, expected="a JSON value", actual=type(value).__name__)


def _written(schema: Json) -> bytes:
    try:
        return dump_json(schema)
    except (ValueError, TypeError, RecursionError):
        raise _refused([_not_json(schema)]) from None
