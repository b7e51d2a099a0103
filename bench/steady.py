"""Whether a figure that was read again and again stays where it is: trends of memory, levels of tables. Pure.

Readings are (seconds since the start, value). The start of a run is left out: services warm caches, pools open.
"""

from collections.abc import Sequence
from statistics import fmean, linear_regression, median
from typing import Final

from pydantic import BaseModel, ConfigDict

Readings = Sequence[tuple[float, float]]

SETTLE_S: Final = 120.0
GROWING_MB_A_MINUTE: Final = 1.0
GROWING_SHARE: Final = 0.03
BOUNDED_RATIO: Final = 1.5
BOUNDED_ROWS_S: Final = 5.0
BOUNDED_BYTES: Final = 64_000_000

MEMORY_RULE: Final = (
    f"growing: at least {GROWING_MB_A_MINUTE:g} MB a minute by least squares, and the last third's median at least "
    f"{GROWING_SHARE:.0%} above the middle third's; else flat"
)
OUTBOX_RULE: Final = (
    f"bounded: the last third's most is at most {BOUNDED_RATIO:g} times the first third's, or at most "
    f"{BOUNDED_ROWS_S:g} s of load (rows) or {BOUNDED_BYTES / 1e6:g} MB (bytes); dead letters: none at all"
)


class Trend(BaseModel):
    """Memory of one process over the counted part of a run, in MB. ``growth``: last third over middle, less 1."""

    model_config = ConfigDict(frozen=True)

    mean_mb: float
    mb_a_minute: float
    growth: float
    greatest_mb: float
    last_mb: float

    @property
    def percent_an_hour(self) -> float:
        """The slope, in percent of the mean."""
        return 100 * 60 * self.mb_a_minute / self.mean_mb if self.mean_mb else 0.0

    @property
    def growing(self) -> bool:
        """Both, by MEMORY_RULE: a slope alone is also a step long past, a share alone is noise of a small process."""
        return self.mb_a_minute >= GROWING_MB_A_MINUTE and self.growth >= GROWING_SHARE


class Level(BaseModel):
    """The most of something in the first and in the last third of the counted part of a run."""

    model_config = ConfigDict(frozen=True)

    first: float
    last: float

    def bounded(self, enough: float) -> bool:
        """Whether it did not rise, or ended below what does not matter anyway."""
        return self.last <= max(BOUNDED_RATIO * self.first, enough)


def settle_s(run_s: float) -> float:
    """Return how much of a run's start is left out: two minutes, of a short run half."""
    return min(SETTLE_S, run_s / 2)


def counted(readings: Readings, run_s: float) -> Readings:
    """Return the readings of the counted part."""
    return [reading for reading in readings if settle_s(run_s) <= reading[0] <= run_s]


def thirds(readings: Readings) -> tuple[list[float], list[float], list[float]]:
    """Return the values by third of the time from the first reading to the last. Each third of 3 or more has one."""
    began_s, ended_s = readings[0][0], readings[-1][0]
    step_s = (ended_s - began_s) / 3
    found: tuple[list[float], list[float], list[float]] = ([], [], [])
    for at_s, value in readings:
        found[min(2, int((at_s - began_s) / step_s)) if step_s else 2].append(value)
    return found


def trend(readings: Readings) -> Trend | None:
    """Return the trend of counted readings in MB; None where too few were read to say anything."""
    if len(readings) < 3:
        return None
    _, middle, last = thirds(readings)
    if not middle or not last:
        return None
    times_s, values = [at_s for at_s, _ in readings], [value for _, value in readings]
    before = median(middle)
    return Trend(
        mean_mb=fmean(values),
        mb_a_minute=60 * linear_regression(times_s, values).slope,
        growth=median(last) / before - 1 if before else 0.0,
        greatest_mb=max(values),
        last_mb=values[-1],
    )


def level(readings: Readings) -> Level:
    """Return the level of counted readings; of none, nothing."""
    if not readings:
        return Level(first=0.0, last=0.0)
    first, _, last = thirds(readings)
    return Level(first=max(first, default=0.0), last=max(last, default=0.0))
