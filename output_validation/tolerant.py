"""Reads faulty JSON in the one way it can be read, noting each mend; anything that would be a guess is refused.

One pass, no backtracking: time in proportion to the text. It knows no schema; what depends on one (whether a
missing end lost anything) is handed on as ``unclosed``.
"""

import re
from dataclasses import dataclass
from typing import Final

from common.schema import Json, dump_json
from output_validation.extraction import Repair, RepairKind
from output_validation.tolerant_bare import read_bare
from output_validation.tolerant_comment import leaves_out, takes_back
from output_validation.tolerant_follows import CLOSERS, KEY, LITERAL, Role
from output_validation.tolerant_scalar import read_scalar
from output_validation.tolerant_text import TextRead, UnreadableError, read_text

MAX_REPAIRS: Final = 5_000
"""A text that needs more than this is not JSON with faults."""

MAX_VALUES: Final = 60_000
"""A faulty text with more values than this is refused: mending costs time that a strict text of any size does not."""

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_ODD_SPACE: Final = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\xa0\u200b-\u200f\u2028\u2029\u202f\u2060\u3000\ufeff]+"
)
_LINE_COMMENT: Final = re.compile(r"//[^\n]*|#[^\n]*")
_IDENTIFIER: Final = re.compile(r"(?:[^\W\d]|\$)[\w$.-]*|[0-9]+")
_MARKED_KEY: Final = re.compile(r"([\"'])([^\"']+)\1")
"""A key with its quotes, as Markdown marks it as code."""

_PYTHON_2: Final = re.compile(r"[uU](?=[\"'])")
_COLON: Final = re.compile(r"=>|:=|=|\uff1a")
_IN_OBJECTS: Final = frozenset(",;\uff0c\uff1b")
_IN_ARRAYS: Final = frozenset(",\uff0c")
"""What separates members and items. A semicolon between items may begin another row."""

_OPENER_OF: Final = {"}": "{", "]": "["}
_GOES_ON_IN: Final = {"}": re.compile(rf"\s*,\s*{KEY}"), "]": re.compile(r"\s*,\s*\{")}
"""What may stand behind a bracket that closes one container too few, by the kind of the one around it."""

_BEHIND_SURPLUS: Final = re.compile(r"\s*(?:,\s*\{|\])")
_BEHIND_BARE: Final = re.compile(r"(?<=[\w.@+-])[\"'`\u201c\u201e\u2018]")
"""A quote directly behind a bare word or a number, as in Python's f"text" or in 5"."""

_GROUP: Final = re.compile(r"(?<=[0-9]),[0-9]{3}(?![0-9])")
"""What follows digits in a number whose thousands are grouped."""

_CURLED: Final = frozenset("\u201c\u201d\u201e")
_LIKE_JOINT: Final = re.compile(r"\u201d\s*[,:]|,\s*\u201c")
_CURLED_PAIRS: Final = re.compile(
    r"(?:[^\u201c-\u201e]*+[\u201c\u201e][^\u201c-\u201e]*+[\u201c\u201d])*+[^\u201c-\u201e]*+"
)
"""A text whose curly quotes come in pairs, so that they are its own."""

_VALUE_START: Final = re.compile(rf"[\"'`\u201c\u201e\u2018{{\[0-9-]|{LITERAL}")


@dataclass(frozen=True, slots=True)
class Mended:
    """A value, where it ends, and what was mended. ``unclosed``: containers, outermost first, that were left open."""

    value: Json
    end: int
    repairs: tuple[Repair, ...]
    unclosed: tuple[Json, ...] = ()


def read_tolerantly(text: str, start: int, limit: int, *, max_depth: int, sealed: bool = False) -> Mended:
    """Return the object or array that opens at ``start`` and reaches no further than ``limit``.

    ``sealed``: the answer goes on behind the limit, so nothing was cut off there. Raises UnreadableError where
    it cannot be read, or not in one way only.
    """
    reader = _Reader(text, limit, max_depth, sealed)
    value, end = reader.whole(start)
    return Mended(value, end, tuple(reader.repairs), tuple(reversed(reader.unclosed)))


class _Reader:
    def __init__(self, text: str, limit: int, max_depth: int, sealed: bool) -> None:
        self._text, self._limit, self._max_depth, self._sealed = text, limit, max_depth, sealed
        self.repairs: list[Repair] = []
        self.unclosed: list[Json] = []
        self._values_left = MAX_VALUES
        self._comments_close = True
        self._maybe_otherwise: int | None = None
        self._grouped = self._like_grouped = False
        self._curled = self._like_curled = False

    def container(self, start: int, parents: str) -> tuple[Json, int]:
        """Read what opens at ``start``; ``parents`` are the brackets that opened before it, outermost first."""
        if len(parents) >= self._max_depth:
            raise UnreadableError(start, f"objects and arrays nest deeper than {self._max_depth}")
        if self._text[start] == "{":
            return self._object(start, parents)
        return self._array(start, parents)

    def _object(self, start: int, parents: str) -> tuple[Json, int]:
        members: dict[str, Json] = {}
        position = start + 1
        while True:
            position, commas = self._separators(position, _IN_OBJECTS)
            mark = self._peek(position)
            end = self._closed(mark, "}", parents, position, members, commas, len(members))
            if end is not None:
                return members, end
            if mark == "{" and parents.endswith("[") and members and len(commas) == 1:
                # [{"a": 1, {"a": 2}]: an object cannot stand where a key must, so the last one ends here.
                self._note(RepairKind.BRACKET_ADDED, commas[0], commas[0])
                return members, commas[0]
            self._count_commas(commas, bool(members), position)
            if members and not commas and mark not in CLOSERS and self._is_behind_word(position):
                raise UnreadableError(position, "a word and a key without a comma between them may be one text")
            quoted_key = mark in CLOSERS
            key, position, cut = self._key(position)
            if key in members and not commas and parents.endswith("["):
                raise UnreadableError(position, "a key comes again without a comma: two items may have run into one")
            if cut or self._skip(position) >= self._limit:
                return members, self._lost(position, members)
            position = self._colon(position)
            if position >= self._limit:
                return members, self._lost(position, members)
            bare = read_bare(self._text, position, self._limit, quoted_key=quoted_key)
            if bare is None:
                value, position = self._value(position, parents + "{", Role.MEMBER)
            else:
                value, position = bare, position + len(bare)
                self._grouped |= "," in bare
                self._note(RepairKind.VALUE_QUOTED, position - len(bare), position)
            self._add(members, key, value, position)

    def _array(self, start: int, parents: str) -> tuple[Json, int]:
        """Read an array, or one of Python's tuples: parentheses around one value without a comma are none."""
        items: list[Json] = []
        opener, position = self._text[start], start + 1
        is_tuple = opener == "("
        closer, role = (")", Role.TUPLE_ITEM) if is_tuple else ("]", Role.ITEM)
        if is_tuple:
            self._note(RepairKind.LITERAL_REPLACED, start, start + 1)
        while True:
            position, commas = self._separators(position, _IN_ARRAYS)
            mark = self._peek(position)
            if is_tuple and len(items) == 1 and not commas:
                raise UnreadableError(position, "a value in parentheses is no tuple")
            end = self._closed(mark, closer, parents, position, items, commas, len(items))
            if end is not None:
                return items, end
            if mark == "}" and self._is_surplus(position, parents, items, commas):
                self._note(RepairKind.BRACKET_REMOVED, position, position + 1)
                position += 1
                continue
            if items and not commas and (is_tuple or _VALUE_START.match(self._text, position) is None):
                raise UnreadableError(position, "neither a comma nor the end of the array")
            if items and not commas and (self._is_behind_word(position) or _BEHIND_BARE.match(self._text, position)):
                raise UnreadableError(position, "a word and what stands behind it may be one text")
            if commas and _GROUP.match(self._text, commas[0], self._limit):
                self._like_grouped = True
            if len(commas) > (1 if items else 0):
                raise UnreadableError(position, "an item of an array was left out")
            self._count_commas(commas, bool(items), position)
            value, position = self._value(position, parents + opener, role)
            items.append(value)

    def _closed(
        self, mark: str, closer: str, parents: str, position: int, value: Json, commas: list[int], size: int
    ) -> int | None:
        """Return the end of a container if it ends here: by its bracket, its parent's, or the end of the text."""
        if mark == closer:
            for comma in commas:
                self._note(RepairKind.COMMA_REMOVED, comma, comma + 1)
            return position + 1
        if not mark:
            if commas:
                return self._lost(position, value)
            self.unclosed.append(value)
            self._note(RepairKind.BRACKET_ADDED, self._limit, self._limit)
            return self._limit
        if not size or commas or closer == mark or mark not in _OPENER_OF:
            return None
        if parents.endswith(_OPENER_OF[mark]):
            if closer in _OPENER_OF and _GOES_ON_IN[mark].match(self._text, position + 1, self._limit):
                if parents[-2:-1] != _OPENER_OF[mark]:
                    # What goes on could not stand in the parent's parent, so the bracket is one of the wrong kind.
                    return self._closed_otherwise(position)
                self._maybe_otherwise = position
            self._note(RepairKind.BRACKET_ADDED, position, position)
            return position
        if not parents and closer == "}" and not self._text[position + 1 : self._limit].strip():
            # Whether it stands for the last bracket, or for more that is missing, the schema must say.
            self.unclosed.append(value)
            return self._closed_otherwise(position)
        return None

    def _is_surplus(self, position: int, parents: str, items: list[Json], commas: list[int]) -> bool:
        """Return whether a bracket behind an object in an array is one too many: nothing is open that it closes."""
        is_behind_object = bool(items) and not commas and isinstance(items[-1], dict)
        behind = _BEHIND_SURPLUS.match(self._text, position + 1, self._limit)
        return is_behind_object and "{" not in parents and behind is not None

    def _is_behind_word(self, position: int) -> bool:
        """Return whether a text without quotes ends before ``position`` on the same line."""
        behind = [repair for repair in self.repairs[-2:] if repair.kind is RepairKind.VALUE_QUOTED]
        return bool(behind) and self._text[behind[-1].end : position].strip(" \t") == ""

    def _closed_otherwise(self, position: int) -> int:
        """Return the end of a container that a bracket of the wrong kind closes."""
        self._note(RepairKind.BRACKET_REMOVED, position, position + 1)
        self._note(RepairKind.BRACKET_ADDED, position, position)
        return position + 1

    def whole(self, start: int) -> tuple[Json, int]:
        """Read the outermost container."""
        value, end = self.container(start, "")
        if self._maybe_otherwise is not None and self._peek(self._skip(end)) in ("}", "]"):
            raise UnreadableError(self._maybe_otherwise, "a bracket of the wrong kind, or one that is missing")
        if self._grouped and self._like_grouped:
            raise UnreadableError(start, "commas that separate items, or group the digits of a number")
        if self._curled and self._like_curled:
            raise UnreadableError(start, "curly quotes that end strings, or stand in one")
        return value, end

    def _lost(self, position: int, value: Json) -> int:
        """Note that the text ended where more was to come."""
        self.unclosed.append(value)
        self._note(RepairKind.TAIL_LOST, min(position, self._limit), self._limit)
        return self._limit

    def _key(self, position: int) -> tuple[str, int, bool]:
        position = self._behind_prefix(position)
        mark = self._peek(position)
        if mark in CLOSERS:
            read = self._string(position, Role.KEY)
            marked = _MARKED_KEY.fullmatch(read.value) if mark == "`" else None
            return marked[2] if marked else read.value, read.end, read.cut
        found = _IDENTIFIER.match(self._text, position, self._limit)
        if found is None:
            raise UnreadableError(position, "a key is missing")
        if self._text.startswith('"', found.end()) and found.end() + 1 < self._limit:
            # Only the first quote of the key was left out.
            after = self._skip(found.end() + 1)
            if self._peek(after) == ":":
                self._note(RepairKind.KEY_QUOTED, position, found.end() + 1)
                return found.group(), found.end() + 1, False
        after = self._skip(found.end())
        if after < self._limit and self._text[after] != ":" and not _COLON.match(self._text, after, self._limit):
            raise UnreadableError(position, "words that are no key")
        self._note(RepairKind.KEY_QUOTED, position, found.end())
        return found.group(), found.end(), after >= self._limit

    def _colon(self, position: int) -> int:
        position = self._skip(position)
        if self._peek(position) == ":":
            return self._skip(position + 1)
        other = _COLON.match(self._text, position, self._limit)
        if other is not None:
            self._note(RepairKind.COLON_MENDED, position, other.end())
            return self._skip(other.end())
        if _VALUE_START.match(self._text, position, self._limit):
            self._note(RepairKind.COLON_MENDED, position, position)
            return position
        raise UnreadableError(position, "a colon is missing")

    def _value(self, position: int, parents: str, role: Role) -> tuple[Json, int]:
        self._values_left -= 1
        if self._values_left < 0:
            raise UnreadableError(position, f"more than {MAX_VALUES} values")
        position = self._behind_prefix(position)
        mark = self._peek(position)
        if mark in "{[(" and mark:
            return self.container(position, parents)
        if mark in CLOSERS:
            read = self._string(position, role)
            return read.value, read.end
        value, end, repair = read_scalar(self._text, position, self._limit)
        if repair is not None:
            self._keep(repair)
        may_be_cut = isinstance(value, str) or not (self._sealed or value is None or isinstance(value, bool))
        if end >= self._limit and may_be_cut:
            # A number or a word that ends with the text may have been cut short.
            self._note(RepairKind.TAIL_LOST, position, self._limit)
        return value, end

    def _behind_prefix(self, position: int) -> int:
        """Return where the quote is behind the u of Python 2's strings."""
        if _PYTHON_2.match(self._text, position, self._limit) is None:
            return position
        self._note(RepairKind.QUOTES_REPLACED, position, position + 1)
        return position + 1

    def _string(self, position: int, role: Role) -> TextRead:
        read = read_text(self._text, position, self._limit, role)
        for repair in read.repairs:
            self._keep(repair)
        self._curled |= self._text[position] in _CURLED or (not read.cut and self._text[read.end - 1] in _CURLED)
        if _LIKE_JOINT.search(read.value) and not _CURLED_PAIRS.fullmatch(read.value):
            self._like_curled = True
        return read

    def _add(self, members: dict[str, Json], key: str, value: Json, position: int) -> None:
        if key in members:
            equal = dump_json(members[key]) == dump_json(value)
            kind = RepairKind.DUPLICATE_REMOVED if equal else RepairKind.DUPLICATE_DROPPED
            self._note(kind, position, position)
        members[key] = value

    def _separators(self, position: int, marks: frozenset[str]) -> tuple[int, list[int]]:
        commas: list[int] = []
        position = self._skip(position)
        while (mark := self._peek(position)) in marks:
            commas.append(position)
            if mark != ",":
                self._note(RepairKind.COMMA_ADDED, position, position + 1)
            if len(commas) > 8:
                raise UnreadableError(position, "a row of commas")
            position = self._skip(position + 1)
        return position, commas

    def _count_commas(self, commas: list[int], after_member: bool, position: int) -> None:
        if after_member and not commas:
            self._note(RepairKind.COMMA_ADDED, position, position)
        for comma in commas[1 if after_member else 0 :]:
            self._note(RepairKind.COMMA_REMOVED, comma, comma + 1)

    def _peek(self, position: int) -> str:
        return self._text[position] if position < self._limit else ""

    def _skip(self, position: int) -> int:
        """Return the next place that is neither space nor comment."""
        text, limit = self._text, self._limit
        while True:
            found = _SPACE.match(text, position, limit)
            position = found.end() if found else position
            if position >= limit:
                return limit
            mark = text[position]
            if mark in "/#":
                end = self._comment_end(position)
                if end is None:
                    return position
                self._comment(position, end)
                position = end
            elif mark < " " or mark > "~":
                odd = _ODD_SPACE.match(text, position, limit)
                if odd is None:
                    return position
                self._note(RepairKind.CONTROL_REMOVED, position, odd.end())
                position = odd.end()
            else:
                return position

    def _comment_end(self, position: int) -> int | None:
        if not self._text.startswith("/*", position):
            found = _LINE_COMMENT.match(self._text, position, self._limit)
            return found.end() if found else None
        # The first comment that is never closed is the last one looked for.
        end = self._text.find("*/", position + 2, self._limit) if self._comments_close else -1
        self._comments_close = end >= 0
        return end + 2 if self._comments_close else None

    def _comment(self, start: int, end: int) -> None:
        comment = self._text[start:end]
        self._note(RepairKind.COMMENT_REMOVED, start, end)
        if leaves_out(comment):
            self._note(RepairKind.TAIL_LOST, start, end)
        if takes_back(comment, self._text[max(start - len(comment) - 80, 0) : start]):
            raise UnreadableError(start, "a comment that takes a value back")
        if end >= self._limit and any(sign in comment for sign in "]}"):
            raise UnreadableError(start, "a comment that holds the end of the value")

    def _note(self, kind: RepairKind, start: int, end: int) -> None:
        self._keep(Repair(kind, start, end))

    def _keep(self, repair: Repair) -> None:
        if self.repairs and self.repairs[-1] == repair:
            return  # the same place was looked at twice
        if len(self.repairs) >= MAX_REPAIRS:
            raise UnreadableError(repair.start, f"more than {MAX_REPAIRS} faults")
        self.repairs.append(repair)
