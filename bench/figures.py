"""Figures from samples: percentiles and medians. Pure."""

import math
from collections.abc import Collection, Sequence
from statistics import median

from pydantic import BaseModel, ConfigDict


class Percentiles(BaseModel):
    """Milliseconds. ``count`` says how much the last ones are worth."""

    model_config = ConfigDict(frozen=True)

    p50: float
    p95: float
    p99: float
    greatest: float
    count: int


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile of sorted values: always a value that was measured."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def percentiles_ms(durations_s: Collection[float]) -> Percentiles | None:
    """Return the percentiles of durations in seconds, as milliseconds; None of none."""
    if not durations_s:
        return None
    ordered = sorted(1000 * duration_s for duration_s in durations_s)
    return Percentiles(
        p50=percentile(ordered, 0.50),
        p95=percentile(ordered, 0.95),
        p99=percentile(ordered, 0.99),
        greatest=ordered[-1],
        count=len(ordered),
    )


def median_round(rates: Sequence[float]) -> int:
    """Return which round is the median one by its rate (the lower of the two middle ones)."""
    order = sorted(range(len(rates)), key=lambda index: rates[index])
    return order[(len(order) - 1) // 2]


def spread(values: Sequence[float]) -> float:
    """Return how far the extremes lie apart, as a share of the median; 0 where that is 0."""
    middle = median(values)
    return (max(values) - min(values)) / middle if middle else 0.0
