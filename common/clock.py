"""The clock, as a value that is passed in: pure code never reads one."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], float]


def system_clock() -> float:
    """Return Unix time in seconds."""
    return time.time()


def monotonic_clock() -> float:
    """Return monotonic time in seconds; for measuring and back-off only."""
    return time.monotonic()


def utc(unix_ms: int) -> datetime:
    """Return the aware UTC time of Unix milliseconds."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC)


def unix_ms(moment: datetime) -> int:
    """Return Unix milliseconds of an aware time."""
    return int(moment.timestamp() * 1000)
