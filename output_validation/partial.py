"""Gives the best-known value of an answer that is still arriving, for live views. Pure; never a verdict.

A completed leaf never changes: a string, number or word is given once it has ended and what follows may follow it,
and members and items only appear. Fences, prose and thoughts before the value are skipped as they come; only what
turns out to be a thought by its closing tag alone is taken back. Only strict JSON is followed: what needs mending
shows when the whole answer is judged, and till then no part of it is given for it. In what pieces the text arrives
makes no difference. Each character is looked at once, but for a bounded number around brackets and tags.
"""

import re
from enum import Enum, auto
from typing import Any, Final

import orjson

from common.schema import Json
from output_validation.openings import LOOK_BACK_CHARS, Opening, opening
from output_validation.thoughts import MAX_TAG_CHARS, TAG, is_quoted_so_far

MAX_DEPTH: Final = 64
_MAX_WORD_CHARS: Final = 400
_KEPT_CHARS: Final = MAX_TAG_CHARS + LOOK_BACK_CHARS
_BRACKET: Final = re.compile(r"[\[{]")
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_IN_STRING: Final = re.compile(r'(?:[^"\\\x00-\x1f]++|\\.)*+')
_WORD: Final = re.compile(r'[^\s{}\[\]:,"]+')
_INTEGER: Final = re.compile(r"-?[0-9]++")
_SIGN: Final = re.compile(r"[{\[>\]▷]")
"""Without one of these nothing begins and no tag ends."""

_MAY_BE_TAG: Final = re.compile(r"<(?:[|/]?[\w|][^<>\n]{0,125})?\Z")
_WAITING: Final = object()


class _Due(Enum):
    """What may come next."""

    KEY_OR_END = auto()
    KEY = auto()
    COLON = auto()
    VALUE_OR_END = auto()
    VALUE = auto()
    COMMA_OR_END = auto()


_KEYS_DUE: Final = frozenset({_Due.KEY_OR_END, _Due.KEY})
_VALUES_DUE: Final = frozenset({_Due.VALUE_OR_END, _Due.VALUE})
_ENDS_DUE: Final = frozenset({_Due.KEY_OR_END, _Due.VALUE_OR_END, _Due.COMMA_OR_END})


class PartialExtractor:
    """Feed it the text as it arrives; ``value`` is what is known so far."""

    def __init__(self) -> None:
        self._thought_by: str | None = None
        self._thought_ended = False
        self._opened = 0
        self._unclosed = 0
        """Tags that opened a thought in a thought: each later closing tag may end one."""
        self._begin("")

    def _begin(self, text: str) -> None:
        self._pending = "\n" + text  # a line begins with the text, and behind a thought
        self._looked_at = 1
        """Up to there all brackets are known to open nothing."""
        self._tags_until = 0
        self._is_line_blank = True
        """Whether nothing but blanks stands before ``_looked_at`` in its line."""
        self._sleeps = False
        """Nothing happens until one of _SIGN arrives."""
        self._stack: list[dict[str, Json] | list[Json]] = []
        self._keys: list[str | None] = []
        self._root: Any = _WAITING
        self._due = _Due.VALUE
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
        if self._sleeps and _SIGN.search(text) is None:
            self._forget()
            return self.value
        while True:
            if not (self.started or self.broken):
                self._find_start()
            if self.started and not (self.complete or self.broken):
                self._read()
            if not (self.complete or self.broken) or not self._was_thought():
                return self.value

    def _was_thought(self) -> bool:
        """Return whether what follows the value says that all before it was a thought, and begin anew if so."""
        self._sleeps = True
        if self._thought_ended and not self._unclosed:
            self._pending = ""
            return False
        tag = self._next_tag(self._tags_until)
        while tag is not None and tag.lastgroup == "close":
            is_quoted = is_quoted_so_far(self._pending, tag)
            if is_quoted is None:
                self._pending, self._tags_until = self._pending[tag.start() :], 0
                self._sleeps = False
                return False
            if not is_quoted:
                break
            self._tags_until = tag.end()
            tag = self._next_tag(tag.end())
        if tag is None:
            self._tags_until = max(self._tags_until, len(self._pending) - MAX_TAG_CHARS)
            self._forget()
            return False
        self._thought_ended = True
        if tag.lastgroup != "close":
            self._unclosed = 0
            return False
        self._unclosed = max(self._unclosed - 1, 0)
        self._begin(self._pending[tag.end() :])
        return True

    def _next_tag(self, position: int) -> re.Match[str] | None:
        return next((tag for tag in TAG.finditer(self._pending, position) if tag.lastgroup != "end"), None)

    def _forget(self) -> None:
        """Keep the last of what is pending, now and then: cutting off one character at a time would cost more."""
        if len(self._pending) <= 4 * _KEPT_CHARS:
            return
        if not (self.started or self.broken):
            self._look_up_to(len(self._pending))
        cut = len(self._pending) - _KEPT_CHARS
        self._pending = self._pending[cut:]
        self._looked_at = max(self._looked_at - cut, 0)
        self._tags_until = max(self._tags_until - cut, 0)

    def _find_start(self) -> None:
        """Go on to where the value begins, or to what is not decided yet."""
        self._sleeps = False
        while True:
            tag = TAG.search(self._pending, max(self._tags_until, self._looked_at - MAX_TAG_CHARS))
            if self._thought_by is None and self._is_found(len(self._pending) if tag is None else tag.start()):
                return
            if tag is None:
                break
            self._pass(tag)
            self._looked_at = self._tags_until = tag.end()
        self._look_up_to(len(self._pending))
        self._sleeps = True
        self._forget()

    def _is_found(self, until: int) -> bool:
        """Return whether the search ends before ``until``: there is the value, or what may become it, or a tag."""
        may_be_tag = _MAY_BE_TAG.search(self._pending, max(self._tags_until, len(self._pending) - MAX_TAG_CHARS))
        for bracket in _BRACKET.finditer(self._pending, self._looked_at, until):
            at = bracket.start()
            self._look_up_to(at)
            if may_be_tag is not None and may_be_tag.start() < at:
                opens = Opening.UNDECIDED
            else:
                opens = opening(self._pending, at, leads_line=self._is_line_blank)
            match opens:
                case Opening.NOTHING:
                    continue
                case Opening.UNDECIDED:
                    self._without_blanks(at + 1)
                    return True
                case Opening.FAULTY:
                    self.broken = True
                case Opening.VALUE:
                    self._root = {} if bracket.group() == "{" else []
                    self._push(self._root)
            self._pending, self._tags_until = self._pending[at + 1 :], 0
            return True
        return False

    def _look_up_to(self, end: int) -> None:
        """Go on to ``end``, minding what of its line stands before it."""
        _, line_break, line = self._pending[self._looked_at : end].rpartition("\n")
        is_blank = not line.replace("\ufeff", "").strip()
        self._is_line_blank = is_blank and (bool(line_break) or self._is_line_blank)
        self._looked_at = max(end, self._looked_at)

    def _without_blanks(self, position: int) -> None:
        """Put one blank for all from ``position`` to the end: they would be looked at again and again."""
        blanks = self._pending[position:]
        if len(blanks) > 1 and blanks.isspace():
            self._pending = self._pending[:position] + ("\n" if "\n" in blanks else " ")

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
            if mark not in (":" if self._due in _KEYS_DUE else ",]}"):
                self.broken = True
                return None
            self._leaf(self._whole_string)
            self._whole_string = None
        elif mark == '"':
            self.broken = self._due not in _KEYS_DUE | _VALUES_DUE
            self._open_string = ['"']
            return position + 1
        if mark in "{}[]:,":
            self._structure(mark)
            return position + 1
        word = _WORD.match(self._pending, position)
        end = word.end() if word else len(self._pending)
        if end - position > _MAX_WORD_CHARS or end == len(self._pending):
            self.broken = end - position > _MAX_WORD_CHARS
            return None
        self._leaf(self._pending[position:end])
        return end

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
        if isinstance(value, str) and "\x00" in value:
            self.broken = True  # the gate refuses it
            return
        if self._due in _KEYS_DUE and isinstance(value, str):
            self._keys[-1], self._due = value, _Due.COLON
        else:
            self._put(value)

    def _structure(self, mark: str) -> None:
        if self.broken:
            return
        is_object = isinstance(self._stack[-1], dict)
        match mark:
            case "{" | "[":
                child: dict[str, Json] | list[Json] = {} if mark == "{" else []
                self._put(child)
                self._push(child)
            case "}" | "]" if is_object is (mark == "}") and self._due in _ENDS_DUE:
                self._stack.pop()
                self._keys.pop()
                self._due = _Due.COMMA_OR_END
                self.complete = not self._stack
            case "," if self._due is _Due.COMMA_OR_END:
                self._due = _Due.KEY if is_object else _Due.VALUE
            case ":" if self._due is _Due.COLON:
                self._due = _Due.VALUE
            case _:
                self.broken = True

    def _push(self, container: dict[str, Json] | list[Json]) -> None:
        self._stack.append(container)
        self._keys.append(None)
        self._due = _Due.KEY_OR_END if isinstance(container, dict) else _Due.VALUE_OR_END
        self.broken = self.broken or len(self._stack) > MAX_DEPTH

    def _put(self, value: Json) -> None:
        top, key = self._stack[-1], self._keys[-1]
        if self._due not in _VALUES_DUE:
            self.broken = True
        elif isinstance(top, list):
            top.append(value)
        elif key is None or key in top:
            self.broken = True
        else:
            top[key] = value
        self._due = _Due.COMMA_OR_END
