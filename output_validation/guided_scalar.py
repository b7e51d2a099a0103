"""Reads one scalar as a schema's types, enum or format demand, where it can be read in one way only. Pure.

Each function returns the value and how it was read, or None.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeAlias

from common.errors import StrictJsonError
from common.schema import Json, parse_json
from output_validation.extraction import RepairKind
from output_validation.guided_date import read_date
from output_validation.numbers import has_rounded_numbers, is_exact

Read: TypeAlias = tuple[Json, RepairKind]

_NUMBER: Final = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,300})(?:\.[0-9]{1,300})?(?:[eE][-+]?[0-9]{1,3})?")
_GROUPED: Final = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:(?:,[0-9]{3}){2,100}(?:\.[0-9]{1,300})?|,[0-9]{3}\.[0-9]{1,300})")
_TRUE: Final = frozenset({"true", "yes", "y", "on"})
_FALSE: Final = frozenset({"false", "no", "n", "off"})
_NULL: Final = frozenset({"null", "none", "nil", ""})
_NOTHING: Final = _NULL | {"n/a", "n.a.", "not available", "not applicable", "-", "--", "\u2013", "\u2014"}
"""What is written where there is nothing to be written, and no text may stand."""

_DECORATED: Final = re.compile(r"(['\"`*_]{1,3})([^'\"`*_]{1,200})\1")
_SEPARATORS: Final = re.compile(r"(?<=[^\W_])(?:(?<=[0-9])[\s_\-.]+(?![0-9])|(?<![0-9])[\s_\-.]+)(?=[^\W_])")
"""What may stand between the words of an option. A slash is none: it stands between two things, or in n/a."""

_SLASH: Final = re.compile(r"(?<!\s)\s*+/\s*+")
_LETTERS_APART: Final = re.compile(r"[^\W\d_](?:[\s_-]+[^\W\d_])+")
_SEVERAL: Final = re.compile(r"[,;|\n\u3001\uff0c\uff1b]")
_NO_ITEM: Final = _NOTHING | {"na"}
_BRACKETS: Final = frozenset("[({<")
_MAX_ENUM: Final = 2_000
_MAX_DECODED: Final = 3
_JSON_STARTS: Final = frozenset('{["')


def read_scalar_as(value: Json, types: frozenset[str]) -> Read | None:
    """Return ``value``, which is of none of ``types``, as the one of them it can be read as."""
    match value:
        case str():
            readings = [_number(value, types), _boolean(value, types), _null(value, types), _decoded(value, types)]
        case bool():
            readings = []
        case int():
            text = (str(value), RepairKind.TEXT_READ) if "string" in types and value.bit_length() < 4096 else None
            flag = (value == 1, RepairKind.BOOLEAN_READ) if "boolean" in types and value in (0, 1) else None
            readings = [text, flag]
        case _:
            readings = []
    found = [reading for reading in readings if reading is not None]
    return found[0] if len(found) == 1 else None


def may_be_one_item(value: Json) -> bool:
    """Return whether a value is one item and not several written in one text."""
    if not isinstance(value, str):
        return value is not None
    text = value.strip()
    return text.casefold() not in _NO_ITEM and text[0] not in _BRACKETS and _SEVERAL.search(value) is None


@dataclass(frozen=True, slots=True)
class OptionIndex:
    """An enum's scalars, and where the option of each spelling stands: None for a spelling that several share."""

    scalars: frozenset[tuple[bool, Json]]
    by_case: dict[str, int | None]
    by_letters: dict[str, int | None]


def index_options(options: Sequence[Json]) -> OptionIndex:
    """Return the index of an enum by which read_enum finds its options."""
    by_case: dict[str, int | None] = {}
    by_letters: dict[str, int | None] = {}
    for number, option in enumerate(options[:_MAX_ENUM]):
        for index, spelled in ((by_case, _spelled(option)), (by_letters, _joined(option))):
            index[spelled] = None if spelled in index else number
    scalars = frozenset((isinstance(o, bool), o) for o in options if not isinstance(o, dict | list))
    return OptionIndex(scalars, by_case, by_letters)


def is_option(value: Json, options: Sequence[Json], index: OptionIndex) -> bool:
    """Return whether ``value`` is one of the options as it stands; 1.0 is 1, and neither is true."""
    if isinstance(value, dict | list):
        return value in options
    return (isinstance(value, bool), value) in index.scalars


def read_enum(value: Json, options: Sequence[Json], index: OptionIndex) -> Read | None:
    """Return the one option that ``value`` names by another case, other separators or another type."""
    if len(options) > _MAX_ENUM or isinstance(value, dict | list | float):
        return None
    spelled = _spelled(value)
    as_sentence = _undecorated(spelled) if isinstance(value, str) else ""
    for places, wanted in (
        (index.by_case, spelled),
        (index.by_letters, _joined(value)),
        (index.by_case, as_sentence),
    ):
        found = places.get(wanted) if wanted else None
        if found is not None:
            is_number = isinstance(value, int) and not isinstance(value, bool)
            return options[found], RepairKind.TEXT_READ if is_number else RepairKind.ENUM_MATCHED
    return _null(value, frozenset({"null"})) if isinstance(value, str) and (False, None) in index.scalars else None


def read_format(value: str, name: str, types: frozenset[str]) -> Read | None:
    """Return a date or time written otherwise in the form that the format demands, null for what says there is none."""
    if nothing := _null(value, types):
        return nothing
    read = read_date(value, name)
    return None if read is None or read == value else (read, RepairKind.DATE_READ)


def _spelled(value: Json) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return value.strip().casefold()
        case _:
            return ""


def _undecorated(word: str) -> str:
    """Return a word without what stands around it in a sentence or in Markdown."""
    word = word.removesuffix(".")
    inner = _DECORATED.fullmatch(word)
    return inner[2].strip() if inner else word


def _joined(value: Json) -> str:
    """Return a text without the separators between its words: a sign, or the point of a number, is none.

    Single letters are no words: n - a is not NA.
    """
    spelled = _spelled(value) if isinstance(value, str) else ""
    joined = _SEPARATORS.sub(" " if _LETTERS_APART.fullmatch(spelled) else "", spelled)
    return _SLASH.sub("/", joined)


def _number(value: str, types: frozenset[str]) -> Read | None:
    if not types & {"integer", "number"}:
        return None
    text = value.strip()
    if _GROUPED.fullmatch(text):
        text = text.replace(",", "")
    elif not _NUMBER.fullmatch(text):
        return None
    if re.fullmatch(r"[+-]?[0-9]+", text):
        return int(text), RepairKind.NUMBER_READ
    if "number" in types:
        # A text that was rounded would not tell so.
        return (float(text), RepairKind.NUMBER_READ) if is_exact(text) else None
    exact = Decimal(text)
    is_whole = float(text) not in (float("inf"), float("-inf")) and exact == exact.to_integral_value()
    return (int(exact), RepairKind.NUMBER_READ) if is_whole else None


def _boolean(value: str, types: frozenset[str]) -> Read | None:
    word = _undecorated(value.strip().casefold())
    if "boolean" not in types or word not in _TRUE | _FALSE:
        return None
    return word in _TRUE, RepairKind.BOOLEAN_READ


def _null(value: str, types: frozenset[str]) -> Read | None:
    return (None, RepairKind.NULL_READ) if "null" in types and value.strip().casefold() in _NOTHING else None


def _decoded(value: str, types: frozenset[str]) -> Read | None:
    """Return the object or array that a string holds as JSON."""
    inner: Json = value.strip()
    if not types & {"object", "array"}:
        return None
    for _ in range(_MAX_DECODED):
        if not isinstance(inner, str) or inner[:1] not in _JSON_STARTS:
            break
        try:
            text, inner = inner, parse_json(inner)
        except StrictJsonError:
            return None
        if has_rounded_numbers(text.encode()):
            return None  # nobody would be told
    wanted = "object" if isinstance(inner, dict) else "array"
    return (inner, RepairKind.STRING_DECODED) if isinstance(inner, dict | list) and wanted in types else None
