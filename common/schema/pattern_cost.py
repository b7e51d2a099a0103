"""Estimates what a pattern may cost: steps for each character of a text, and memory. Pure; upper bounds, one pass.

The engine follows at once all places of a pattern at which a match may stand. They are as many as the pattern has
single characters, repeats written out, but few where a text can only be read in one way: after ^ the parts of
``[a-z]{1,9}-[0-9]{1,9}`` do not overlap.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_TOKEN: Final = re.compile(
    r"""\\(?:[pP](?:\{[^}]{0,100}+\}|.)|[xu]\{[^}]{0,100}+\}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|c[A-Za-z]
        |[kg]<[^>]{0,100}+>|.|$)
    |\[\^?(?:\\.|[^\]\\])*+\]?
    |\((?:\?(?:P?<[^=!>][^>]{0,100}+>|[a-zA-Z-]*+[:)]|<?[=!]|.)?)?
    |\{\s*+(?P<least>\d++)\s*+(?P<open>,\s*+(?P<most>\d*+)\s*+)?+\}
    |.""",
    re.DOTALL | re.VERBOSE,
)
"""An end that is missing is looked for no further than names are long, and no sign is read twice: one pass in all."""

_BACKTRACKS: Final = re.compile(r"\(\?(?!P?<[^=!>]|[a-zA-Z-]*[:)])|\\[1-9kgKG]")
_LOOKS: Final = re.compile(r"\(\?<?[=!]")
_NO_ANCHOR: Final = re.compile(r"\(\?[a-zA-Z]*[mx]")
"""Flags under which ^ stands for more than the beginning, or a space for nothing."""

_NOTHING: Final = frozenset({"$", r"\b", r"\B", r"\A", r"\z", r"\Z"})
_LITERAL: Final = re.compile(r"(?:[^\\\[.]|\\[^a-zA-Z0-9])")
_WIDE: Final = re.compile(r"\.|\[\^|\[.*(?:[^\x00-\x7f]|\\[sSWDuxpP])|\\[sSWDpP]", re.DOTALL)
_QUANTIFIERS: Final = {"*": (0, 1), "+": (1, 1), "?": (0, 1)}
_MANY: Final = 1 << 40

_FEW_PLACES: Final = 64
"""A backtracking pattern follows so many at the price of one: texts that it reads again are read from a cache."""

_WIDE_PLACES: Final = 3
"""Of a class beyond ASCII: its characters are several bytes."""

_MOST_RUNS: Final = 10_000
"""Of a backtracking pattern over one text: the limit given to the engine."""

_LONGEST_KNOWN: Final = 4_096
"""Characters of a pattern whose cost is kept, and the pattern with it: of longer ones a thousand take gigabytes."""

_PROPERTY_BYTES: Final = 90_000
_CLASS_BYTES: Final = 6_000
_CHARACTER_BYTES: Final = 500
_PATTERN_BYTES: Final = 35_000
"""Measured, after use: of a Unicode property, of other classes, of a character, of the least pattern."""


@dataclass(frozen=True, slots=True)
class PatternCost:
    """``places``: the most that are followed at once; ``backtracks``: a text may be read again and again."""

    places: int
    backtracks: bool
    size_bytes: int

    def steps(self, length: int) -> int:
        """Return the most steps, of at most ten nanoseconds each, that a text of so many bytes takes."""
        if not self.backtracks:
            return length * self.places
        # To read again is quicker: much of it is remembered.
        return length * min(length, _MOST_RUNS) * (self.places if self.places > _FEW_PLACES else 1) // 2


def pattern_cost(pattern: str) -> PatternCost:
    """Return what ``pattern`` may cost; of a faulty one, anything."""
    return _known_cost(pattern) if len(pattern) <= _LONGEST_KNOWN else _cost(pattern)


@lru_cache(maxsize=1_024)
def _known_cost(pattern: str) -> PatternCost:
    return _cost(pattern)


def _cost(pattern: str) -> PatternCost:
    reader = _Reader(anchors=_NO_ANCHOR.search(pattern) is None)
    for token in _TOKEN.finditer(pattern):
        reader.read(token)
    return reader.cost()


@dataclass(slots=True)
class _At:
    """How a text may have been read up to here.

    ``spread``: in many ways. Not yet if it was in one way up to varying repeats of ``before``, of which all but the
    first may be empty, and what follows cannot be read as a part of those.
    """

    spread: bool
    before: tuple[str, ...] = ()


@dataclass(slots=True)
class _Part:
    """What was read last, and may be repeated: its places as it stands, all of them, and its bytes."""

    places: int
    all_places: int
    size: int
    after: _At
    source: str | None = None
    before: tuple[str, ...] = ()
    repeated: bool = False


@dataclass(slots=True)
class _Group:
    start: _At
    at: _At
    looks: bool
    places: int = 0
    all_places: int = 0
    size: int = 0
    alternatives: int = 1


class _Reader:
    def __init__(self, anchors: bool) -> None:
        self._anchors = anchors
        self._backtracks = False
        self._groups = [_Group(_At(True), _At(True), False)]
        self._last: _Part | None = None

    def read(self, token: re.Match[str]) -> None:
        text = token.group()
        if _BACKTRACKS.match(text):
            self._backtracks = True
        if token["least"] is not None:
            least = _number(token["least"])
            self._repeat(least, _number(token["most"]) if token["most"] else least, token["open"] is not None)
        elif text in _QUANTIFIERS:
            self._marked(text)
        elif text == "^":
            self._take()
            self._groups[-1].at = _At(not self._anchors)
        elif text == "|":
            self._take()
            group = self._groups[-1]
            group.at, group.alternatives = group.start, group.alternatives + 1
        elif text == ")":
            self._close()
        elif text[0] == "(":
            self._open(text)
        elif text not in _NOTHING:
            self._single(text)

    def cost(self) -> PatternCost:
        while len(self._groups) > 1:
            self._close()
        self._take()
        top = self._groups[0]
        return PatternCost(min(max(top.places, 1), _MANY), self._backtracks, min(top.size, _MANY) + _PATTERN_BYTES)

    def _take(self) -> None:
        """Enter what was read last: no repeat follows it."""
        last, group = self._last, self._groups[-1]
        if last is not None:
            group.places += last.places
            group.all_places += last.all_places
            group.size += last.size
            group.at = last.after
            self._last = None

    def _single(self, text: str) -> None:
        self._take()
        at = self._groups[-1].at
        spread = at.spread or not all(_apart(each, text) for each in at.before)
        places = _WIDE_PLACES if _is_wide(text) else 1
        self._last = _Part(places if spread else 1, places, _bytes(text), _At(spread), text, at.before)

    def _open(self, text: str) -> None:
        self._take()
        if text.endswith(")"):
            return
        start = _At(True) if text.startswith("(?<=") or text.startswith("(?<!") else self._groups[-1].at
        self._groups.append(_Group(start, start, _LOOKS.match(text) is not None))

    def _close(self) -> None:
        self._take()
        if len(self._groups) == 1:
            return
        group = self._groups.pop()
        after = group.at if group.alternatives == 1 else _At(True)
        if group.looks:
            after = self._groups[-1].at
        self._last = _Part(group.places, group.all_places, group.size, after)

    def _marked(self, mark: str) -> None:
        """Take what repeats, or, behind a repeat, says how that is tried."""
        if self._last is not None and self._last.repeated:
            self._backtracks = self._backtracks or mark != "?"
        else:
            self._repeat(*_QUANTIFIERS[mark], varies=True)

    def _repeat(self, least: int, most: int, varies: bool) -> None:
        last = self._last
        if last is None:
            return
        times = max(least, most, 1)
        if last.source is not None and not last.repeated and not last.after.spread:
            if varies:
                last.after = _At(False, (*(last.before if least == 0 else ()), last.source))
        else:
            last.places = min(last.all_places * times, _MANY)
            last.after = _At(True)
        last.all_places = min(last.all_places * times, _MANY)
        last.size = min(last.size * times, _MANY)
        last.repeated = True


def _apart(one: str, other: str) -> bool:
    """Return whether no character is both; False where that cannot be told."""
    if _LITERAL.fullmatch(one):
        one, other = other, one
    character = other[-1]
    if not _LITERAL.fullmatch(other) or not character.isascii():
        return False
    try:
        return not any(re.fullmatch(one, character, flags | re.ASCII) for flags in (0, re.IGNORECASE))
    except (re.error, OverflowError):
        return False


def _bytes(single: str) -> int:
    if r"\p" in single or r"\P" in single:
        return _PROPERTY_BYTES
    return _CLASS_BYTES if _is_wide(single) else _CHARACTER_BYTES


def _is_wide(single: str) -> bool:
    return _WIDE.match(single) is not None


def _number(digits: str) -> int:
    return int(digits[:9])
