"""Parses JSON text and takes nothing doubtful: no NaN, duplicate keys, lone surrogates, NULs or deep nesting.

About as fast as orjson: cheap counts over the bytes show that nearly every text is free of doubt; only the
rest is read again, slowly. Integers stay exact; numbers beyond the range of a double are refused.
"""

import json
import re
from math import isinf
from typing import Any, Final, NoReturn

import orjson

from common.errors import StrictJsonError
from common.schema.locate import depth_within, offset_of_deep, offset_of_duplicate, pointer_at

Json = Any

MAX_DEPTH: Final = 64
_LONG_NUMBER: Final = b"0" * 16
_STRIDE: Final = 5
_PART_OF_LONG_NUMBER: Final = b"0" * (len(_LONG_NUMBER) // _STRIDE)
_LONGEST_EXACT: Final = b"0" * 19
_INDENTED_UP_TO_BYTES: Final = 1 << 16
_INDENT: Final = orjson.OPT_INDENT_2
_DIGITS_TO_ZERO: Final = bytes.maketrans(b"123456789", b"0" * 9)
_ESCAPED_COLON: Final = re.compile(rb"\\u003[aA]")
_ESCAPED_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*+\\u0000")


def parse_json(text: bytes | str, *, max_depth: int = MAX_DEPTH) -> Json:
    """Return the value of a JSON text.

    Containers may nest ``max_depth`` deep (at most 250). Raises StrictJsonError.
    """
    raw = text if isinstance(text, bytes) else _encode(text)
    try:
        return parse_quickly(raw, max_depth)[0]
    except orjson.JSONDecodeError as error:
        _refuse_unreadable(raw, error, max_depth)


def parse_quickly(raw: bytes, max_depth: int) -> tuple[Json, bool]:
    """Return the value of a JSON text with exact integers, and whether it has long numbers, as below.

    Raises StrictJsonError for what is doubtful, and orjson.JSONDecodeError, which costs less, for what is not JSON.
    """
    # One function, without calls for what nearly every text has not: a call costs as much as a search.
    value = orjson.loads(raw)
    try:
        if len(raw) <= _INDENTED_UP_TO_BYTES:
            written = orjson.dumps(value, None, _INDENT)
            # Fewer characters than so many openings alone, 2 + 4 + ... 2 * max_depth, cannot be deep.
            may_be_deep = len(written) > max_depth * (max_depth + 1) and b"  " * max_depth in written
        else:
            written = orjson.dumps(value)
            may_be_deep = raw.count(b"[") + raw.count(b"{") > max_depth
    except orjson.JSONEncodeError:
        _refuse_deep(raw, max_depth)
    if may_be_deep and not depth_within(raw, max_depth):
        _refuse_deep(raw, max_depth)
    long_numbers = has_long_numbers(raw)
    at = raw.find(b"\\")
    if at >= 0 and raw.rfind(b"\\u0000", at) >= 0 and (nul := _ESCAPED_NUL.search(raw)):
        _refuse(raw, "nul", "a string holds the NUL character", "Remove it.", nul.start())
    if written != raw and (
        # A member was dropped for its key: strings keep their colons when written again, unless one was escaped.
        (at >= 0 and raw.rfind(b"\\u003", at) >= 0 and _ESCAPED_COLON.search(raw, at))
        or written.count(b":") != raw.count(b":")
        or (long_numbers and _LONGEST_EXACT in raw.translate(_DIGITS_TO_ZERO))
    ):
        value = _parse_exactly(raw)
    return value, long_numbers


def has_long_numbers(raw: bytes) -> bool:
    """Return whether 16 digits stand together, as in each number that a double does not hold exactly."""
    return has_part_of_long_number(raw) and _LONG_NUMBER in raw.translate(_DIGITS_TO_ZERO)


def has_part_of_long_number(raw: bytes) -> bool:
    """Return whether 16 digits may stand together: the cheaper question, by which nearly every text is free of them.

    The searches from behind, here and above, are the faster ones for what is hardly ever there.
    """
    return raw[::_STRIDE].translate(_DIGITS_TO_ZERO).rfind(_PART_OF_LONG_NUMBER) >= 0


def dump_json(value: Json) -> bytes:
    """Return ``value`` as compact JSON text in UTF-8; integers of any size are exact."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        # orjson stops at 64 bits.
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _encode(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        before = text[: error.start].encode()
        _refuse(before, "encoding", "a lone surrogate is not Unicode text", "Remove it.", len(before))


class _DuplicateKeyError(Exception):
    """Leaves the parser from inside its hook."""


def _members(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise _DuplicateKeyError(key)
        seen.add(key)
    return found


def _parse_exactly(raw: bytes) -> Json:
    """Read again what orjson has read already, slower, with exact integers and an eye on keys."""
    try:
        return json.loads(raw, object_pairs_hook=_members)
    except _DuplicateKeyError as duplicate:
        key = duplicate.args[0]
        offset = offset_of_duplicate(raw, key)
        _refuse(
            raw,
            "duplicate-key",
            f'the key "{key[:60]}" stands twice in one object',
            "Keep one of them.",
            offset,
        )


def _refuse_deep(raw: bytes, max_depth: int) -> NoReturn:
    problem = f"objects and arrays nest deeper than {max_depth}"
    _refuse(raw, "depth", problem, "Flatten the value.", offset_of_deep(raw, max_depth))


def _refuse_unreadable(raw: bytes, error: orjson.JSONDecodeError, max_depth: int) -> NoReturn:
    try:
        text = raw.decode()
    except UnicodeDecodeError as undecodable:
        _refuse(raw, "encoding", "the text is not UTF-8", "Encode it as UTF-8.", undecodable.start)
    # orjson's positions count characters; ours count bytes.
    offset = len(text[: error.pos].encode())
    if offset_of_deep(raw[: offset + 1], max_depth) is not None:
        _refuse_deep(raw[: offset + 1], max_depth)
    problem, mend = _worded(raw, offset, error.msg)
    _refuse(raw, "syntax", problem, mend, offset)


_NUMBER: Final = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_LITERALS: Final = re.compile(rb"-?(?:NaN|Infinity)|True|False|None|undefined")


def _worded(raw: bytes, offset: int, fallback: str) -> tuple[str, str]:
    """Return problem and mend for the commonest mistakes, else the parser's own words."""
    rest = raw[offset : offset + 16]
    worded = fallback.partition(":")[0], "Mend the text at this place."
    if not raw.strip():
        worded = "the text is empty", "Send a JSON value."
    elif literal := _LITERALS.match(rest):
        worded = f"{literal.group().decode()} is not JSON", "Use null, true, false or a string."
    elif (number := _NUMBER.match(raw, offset)) and isinf(float(number.group())):
        worded = "a number is beyond the range of a double", "Send it as a string."
    elif offset == 0 and raw.startswith(b"\xef\xbb\xbf"):
        worded = "the text begins with a byte order mark", "Remove it."
    elif rest[:1] == b"'":
        worded = "a single quote is not JSON", "Put strings and keys in double quotes."
    elif rest[:1] in (b"}", b"]") and raw[:offset].rstrip().endswith(b","):
        worded = "a comma stands before the closing bracket", "Remove it."
    elif offset >= len(raw.rstrip()):
        worded = "the text ends too early", "Close what is open."
    return worded


def _refuse(raw: bytes, code: str, problem: str, mend: str, offset: int | None) -> NoReturn:
    place = offset or 0
    before = raw[:place]
    line_start = before.rfind(b"\n") + 1
    raise StrictJsonError(
        code,
        problem,
        mend=mend,
        pointer="" if offset is None else pointer_at(raw, place),
        offset=place,
        line=before.count(b"\n") + 1,
        column=len(before[line_start:].decode(errors="replace")) + 1,
    ) from None
