"""Finds quoted spans in their source: exactly, else with other white space, quotes and dashes. Pure, linear."""

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import Final

_SAME: Final = str.maketrans({"\u201c": '"', "\u201d": '"', "\u2018": "'", "\u2019": "'", "\u2013": "-", "\u2014": "-"})
_MAX_QUOTE_CHARS: Final = 10_000
_WORD: Final = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Span:
    """Where a quote stands in its source: character offsets, end exclusive."""

    quote: str
    start: int
    end: int


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
        words = " ".join(_words(quote.translate(_SAME)))
        start = self._words.find(words)
        return Span(quote, self._place(start), self._place(start + len(words) - 1) + 1) if start >= 0 else None

    @cached_property
    def _words(self) -> str:
        """The text with one space between its words, so that a plain search finds what other spaces divide."""
        return " ".join(_words(self.text.translate(_SAME)))

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


def _words(text: str) -> list[str]:
    return _WORD.findall(text)


def find_quote(quote: str, source: str) -> Span | None:
    """Return the first place of ``quote`` in ``source``, or None. Of many quotes, ask one Source."""
    return Source(source).find(quote)
