"""Finds where in a JSON text a fault stands: byte offsets and JSON Pointers, one linear pass over its tokens.

Used for texts that are refused anyway. Only the first MAX_TOKENS tokens are searched for the place.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

import orjson

from common.schema.violations import cut, to_pointer

MAX_TOKENS: Final = 100_000
_STRING: Final = rb'"(?:[^"\\]+|\\.)*+"?'
_STRINGS: Final = re.compile(_STRING, re.DOTALL)
_TOKEN: Final = re.compile(_STRING + rb'|[{}\[\],:]|[^\s"{}\[\],:]+', re.DOTALL)
_ALL_BRACKETS_SQUARE: Final = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"{}[]"))


def depth_within(raw: bytes, max_depth: int) -> bool:
    """Return whether the containers of a well-formed text nest at most ``max_depth`` deep."""
    brackets = _STRINGS.sub(b"", raw).translate(_ALL_BRACKETS_SQUARE, _NOT_BRACKETS)
    for _ in range(max_depth):
        if not brackets:
            return True
        # Each pass removes the innermost level.
        brackets = brackets.replace(b"[]", b"")
    return not brackets


def values_within(raw: bytes, most: int) -> bool:
    """Return whether a text holds at most ``most`` values, members and items; cheap, and before it is parsed."""
    return _separators(raw) <= most or _separators(_STRINGS.sub(b"", raw)) <= most


def _separators(raw: bytes) -> int:
    return raw.count(b",") + raw.count(b"[") + raw.count(b"{")


def offset_of_duplicate(raw: bytes, key: str) -> int | None:
    """Return where ``key`` stands for the second time in one object."""
    return next((step.offset for step in _steps(raw) if step.repeated and step.key == key), None)


def offset_of_deep(raw: bytes, max_depth: int) -> int | None:
    """Return where the first container stands that nests deeper than ``max_depth``."""
    return next((step.offset for step in _steps(raw) if step.depth > max_depth and step.token in b"{["), None)


def pointer_at(raw: bytes, offset: int) -> str:
    """Return the JSON Pointer of what stands at ``offset``, or the root's if it is too far in.

    It is to be stored and shown, so a key's NUL stands as U+FFFD.
    """
    levels: list[_Level] = []
    count = sum(1 for _ in _steps(raw, levels, until=offset))
    if count >= MAX_TOKENS:
        return ""
    places = [level.at for level in levels if level.keys is None or not level.expects_key]
    return cut(to_pointer(places), 400).replace("\0", "\ufffd")


@dataclass(slots=True)
class _Level:
    """One open container: the keys seen (None for an array) and the place of the current member."""

    keys: set[str] | None
    at: str | int
    expects_key: bool


@dataclass(frozen=True, slots=True)
class _Step:
    """One token, how deep it stands (an opening bracket counts itself), and the key it is, if it is one."""

    token: bytes
    offset: int
    depth: int
    key: str | None = None
    repeated: bool = False


def _steps(raw: bytes, levels: list[_Level] | None = None, until: int | None = None) -> Iterator[_Step]:
    """Yield the tokens; ``levels`` is kept as the open containers after each of them.

    Stops after the token that stands at ``until``, before it if it opens a container.
    """
    levels = [] if levels is None else levels
    end = len(raw) if until is None else until
    for match in islice(_TOKEN.finditer(raw), MAX_TOKENS):
        token, offset = match.group(), match.start()
        if offset > end or (offset == end and token in (b"{", b"[")):
            return
        top = levels[-1] if levels else None
        key, repeated = None, False
        if token == b"{":
            levels.append(_Level(set(), "", True))
        elif token == b"[":
            levels.append(_Level(None, 0, False))
        elif token in (b"}", b"]"):
            del levels[-1:]
        elif token == b"," and top is not None:
            _next_member(top)
        elif token[:1] == b'"' and top is not None and top.keys is not None and top.expects_key:
            key = _unquote(token)
            repeated = key in top.keys
            top.keys.add(key)
            top.at, top.expects_key = key, False
        yield _Step(token, offset, len(levels), key, repeated)


def _next_member(level: _Level) -> None:
    if level.keys is None:
        level.at = int(level.at) + 1
    else:
        level.expects_key = True


def _unquote(token: bytes) -> str:
    try:
        return str(orjson.loads(token))
    except orjson.JSONDecodeError:
        return token[1:].decode(errors="replace")
