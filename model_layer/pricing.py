"""Money, exact: integers of nano-USD (1 USD = 10**9), never floats.

Pure. Rates are nano-USD per million tokens, so that any vendor's price list is an integer here. Amounts are
rounded up once, at the end, to a whole nano-USD: a reservation is never below the cost it must cover.
"""

from dataclasses import dataclass
from decimal import Decimal

from model_layer.provider import Usage

NANOS_PER_USD = 10**9
TOKENS_PER_RATE = 10**6


@dataclass(frozen=True, slots=True)
class Price:
    """A deployment's rates in nano-USD per million tokens. ``version`` goes into each output's lineage."""

    input_rate: int
    output_rate: int
    cached_input_rate: int
    version: str


def rate_from_usd(usd_per_mtok: Decimal) -> int:
    """Nano-USD per million tokens; ValueError for what is negative or finer than a nano-USD per million."""
    nanos = usd_per_mtok * NANOS_PER_USD
    if not nanos.is_finite() or nanos < 0 or nanos != nanos.to_integral_value():
        raise ValueError("a price is a number of USD per million tokens, 0 or more, with at most 9 decimals")
    return int(nanos)


def cost(price: Price, usage: Usage) -> int:
    """What this usage costs, in nano-USD."""
    cached = min(max(usage.cached_input_tokens, 0), usage.input_tokens)
    return _nanos(
        (usage.input_tokens - cached) * price.input_rate
        + cached * price.cached_input_rate
        + usage.output_tokens * price.output_rate
    )


def reservation(price: Price, input_tokens_bound: int, max_output_tokens: int) -> int:
    """The most a request can cost (P4): all input at the dearest rate, all the output it may write."""
    dearest = max(price.input_rate, price.cached_input_rate)
    return _nanos(input_tokens_bound * dearest + max_output_tokens * price.output_rate)


def charge(price: Price, usage: Usage | None, reserved_nanos: int) -> int:
    """What an answered call is settled at: its cost, or the reservation if usage is unreported (P3)."""
    return reserved_nanos if usage is None else cost(price, usage)


def _nanos(rate_tokens: int) -> int:
    return -(-rate_tokens // TOKENS_PER_RATE)
