"""Gives the best-known value of an answer that is still arriving, for live views. Pure; never a verdict.

A completed leaf never changes: a string, number or word is given once it has ended and what follows may follow it,
and members and items only appear. Fences, prose and thoughts before the value are skipped as they come; only what
turns out to be a thought by its closing tag alone is taken back. Only strict JSON is followed; what needs mending
shows when the whole answer is judged. Each character is looked at once.
"""

import re
from typing import Any, Final

import orjson

from common.schema import Json
from output_validation.candidates import CITATION
from output_validation.thoughts import MAX_TAG_CHARS, TAG, is_quoted_so_far

MAX_DEPTH: Final = 64
_MAX_WORD_CHARS: Final = 400
_MAX_INDENT: Final = 200
_START: Final = re.compile(r'\{\s*["}]|\[\s*(?:["\[{\]\-0-9]|(?:true|false|null)\s*[,\]])')
_EMPTY: Final = re.compile(r"\{\s*\}|\[\s*\]")
_MAY_BE_CITATION: Final = re.compile(r"\[[0-9, ]{0,20}\Z")
_LONE_BRACKET: Final = re.compile(r"[\[{](\s*)\Z")
_SPACE: Final = re.compile(r"\s*")
_IN_STRING: Final = re.compile(r'(?:[^"\\\x00-\x1f]++|\\.)*+')
_WORD: Final = re.compile(r'[^\s{}\[\]:,"]+')
_INTEGER: Final = re.compile(r"-?[0-9]++")
_SIGN: Final = re.compile(r"[{\[>\]▷]")
_WAITING: Final = object()


class PartialExtractor:
    """Feed it the text as it arrives; ``value`` is what is known so far."""

    def __init__(self) -> None:
        self._pending = ""
        self._thought_by: str | None = None
        self._thought_ended = False
        self._opened = 0
        self._unclosed = 0
        """Tags that opened a thought in a thought: each later closing tag may end one."""
        self._is_line_blank = True
        self._begin()

    def _begin(self) -> None:
        self._stack: list[dict[str, Json] | list[Json]] = []
        self._keys: list[str | None] = []
        self._root: Any = _WAITING
        self._key_wanted = False
        self._open_string: list[str] | None = None
        self._whole_string: str | None = None
        self.complete = False
        """The value is closed: nothing that follows changes it, but that it was a thought."""
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
        self._pending += text
        if self._root is _WAITING:
            self._find_start()
        if self._root is not _WAITING and not (self.complete or self.broken):
            self._read()
        if (self.complete or self.broken) and self._was_thought():
            self._begin()
            return self.feed("")
        return self.value

    def _was_thought(self) -> bool:
        """Return whether what follows the value says that all before it was a thought."""
        if self._thought_ended and not self._unclosed:
            self._pending = ""
            return False
        tag = self._next_tag()
        while tag is not None and tag.lastgroup == "close":
            is_quoted = is_quoted_so_far(self._pending, tag)
            if is_quoted is None:
                self._pending = self._pending[tag.start() :]
                return False
            if not is_quoted:
                break
            self._pending = self._pending[tag.end() :]
            tag = self._next_tag()
        if tag is None:
            self._keep_last(MAX_TAG_CHARS)
            return False
        self._thought_ended = True
        if tag.lastgroup != "close":
            self._unclosed = 0
            return False
        self._unclosed = max(self._unclosed - 1, 0)
        self._pending, self._is_line_blank = self._pending[tag.end() :], True
        return True

    def _next_tag(self) -> re.Match[str] | None:
        return next((t for t in TAG.finditer(self._pending) if t.lastgroup != "end"), None) if self._may_act() else None

    def _may_act(self) -> bool:
        """Return whether there is a sign without which nothing begins and no tag ends."""
        return _SIGN.search(self._pending) is not None

    def _keep_last(self, chars: int) -> None:
        # Now and then: cutting off one character at a time would cost more than keeping some.
        if len(self._pending) > 2 * chars:
            self._pending = self._pending[-chars:]

    def _find_start(self) -> None:
        """Drop what comes before the value, but what may be the beginning of it or of a tag."""
        if not self._may_act():
            if self._thought_by is not None:
                self._keep_last(MAX_TAG_CHARS)
            elif len(self._pending) > 2 * MAX_TAG_CHARS:
                self._drop(len(self._pending) - MAX_TAG_CHARS, 0)
            return
        position = 0
        start: int | None = None
        while True:
            tag = TAG.search(self._pending, position)
            until = len(self._pending) if tag is None else tag.start()
            start = self._value_start(position, until) if self._thought_by is None else None
            if tag is None or start is not None:
                break
            self._pass(tag)
            position = tag.end()
        if self._thought_by is not None:
            self._pending = self._pending[max(position, len(self._pending) - MAX_TAG_CHARS) :]
        elif start is None:
            if bracket := _LONE_BRACKET.search(self._pending, position):
                self._pending = self._pending[: bracket.start(1)]
            self._drop(max(position, len(self._pending) - MAX_TAG_CHARS), position)
        elif _MAY_BE_CITATION.match(self._pending, start) and not self._leads_line(start, position):
            self._drop(start, position)
        else:
            self._root = {} if self._pending[start] == "{" else []
            self._push(self._root)
            self._pending = self._pending[start + 1 :]

    def _pass(self, tag: re.Match[str]) -> None:
        """Go on behind a tag, in a thought or out of it."""
        kind = tag.lastgroup
        if kind in {"open", "channel"}:
            self._opened += 1
            self._thought_by = self._thought_by or kind
        elif kind == "close" or (kind == "end" and self._thought_by == "channel"):
            self._unclosed = max(self._unclosed + self._opened - 1, 0)
            self._thought_by, self._thought_ended, self._opened = None, True, 0
        self._is_line_blank = True

    def _value_start(self, position: int, until: int) -> int | None:
        """Return where a value begins. In a line with words, {} and [1] are no value."""
        for found in _START.finditer(self._pending, position, until):
            at = found.start()
            is_aside = CITATION.match(self._pending, at) or _EMPTY.match(self._pending, at)
            if is_aside is None or self._leads_line(at, position):
                return at
        return None

    def _leads_line(self, at: int, position: int) -> bool:
        """Return whether nothing but blanks stands before ``at``; a line begins anew at ``position``, behind a tag."""
        first = max(position, at - _MAX_INDENT)
        *earlier, line = self._pending[first:at].rsplit("\n", 1)
        return not line.lstrip("\ufeff").strip() and (bool(earlier) or (first == position and self._is_line_blank))

    def _drop(self, end: int, position: int) -> None:
        self._is_line_blank = self._leads_line(end, position)
        self._pending = self._pending[end:]

    def _read(self) -> None:
        position = 0
        while not (self.complete or self.broken):
            position = self._space_end(position)
            if position == len(self._pending):
                break
            after = self._take(position)
            if after is None or after == position:
                break
            position = after
        self._pending = self._pending[position:]

    def _space_end(self, position: int) -> int:
        if self._open_string is not None:
            return position
        space = _SPACE.match(self._pending, position)
        return space.end() if space else position

    def _take(self, position: int) -> int | None:
        """Take what stands there and return its end, None if it may go on with the next piece."""
        if self._open_string is not None:
            return self._string(self._open_string, position)
        mark = self._pending[position]
        if self._whole_string is not None:
            if mark not in (":" if self._key_wanted else ",]}"):
                self.broken = True
                return None
            self._leaf(self._whole_string)
            self._whole_string = None
        elif mark == '"':
            self._open_string = ['"']
            return position + 1
        if mark in "{}[]:,":
            self._structure(mark)
            return position + 1
        word = _WORD.match(self._pending, position)
        if word is None or word.end() == len(self._pending):
            self.broken = len(self._pending) - position > _MAX_WORD_CHARS
            return None
        self._leaf(word.group())
        return word.end()

    def _string(self, pieces: list[str], position: int) -> int | None:
        found = _IN_STRING.match(self._pending, position)
        end = found.end() if found else position
        pieces.append(self._pending[position:end])
        stop = self._pending[end : end + 2]
        if stop[:1] == '"':
            self._whole_string, self._open_string = "".join((*pieces, '"')), None
            return end + 1
        # Half of an escape waits for the other.
        self.broken = stop not in {"", "\\"}
        return end

    def _leaf(self, token: str) -> None:
        try:
            value = orjson.loads(token)
            if isinstance(value, float) and _INTEGER.fullmatch(token):
                value = int(token)  # exact, beyond 64 bits too
        except ValueError:
            self.broken = True
            return
        if self._key_wanted and isinstance(value, str):
            self._keys[-1], self._key_wanted = value, False
        else:
            self._put(value)

    def _structure(self, mark: str) -> None:
        if self.broken:
            return
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
        self.broken = self.broken or len(self._stack) > MAX_DEPTH

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
