"""Names numbers that readers with double precision would not keep: they stay exact here, if they are integers."""

import re
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Final

from common.schema import Violation
from common.schema.strict_json import has_long_numbers

_STRING_OR_NUMBER: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|(-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)')
_FAR_BELOW_ONE: Final = re.compile(rb"[eE]-0*[1-9][0-9]{2}")
"""The exponent of a number that a double may hold as zero, or with fewer digits."""

_MOST: Final = 10
_MOST_TOKENS: Final = 100_000


def inexact_numbers(raw: bytes) -> tuple[Violation, ...]:
    """Return a note for each of the first few numbers of a JSON text that a double does not hold exactly."""
    if not has_long_numbers(raw) and _FAR_BELOW_ONE.search(raw) is None:
        return ()
    text = raw.decode(errors="replace")
    notes: list[Violation] = []
    for found in islice(_STRING_OR_NUMBER.finditer(text), _MOST_TOKENS):
        token = found.group(1)
        if token is None or (len(token) < 16 and "-" not in token[1:]):
            continue
        if not is_exact(token):
            kept = "kept exactly" if token.lstrip("-").isdigit() else "rounded to a double"
            message = f"the number {token[:60]} is not one that a double holds; here it is {kept}"
            notes.append(Violation("", "number-precision", message, actual=token[:60]))
            if len(notes) == _MOST:
                break
    return tuple(notes)


def is_exact(token: str) -> bool:
    """Return whether a double holds the number that a token of JSON says."""
    try:
        value = float(token)
        if token.lstrip("-").isdigit():
            return len(token) < 400 and value not in (float("inf"), float("-inf")) and int(value) == int(token)
        # The shortest text that gives the same double says the same number.
        return Decimal(repr(value)) == Decimal(token)
    except (InvalidOperation, OverflowError, ValueError):
        return False
