"""Reads the words and numbers of faulty JSON: Python's and JavaScript's literals, odd numbers, bare words. Pure."""

import re
from math import isinf
from typing import Final

from common.schema import Json
from output_validation.extraction import Repair, RepairKind
from output_validation.tolerant_text import UnreadableError

_BARE: Final = re.compile(
    r"""[^\s,:;\uff0c\uff1a\uff1b{}\[\]"'`\u201c\u201d\u201e\u2018\u2019#\\/()\x00-\x1f\x7f\u200b-\u200f\u2060\ufeff]+"""
)
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_ODD_NUMBER: Final = re.compile(
    r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[+-]?[1-9][0-9]{0,2}(?:_[0-9]{3})+"
)
_HEX: Final = re.compile(r"[+-]?0[xX][0-9a-fA-F]{1,16}")
_WORD: Final = re.compile(r"[^\W\d][\w.@+-]*|[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NUMBER_SIGN: Final = re.compile(r"[ \t]*#")
_DATE_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?(?=\s*[,}\]])"
)
_MAX_DIGITS: Final = 4000
_LITERALS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}
_WORDED_OTHERWISE: Final[dict[str, bool | None]] = {
    "True": True,
    "TRUE": True,
    "False": False,
    "FALSE": False,
    "None": None,
    "NULL": None,
    "Null": None,
    "nil": None,
}
_NOT_A_NUMBER: Final = frozenset({"NaN", "nan", "NAN", "-NaN"})
_INFINITE: Final = re.compile(r"[+-]?(?:Infinity|inf|Inf|INFINITY)\Z")
_PLACEHOLDERS: Final = re.compile(
    r"\.{2,}|…|undefined_|(?:n/?a|string|number|integer|boolean|placeholder|omitted|truncated)\Z", re.IGNORECASE
)
"""What stands for a value that is not there: signs, the name of a type, or of a gap."""


def read_scalar(text: str, start: int, limit: int) -> tuple[Json, int, Repair | None]:
    """Return what stands at ``start`` that is neither string nor container, its end, and what was mended."""
    if moment := _DATE_TIME.match(text, start, limit):
        return moment.group(), moment.end(), Repair(RepairKind.VALUE_QUOTED, start, moment.end())
    found = _BARE.match(text, start, limit)
    if found is None:
        raise UnreadableError(start, "a value is missing")
    word, end = found.group(), found.end()
    if text.startswith("#", end, limit) or (text.startswith("/", end, limit) and _WORD.fullmatch(word)):
        raise UnreadableError(end, "a word that a comment may begin in")  # C#, and/or
    if word in _LITERALS:
        return _LITERALS[word], end, None
    if word in _WORDED_OTHERWISE:
        return _WORDED_OTHERWISE[word], end, Repair(RepairKind.LITERAL_REPLACED, start, end)
    if (replaced := _replaced(word)) is not None:
        return None, end, Repair(replaced, start, end)
    number = _NUMBER.fullmatch(word)
    if number is not None:
        return _number(word, bool(number.group(1) or number.group(2)), start), end, None
    if _HEX.fullmatch(word):
        return int(word, 16), end, Repair(RepairKind.NUMBER_MENDED, start, end)
    if _ODD_NUMBER.fullmatch(word):
        plain = word.lstrip("+").replace("_", "").removesuffix(".")
        is_float = any(sign in plain for sign in ".eE")
        return _number(plain, is_float, start), end, Repair(RepairKind.NUMBER_MENDED, start, end)
    # What seems a comment behind a word may be a part of it: issue #12.
    if _WORD.fullmatch(word) and not _PLACEHOLDERS.match(word) and not _NUMBER_SIGN.match(text, end, limit):
        return word, end, Repair(RepairKind.VALUE_QUOTED, start, end)
    raise UnreadableError(start, "neither a JSON value nor a word")


def _replaced(word: str) -> RepairKind | None:
    """Return how null in place of JavaScript's other values is called."""
    if word in _NOT_A_NUMBER:
        return RepairKind.NAN_REPLACED
    if _INFINITE.match(word):
        return RepairKind.INFINITY_REPLACED
    return RepairKind.UNDEFINED_REPLACED if word == "undefined" else None


def _number(token: str, is_float: bool, start: int) -> int | float:
    if len(token) > _MAX_DIGITS:
        raise UnreadableError(start, "a number has thousands of digits")
    value = float(token)
    if isinf(value):
        raise UnreadableError(start, "a number is beyond the range of a double")
    return value if is_float else int(token)
