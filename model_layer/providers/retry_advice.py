"""What a vendor's headers say about calling again. Pure. The order is the vendors' own clients'."""

import math
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

_LONGEST_S = 86_400.0


def should_retry(headers: Mapping[str, str]) -> bool | None:
    """The vendor's explicit word (`x-should-retry`), if it gave one. Header names are lower case."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", "").strip().lower())


def retry_after_s(headers: Mapping[str, str], received_at_s: float) -> float | None:
    """Seconds to wait: `retry-after-ms`, else `retry-after` as seconds or HTTP date; None if neither.

    A date counts from the answer's own `date`, so that skewed clocks do not matter; ``received_at_s`` (Unix
    time) stands in where that is missing. Bounded to a day.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return min(milliseconds / 1_000, _LONGEST_S)
    written = headers.get("retry-after")
    seconds = _number(written)
    if seconds is not None:
        return min(seconds, _LONGEST_S)
    until = _unix_time(written)
    if until is None:
        return None
    now = _unix_time(headers.get("date"))
    return min(max(until - (received_at_s if now is None else now), 0.0), _LONGEST_S)


def _number(written: str | None) -> float | None:
    try:
        value = float(written or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _unix_time(written: str | None) -> float | None:
    if not written:
        return None
    try:
        moment = parsedate_to_datetime(written)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
