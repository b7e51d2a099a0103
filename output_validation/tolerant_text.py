"""Reads the strings of faulty JSON: wrong quotes, inner quotes, raw line breaks, faulty escapes. Pure, linear.

A quote ends its string if what follows could follow a string there. Where that leaves a doubt, the reading is
labelled as a guess.
"""

import re
from dataclasses import dataclass
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]  # public, missing in typeshed
from typing import Final

from output_validation.extraction import Repair, RepairKind
from output_validation.tolerant_follows import (
    CLOSERS,
    COMMENT,
    GAP,
    LITERAL,
    Role,
    follows,
    may_follow,
    may_follow_curled,
)

MAX_MENDS: Final = 500
"""A string that needs more than this is no string with faults; raw line breaks and tabs are not counted."""


class UnreadableError(Exception):
    """The text cannot be read as JSON at ``offset``, or not in one way only."""

    def __init__(self, offset: int, problem: str) -> None:
        super().__init__(problem)
        self.offset = offset
        self.problem = problem


@dataclass(frozen=True, slots=True)
class TextRead:
    """A string, where it ends, what was mended, and whether the text ended inside it."""

    value: str
    end: int
    repairs: tuple[Repair, ...] = ()
    cut: bool = False


_QUOTE: Final = """["'`\u201c\u201d\u2018\u2019]"""
_LOOKS_LIKE_MEMBER: Final = re.compile(
    rf"{_QUOTE}(?:[\w $-]{{1,60}}{_QUOTE}\s*:|\s*(?::|=>)"
    rf"|\s*[,;+\uff0c\uff1b]\s*(?:[bfruBFRU]{{0,2}}{_QUOTE}|\n|[\w$-]{{1,60}}\s*=>))"
)
_JOINT: Final = re.compile(
    r"[\w.!?)\]}%\u2026][\"'`\u201d\u2019](?:[^\w\"'`\\]|\\[nrt,]){1,20}[\"'`\u201c\u2018][^\W_]"
)
"""What stands between two strings: a quote that ends one, signs, a quote that begins the other."""

_LOST_OPENING: Final = re.compile(r"\s*[A-Za-z_$][\w$-]{0,80}\"\s*(?:[:\uff1a]|=>)")
"""A key without its first quote behind a string without a comma: that quote may be the key's, and the string's lost."""

_LEFT_OUT: Final = re.compile(r"\s*(?:\.{3}|\u2026)\s*[,\]}]")
_ENDS_ONE: Final = re.compile(r"\s|,(?!\s*[\"'`\u201d\u2019])|[;:=]")
_ENDS_WITH_COMMA: Final = re.compile(r",\s*\Z")

_TRIPLED: Final = re.compile(r"""(["']{3})((?:[^"'\\]|["'](?!\1))*?)\1""")
_DOUBLED_KEY: Final = re.compile(r'""([\w $-]{1,80})""(?=\s*:)')
_HALF_QUOTED_KEY: Final = re.compile(rf"""["']([A-Za-z_$][\w$-]{{0,80}})(?=\s*:\s*(?:["'\[{{]|-?[0-9]|{LITERAL}))""")
_QUOTES: Final = frozenset("\"'`\u201c\u201d\u2018\u2019")
_APOSTROPHES: Final = frozenset("'\u2019")
_VALID_ESCAPES: Final = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_AMBIGUOUS: Final = frozenset("bfnrtu")
_NEVER_ESCAPED: Final = frozenset("'`$&%#_@!~:;,=<>")
"""A backslash before one of these is taken over from Markdown, a shell or JavaScript; a path or pattern has none."""
_HEX4: Final = re.compile(r"[0-9a-fA-F]{4}")
_BROKEN_UNICODE: Final = re.compile(r"u(?:\{|[0-9a-fA-F]{2,3})")
_HEX8: Final = re.compile(r"0010[0-9a-fA-F]{4}|000[0-9a-fA-F]{5}")
_HEX2: Final = re.compile(r"[0-9a-fA-F]{2}")
_NOTHING: Final = {opener: rf"[^{re.escape(closers)}\u201d\\\0]*+" for opener, closers in CLOSERS.items()}
_PLAIN: Final = {
    opener: re.compile(
        nothing if "\u201d" in CLOSERS[opener] else rf"{nothing}(?:\u201d(?!{GAP}[,:\uff1a\]}}]){nothing})*+"
    )
    for opener, nothing in _NOTHING.items()
}
"""What needs no second look in a string. A curly quote needs one if it has behind it what a string's end has."""

_CONTROL: Final = re.compile(r"[\x01-\x1f]")
_UP_TO_LAST_CONTROL: Final = re.compile(r".*[\x01-\x1f]", re.DOTALL)
_CURLED_OPENER: Final = re.compile(r"[\u201c\u201e]")
_LIKE_END: Final = re.compile(r"\s*[,:\]}]")
_ASCII_QUOTE: Final = re.compile(r"(?<!\\)\"")


def read_text(text: str, start: int, limit: int, role: Role) -> TextRead:
    """Return the string that opens at ``start``; nothing at or beyond ``limit`` belongs to it.

    Raises UnreadableError for what no string may hold: NUL, or half of a surrogate pair.
    """
    if text[start] == '"':
        try:
            value, end = scanstring(text, start + 1, True)
        except JSONDecodeError:
            pass
        else:
            if end <= limit and follows(text, end, limit, role, text[start]):
                if "\0" in value or _has_surrogate(value):
                    raise UnreadableError(start, "a string holds NUL or half of a surrogate pair")
                return TextRead(value, end)
    read = _doubled(text, start, limit) if role is Role.KEY else _tripled(text, start, limit, role)
    return read or _Mender(text, start, limit, role).read()


def _doubled(text: str, start: int, limit: int) -> TextRead | None:
    """Return a key whose quotes stand twice, or whose second quote was left out."""
    if found := _DOUBLED_KEY.match(text, start, limit):
        return TextRead(found[1], found.end(), (Repair(RepairKind.QUOTES_REPLACED, start, found.end()),))
    if found := _HALF_QUOTED_KEY.match(text, start, limit):
        return TextRead(found[1], found.end(), (Repair(RepairKind.KEY_QUOTED, start, found.end()),))
    return None


def _tripled(text: str, start: int, limit: int, role: Role) -> TextRead | None:
    """Return a string in Python's triple quotes."""
    found = _TRIPLED.match(text, start, limit)
    if (
        found is None
        or "\0" in found[2]
        or _has_surrogate(found[2])
        or not (follows(text, found.end(), limit, role, text[start]) or may_follow(text, found.end(), limit, role))
    ):
        return None
    return TextRead(found[2], found.end(), (Repair(RepairKind.QUOTES_REPLACED, start, found.end()),))


def _has_surrogate(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False


class _Mender:
    """Reads one string piece by piece."""

    def __init__(self, text: str, start: int, limit: int, role: Role) -> None:
        self._text, self._start, self._limit, self._role = text, start, limit, role
        self._opener = text[start]
        self._closers = CLOSERS[self._opener]
        self._parts: list[str] = []
        self._repairs: list[Repair] = []
        self._odd_quotes = 0
        self._mends = 0
        self._guessed = False
        self._opens_doubled = False
        self._ends_one = False
        self._begins_other = False
        self._odd_escape = False
        self._dropped_backslash = False
        self._kept_backslash: int | None = None
        self._ambiguous_escape = False
        self._controls: tuple[int, int] | None = None
        self._line_mark: str | None = None
        self._low_floor = self._curled_floor = start
        self._has_curled = False
        self._next_quote = start
        if self._opener != '"':
            self._repairs.append(Repair(RepairKind.QUOTES_REPLACED, start, start + 1))

    def read(self) -> TextRead:
        position = self._start + 1
        plain = _PLAIN[self._opener]
        while True:
            found = plain.match(self._text, position, self._limit)
            at = found.end() if found else position
            if at >= self._limit:
                return self._cut(position)
            self._take(position, at)
            mark = self._text[at]
            if mark == "\\":
                if at + 1 >= self._limit:
                    return self._cut(at)
                position = self._escape(at)
            elif mark in self._closers:
                if self._closes(at):
                    return self._done(at + 1)
                position = at + 1
            elif mark == "\u201d":
                if self._is_closed_by_curled(at):
                    self._note(RepairKind.QUOTES_REPLACED, at, at + 1)
                    # One before it may have ended a string, too.
                    self._guessed = self._guessed or any("\u201d" in part for part in self._parts)
                    return self._done(at + 1)
                # Behind it stands what a string's end has, so it may be one.
                self._guessed = self._guessed or (
                    not self._has_curled and _LIKE_END.match(self._text, at + 1) is not None
                )
                self._parts.append(mark)
                position = at + 1
            else:
                raise UnreadableError(at, "a string holds the NUL character")

    def _take(self, start: int, end: int) -> None:
        """Take over what needs no mending but that its control characters be escaped: one repair in a string."""
        self._parts.append(self._text[start:end])
        first = _CONTROL.search(self._text, start, end)
        last = _UP_TO_LAST_CONTROL.match(self._text, first.start(), end) if first else None
        if first is None or last is None:
            return
        self._controls = (self._controls[0] if self._controls else first.start(), last.end())
        # In a block quote, a mark that begins a line is none of the string's.
        if not self._guessed and self._text.find("\n>", first.start(), end + 1) >= 0:
            self._guessed = self._line_begin() == ">"

    def _line_begin(self) -> str:
        """Return the sign with which the line of the string's beginning begins."""
        if self._line_mark is None:
            before = self._text.rfind("\n", 0, self._start) + 1
            self._line_mark = self._text[before : before + 1]
        return self._line_mark

    def _closes(self, at: int) -> bool:
        after = at + 1
        if follows(self._text, after, self._limit, self._role, self._opener):
            return True
        if self._odd_quotes % 2 == 0 and may_follow(self._text, after, self._limit, self._role):
            # With an inner quote still open it is more likely that one's end; behind a comma, that of the next key.
            lost = _LOST_OPENING.match(self._text, after, self._limit)
            self._guessed |= lost is not None or _ENDS_WITH_COMMA.search(self._text, self._start + 1, at) is not None
            return True
        self._parts.append(self._text[at])
        self._note(RepairKind.QUOTE_ESCAPED, at, after)
        if self._text[at] in _APOSTROPHES and self._text[at - 1].isalnum() and self._text[after : after + 1].isalpha():
            if self._role is Role.KEY:
                return False
        elif self._ends_low_quoted(at):
            self._guessed = self._guessed or _JOINT.match(self._text, at - 1, self._limit) is not None
        else:
            self._odd_quotes += 1
            self._joins(at)
            self._opens_doubled = self._opens_doubled or at == self._start + 1
        other = _LOOKS_LIKE_MEMBER.match(self._text, at, self._limit) or any(
            each.match(self._text, after, self._limit) for each in (COMMENT, _LEFT_OUT)
        )
        self._guessed |= bool(other)
        return False

    def _is_closed_by_curled(self, at: int) -> bool:
        """Return whether a curly quote that nothing opened ends the string, and the next ASCII one could not."""
        if not self._has_curled:
            self._has_curled = _CURLED_OPENER.search(self._text, self._curled_floor, at) is not None
        self._curled_floor = at + 1
        # 5" may be inches.
        if self._opener != '"' or self._has_curled or at == self._start + 1 or self._text[at - 1].isdigit():
            return False
        if not may_follow_curled(self._text, at + 1, self._limit, self._role):
            return False
        if self._next_quote <= at:
            found = _ASCII_QUOTE.search(self._text, at, self._limit)
            self._next_quote = found.start() if found else self._limit
        after = self._next_quote + 1
        return after > self._limit or not follows(self._text, after, self._limit, self._role, self._opener)

    def _ends_low_quoted(self, at: int) -> bool:
        """Return whether an inner quote ends what a low one opened, as in German: „so"."""
        low = self._text.rfind("\u201e", self._low_floor, at) if self._opener == '"' else -1
        self._low_floor = at + 1
        if low < 0 or low + 1 == at or self._text[low + 1].isspace() or self._text[at - 1].isspace():
            return False
        return not any(sign in self._text[low:at] for sign in "\u201c\u201d")

    def _joins(self, at: int) -> None:
        """Keep in mind whether the inner quotes so far end one string and begin another."""
        if self._odd_quotes == 1:
            self._ends_one = _ENDS_ONE.match(self._text, at + 1, self._limit) is not None
        self._begins_other = self._text[at - 1].isspace() or self._text[at - 1] in ",;:=["
        if self._odd_quotes % 2 and at > self._start + 1:
            self._guessed = self._guessed or _JOINT.match(self._text, at - 1, self._limit) is not None

    def _escape(self, at: int) -> int:
        sign = self._text[at + 1]
        if sign in _VALID_ESCAPES:
            self._ambiguous_escape = self._ambiguous_escape or sign in _AMBIGUOUS
            self._parts.append(_VALID_ESCAPES[sign])
            return at + 2
        if sign == "u" and _HEX4.match(self._text, at + 2, self._limit):
            return self._unicode(at)
        if sign == "x" and _HEX2.match(self._text, at + 2, self._limit):
            if self._text.startswith("00", at + 2):
                raise UnreadableError(at, "a string holds the NUL character")
            self._parts.append(chr(int(self._text[at + 2 : at + 4], 16)))
            self._note(RepairKind.ESCAPE_MENDED, at, at + 4)
            return at + 4
        if sign == "U" and _HEX8.match(self._text, at + 2, self._limit):
            return self._long_unicode(at)
        if sign in _NEVER_ESCAPED:
            self._parts.append(sign)
            self._note(RepairKind.ESCAPE_MENDED, at, at + 2)
            self._dropped_backslash = self._dropped_backslash or sign not in "'`"
            return at + 2
        self._parts.append("\\")
        self._note(RepairKind.ESCAPE_MENDED, at, at + 1)
        if sign.isalnum():
            self._kept_backslash = at
            self._ambiguous_escape = self._ambiguous_escape or _BROKEN_UNICODE.match(self._text, at + 1) is not None
        else:
            self._odd_escape = True
        return at + 1

    def _long_unicode(self, at: int) -> int:
        code = int(self._text[at + 2 : at + 10], 16)
        if code == 0 or 0xD800 <= code < 0xE000:
            raise UnreadableError(at, "a string holds NUL or half of a surrogate pair")
        self._parts.append(chr(code))
        self._note(RepairKind.ESCAPE_MENDED, at, at + 10)
        return at + 10

    def _unicode(self, at: int) -> int:
        code = int(self._text[at + 2 : at + 6], 16)
        end = at + 6
        if 0xD800 <= code < 0xDC00 and self._text.startswith("\\u", end) and _HEX4.match(self._text, end + 2):
            low = int(self._text[end + 2 : end + 6], 16)
            if 0xDC00 <= low < 0xE000:
                self._parts.append(chr(0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)))
                return end + 6
        if code == 0 or 0xD800 <= code < 0xE000:
            raise UnreadableError(at, "a string holds NUL or half of a surrogate pair")
        self._ambiguous_escape = True
        self._parts.append(chr(code))
        return end

    def _note(self, kind: RepairKind, start: int, end: int) -> None:
        if self._repairs and self._repairs[-1].kind is kind and self._repairs[-1].end == start:
            start = self._repairs.pop().start
        self._repairs.append(Repair(kind, start, end))
        self._mends += 1
        if self._mends > MAX_MENDS:
            raise UnreadableError(start, f"a string has more than {MAX_MENDS} faults")

    def _done(self, end: int) -> TextRead:
        self._note_controls()
        joins = self._ends_one and self._begins_other
        first, last = self._text[self._start + 1], self._text[end - 2]
        is_doubled = self._opens_doubled and last in _QUOTES
        # As Markdown marks a string as code, quotes and all; a key has none of its own.
        is_marked = self._opener == "`" and self._role is not Role.KEY and first == last and first in "\"'"
        if self._odd_quotes % 2 or self._guessed or joins or is_doubled or is_marked:
            # Around the whole string, a second pair of quotes may be its own or one too many.
            self._repairs.append(Repair(RepairKind.QUOTE_GUESSED, self._start, end))
        if self._is_escape_doubtful():
            self._repairs.append(Repair(RepairKind.ESCAPE_GUESSED, self._start, end))
        return TextRead(self._value(), end, tuple(self._repairs))

    def _note_controls(self) -> None:
        if self._controls is not None:
            self._repairs.append(Repair(RepairKind.CONTROL_ESCAPED, *self._controls))

    def _is_escape_doubtful(self) -> bool:
        if self._kept_backslash is not None:
            # "C:\Users\new": one backslash was meant as such, so the other may have been too.
            return self._ambiguous_escape or self._dropped_backslash
        # "\." alone may be a pattern's, with its backslash, or a full stop.
        return self._odd_escape

    def _cut(self, position: int) -> TextRead:
        self._take(position, self._limit)
        self._parts[-1] = self._parts[-1].rstrip("\\")
        self._note_controls()
        self._repairs.append(Repair(RepairKind.TAIL_LOST, self._start, self._limit))
        return TextRead(self._value(), self._limit, tuple(self._repairs), cut=True)

    def _value(self) -> str:
        value = "".join(self._parts)
        if "\0" in value or _has_surrogate(value):
            raise UnreadableError(self._start, "a string holds NUL or half of a surrogate pair")
        return value
