"""US dollars as callers write them, and nano-USD as we count them. Exact, pure."""

from decimal import Context, Decimal, InvalidOperation
from typing import Final

NANOS_PER_USD: Final = 10**9
_MOST_USD: Final = 1_000_000_000
_LEAST_USD: Final = Decimal("1e-9")
_LONGEST: Final = 64
_EXACT: Final = Context(prec=2 * _LONGEST)


def nanos_from_usd(text: str, *, may_be_zero: bool = False) -> int:
    """Return the nano-USD of a decimal number. Raises ValueError that says what is wrong with it."""
    try:
        amount = Decimal(text) if len(text) <= _LONGEST else Decimal("NaN")
    except InvalidOperation:
        raise ValueError("must be a decimal number such as 0.05") from None
    if not amount.is_finite() or "_" in text or text != text.strip():
        raise ValueError("must be a decimal number such as 0.05")
    if may_be_zero and amount == 0:
        return 0
    if not 0 < amount <= _MOST_USD:
        least = "0 or more" if may_be_zero else "more than 0"
        raise ValueError(f"must be {least} and at most {_MOST_USD}")
    scaled = amount.scaleb(9, _EXACT)
    if amount < _LEAST_USD or scaled != scaled.to_integral_value():
        raise ValueError("must have at most 9 decimal places")
    return int(scaled)


def usd_from_nanos(nanos: int) -> str:
    """Return nano-USD as decimal US dollars with 9 places."""
    sign = "-" if nanos < 0 else ""
    whole, rest = divmod(abs(nanos), NANOS_PER_USD)
    return f"{sign}{whole}.{rest:09d}"
