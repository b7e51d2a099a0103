"""Finds quoted spans in their source: exactly, else with other white space, quotes and dashes. Pure, linear."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Final

from common.schema import Json
from common.schema.violations import to_pointer

_ALIKE: Final = {
    '"': "\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\uff02",
    "'": "\u2018\u2019\u201a\u201b\u2039\u203a\u02bc\u00b4\u0060\u2032\uff07",
    "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212",
}
_SAME: Final = str.maketrans({other: sign for sign, others in _ALIKE.items() for other in others})
_BETWEEN_TEXTS: Final = "\n\0\n"
"""No text holds NUL, so no quote reaches over it."""

_MAX_QUOTE_CHARS: Final = 10_000
_WORD: Final = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Span:
    """Where a quote stands in its source: character offsets, end exclusive.

    ``pointer``: JSON Pointer to the text in which it stands, where the source is JSON; empty if it stands in the
    source as a whole: a text, or JSON as it is printed.
    """

    quote: str
    start: int
    end: int
    pointer: str = ""


class Source:
    """A text that quotes are looked for in. What is made of it is made once, for all of them."""

    def __init__(self, text: str) -> None:
        self.text = text

    def find(self, quote: str) -> Span | None:
        """Return the first place of ``quote``, or None; a quote without a letter or digit is nowhere."""
        if len(quote) > _MAX_QUOTE_CHARS or not any(sign.isalnum() for sign in quote):
            return None
        start = self.text.find(quote)
        if start >= 0:
            return Span(quote, start, start + len(quote))
        words = plain_words(quote)
        start = self._words.find(words)
        return Span(quote, self._place(start), self._place(start + len(words) - 1) + 1) if start >= 0 else None

    def count(self, quote: str) -> int:
        """Return how often ``quote`` stands here, whatever its blanks and marks."""
        return self._words.count(plain_words(quote))

    @cached_property
    def _words(self) -> str:
        """The text with one space between its words, so that a plain search finds what other spaces divide."""
        return plain_words(self.text)

    @cached_property
    def _starts(self) -> tuple[list[int], list[int]]:
        """Where each word starts: among the words, and in the text."""
        among_words, in_text, place = [], [], 0
        for word in _WORD.finditer(self.text):
            among_words.append(place)
            in_text.append(word.start())
            place += len(word.group()) + 1
        return among_words, in_text

    def _place(self, at: int) -> int:
        among_words, in_text = self._starts
        word = bisect_right(among_words, at) - 1
        return in_text[word] + at - among_words[word]


class TextsSource(Source):
    """The texts in a JSON value, each of which may hold a quote."""

    def __init__(self, value: Json) -> None:
        self._value = value
        texts = list(_texts(value))
        super().__init__(_BETWEEN_TEXTS.join(texts))
        self._text_starts = [0, *accumulate(len(text) + len(_BETWEEN_TEXTS) for text in texts)]

    def find(self, quote: str) -> Span | None:
        """Return the first place of ``quote`` in one of the texts, or None."""
        span = super().find(quote)
        if span is None:
            return None
        number = bisect_right(self._text_starts, span.start) - 1
        before = self._text_starts[number]
        return Span(quote, span.start - before, span.end - before, self._pointers[number])

    @cached_property
    def _pointers(self) -> list[str]:
        return list(_pointers(self._value, ""))


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        yield from _texts(part)


def _pointers(value: Json, pointer: str) -> Iterator[str]:
    """Yield where the texts of a value stand, in their order."""
    if isinstance(value, str):
        yield pointer
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for name, part in parts:
        yield from _pointers(part, pointer + to_pointer([name]))


def plain_words(text: str) -> str:
    """Return a text with one space between its words, and one shape of quotation marks and dashes."""
    return " ".join(_WORD.findall(text.translate(_SAME)))


def find_quote(quote: str, source: str) -> Span | None:
    """Return the first place of ``quote`` in ``source``, or None. Of many quotes, ask one Source."""
    return Source(source).find(quote)
