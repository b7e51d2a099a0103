"""Finds quoted spans in their source: exactly, else with other white space, quotes and dashes. Pure, linear."""

import re
from dataclasses import dataclass
from typing import Final

_SAME: Final = str.maketrans({"\u201c": '"', "\u201d": '"', "\u2018": "'", "\u2019": "'", "\u2013": "-", "\u2014": "-"})
_MAX_QUOTE_CHARS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Span:
    """Where a quote stands in its source: character offsets, end exclusive."""

    quote: str
    start: int
    end: int


def find_quote(quote: str, source: str) -> Span | None:
    """Return the first place of ``quote`` in ``source``, or None; a quote without a letter or digit is nowhere."""
    if len(quote) > _MAX_QUOTE_CHARS or not any(sign.isalnum() for sign in quote):
        return None
    start = source.find(quote)
    if start >= 0:
        return Span(quote, start, start + len(quote))
    words = quote.translate(_SAME).split()
    pattern = re.compile(r"\s+".join(map(re.escape, words)))
    found = pattern.search(source.translate(_SAME))
    return Span(quote, found.start(), found.end()) if found else None
