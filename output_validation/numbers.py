"""Names numbers that readers with double precision would not keep: they stay exact here, if they are integers."""

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Final

from common.schema import Json, Violation
from common.schema.strict_json import has_long_numbers

_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_UP_TO_NUMBER: Final = re.compile(
    r'(?:[^"0-9-]++|-(?![0-9])|[0-9]{1,15}+(?![0-9.eE])|"(?:[^"\\]|\\.)*+")*+'
    rf"(?:(?P<number>{_NUMBER.pattern})|(?P<unclosed>\")|\Z)",
    re.DOTALL,
)
"""Over strings and short integers to the next number, in one step: a text has many of those."""

_FAR_BELOW_ONE: Final = re.compile(rb"[eE]-0*[1-9][0-9]{2}")
"""The exponent of a number that a double may hold as zero, or with fewer digits."""

_MOST: Final = 10
_MOST_TOKENS: Final = 100_000
_MOST_DIGITS: Final = 400
"""Of an integer that a double may still be near to."""


def inexact_numbers(raw: bytes) -> tuple[Violation, ...]:
    """Return a note for each of the first few numbers of a JSON text that a double does not hold exactly."""
    return tuple(map(_note, islice(_inexact_tokens(raw), _MOST)))


def inexact_numbers_of(value: Json, raw: bytes) -> tuple[Violation, ...]:
    """Return the same of a faulty text: of the numbers in it that are in the value, and in no comment or string."""
    tokens = list(_inexact_tokens(raw))
    held = _numbers_of(value) if tokens else frozenset()
    return tuple(map(_note, [token for token in tokens if _number(token) in held][:_MOST]))


def has_rounded_numbers(raw: bytes) -> bool:
    """Return whether a JSON text has a number with a fraction or exponent that a double does not hold exactly."""
    return any(not _is_integer(token) for token in _inexact_tokens(raw))


def _inexact_tokens(raw: bytes) -> Iterator[str]:
    if not has_long_numbers(raw) and _FAR_BELOW_ONE.search(raw) is None:
        return
    for token in islice(_numbers_in(raw.decode(errors="replace")), _MOST_TOKENS):
        if (len(token) >= 16 or "-" in token[1:]) and not is_exact(token):
            yield token


def _numbers_in(text: str) -> Iterator[str]:
    """Yield the numbers outside strings but short integers; all that follow a quote that is not closed."""
    for found in _UP_TO_NUMBER.finditer(text):
        if found["number"] is not None:
            yield found["number"]
        elif found["unclosed"] is not None:
            # Searched on from here, each quote to come would be followed to the end of the text.
            yield from (each[0] for each in _NUMBER.finditer(text, found.end()))
            return


def _note(token: str) -> Violation:
    kept = "kept exactly" if _is_integer(token) else "rounded to a double"
    message = f"the number {token[:60]} is not one that a double holds; here it is {kept}"
    return Violation("", "number-precision", message, actual=token[:60])


def _is_integer(token: str) -> bool:
    return token.lstrip("-").isdigit()


def _number(token: str) -> int | float | None:
    if not _is_integer(token):
        return float(token)
    return int(token) if len(token) <= _MOST_DIGITS else None


def _numbers_of(value: Json) -> frozenset[int | float]:
    parts = [value]
    for part in parts:
        if isinstance(part, dict | list):
            parts += part.values() if isinstance(part, dict) else part
    return frozenset(part for part in parts if isinstance(part, int | float))


def is_exact(token: str) -> bool:
    """Return whether a double holds the number that a token of JSON says."""
    try:
        value = float(token)
        if _is_integer(token):
            return len(token) < _MOST_DIGITS and value not in (float("inf"), float("-inf")) and int(value) == int(token)
        # The shortest text that gives the same double says the same number.
        return Decimal(repr(value)) == Decimal(token)
    except (InvalidOperation, OverflowError, ValueError):
        return False
