"""Gives the best-known value of an answer that is still arriving, for live views. Pure; never a verdict.

A completed leaf never changes: a string, number or word is given once it has ended, and members and items only
appear. Fences, prose and thoughts before the value are skipped as they come. Only strict JSON is followed; what
needs mending shows when the whole answer is judged.
"""

import re
from typing import Any, Final

import orjson

from common.schema import Json

MAX_DEPTH: Final = 64
_OPEN: Final = re.compile(r"<(?:think|thinking|thoughts?|reasoning)>", re.IGNORECASE)
_CLOSE: Final = re.compile(r"</(?:think|thinking|thoughts?|reasoning)>", re.IGNORECASE)
_START: Final = re.compile(r'\{\s*["}]|\[\s*["\[{\]\-0-9tfn]')
_TOKEN: Final = re.compile(r'\s*(?:([{}\[\]:,])|("(?:[^"\\\x00-\x1f]|\\.)*+")|([^\s{}\[\]:,"]+)(?=[\s{}\[\]:,]))')
_TAG_CHARS: Final = 16
_WAITING: Final = object()


class PartialExtractor:
    """Feed it the text as it arrives; ``value`` is what is known so far."""

    def __init__(self) -> None:
        self._pending = ""
        self._thinking = False
        self._stack: list[dict[str, Json] | list[Json]] = []
        self._keys: list[str | None] = []
        self._root: Any = _WAITING
        self._key_wanted = False
        self._in_string = False
        self.complete = False
        """The value is closed: nothing that follows changes it."""
        self.broken = False
        """The text is not strict JSON from here on; ``value`` stays as it is."""

    @property
    def value(self) -> Json:
        """The value so far, None before it begins. It goes on growing; copy it to keep it."""
        return None if self._root is _WAITING else self._root

    @property
    def started(self) -> bool:
        """Whether the value has begun."""
        return self._root is not _WAITING

    def feed(self, text: str) -> Json:
        """Take the next piece of the answer and return the value so far."""
        if not (self.complete or self.broken):
            self._pending += text
            if self._in_string and '"' not in text:
                return self.value  # a long string is not searched anew with each piece of it
            if self._root is _WAITING:
                self._find_start()
            if self._root is not _WAITING:
                self._read()
        return self.value

    def _find_start(self) -> None:
        """Drop what comes before the value, but what may be the beginning of it or of a tag."""
        while True:
            if self._thinking:
                closing = _CLOSE.search(self._pending)
                if closing is None:
                    self._pending = self._pending[-_TAG_CHARS:]
                    return
                self._pending, self._thinking = self._pending[closing.end() :], False
            opening, start = _OPEN.search(self._pending), _START.search(self._pending)
            if opening is not None and (start is None or opening.start() < start.start()):
                self._pending, self._thinking = self._pending[opening.end() :], True
                continue
            if start is not None:
                opener = self._pending[start.start()]
                self._root = {} if opener == "{" else []
                self._push(self._root)
                self._pending = self._pending[start.start() + 1 :]
                return
            bracket = re.search(r"[\[{]\s*\Z", self._pending)
            keep = bracket.start() if bracket else max(0, len(self._pending) - _TAG_CHARS)
            self._pending = self._pending[keep:]
            return

    def _read(self) -> None:
        position = 0
        while not (self.complete or self.broken):
            token = _TOKEN.match(self._pending, position)
            if token is None:
                break
            position = token.end()
            self._take(token)
        self._pending = self._pending[position:]
        self._in_string = self._pending.lstrip()[:1] == '"'

    def _take(self, token: re.Match[str]) -> None:
        mark, string, word = token.groups()
        try:
            if mark is not None:
                self._structure(mark)
            elif string is not None and self._key_wanted:
                self._keys[-1], self._key_wanted = str(orjson.loads(string)), False
            else:
                self._put(orjson.loads(string if string is not None else word))
        except (orjson.JSONDecodeError, IndexError):
            self.broken = True

    def _structure(self, mark: str) -> None:
        match mark:
            case "{" | "[":
                child: dict[str, Json] | list[Json] = {} if mark == "{" else []
                self._put(child)
                self._push(child)
            case "}" | "]":
                if isinstance(self._stack[-1], dict) is not (mark == "}"):
                    self.broken = True
                    return
                self._stack.pop()
                self._keys.pop()
                self._key_wanted = False
                self.complete = not self._stack
            case ",":
                self._key_wanted = isinstance(self._stack[-1], dict)
            case _:
                self.broken = not isinstance(self._stack[-1], dict) or self._key_wanted

    def _push(self, container: dict[str, Json] | list[Json]) -> None:
        self._stack.append(container)
        self._keys.append(None)
        self._key_wanted = isinstance(container, dict)
        self.broken = len(self._stack) > MAX_DEPTH

    def _put(self, value: Json) -> None:
        top = self._stack[-1]
        if isinstance(top, list):
            top.append(value)
            return
        key = self._keys[-1]
        if self._key_wanted or key is None or key in top:
            self.broken = True
            return
        top[key] = value
        self._keys[-1] = None
