"""How many more steps each lane may have in Kafka: a bounded runway, measured as consumer lag.

The measure is refreshed in the background while rows are released, and what is released meanwhile is
subtracted at once: the estimate errs on the side of too few. Lag is never awaited to be zero.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import Gauge

from common.contracts.internal import LANES
from common.errors import BrokerUnavailable
from common.kafka.offsets import Offsets, Partition, offsets_of
from common.pipeline import PROMPTS_OF, STEPS_OF, Topic, group_name, topic_name

REFRESH_S: Final = 0.2
_BACKOFF_S: Final = 1.0
_BEHIND_LANES: Final = "all"
STEP_LANES: Final = range(len(LANES))
INTERIOR_LANE: Final = len(LANES)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Steps in Kafka that no consumer has finished with: by lane, and behind the lanes' own topics."""

    by_lane: tuple[int, ...]
    shared: int


@dataclass(frozen=True, slots=True)
class _Reader:
    """One consumer group and the topics whose lag counts, with the lane each belongs to (None: shared)."""

    group: str
    lane_of: Mapping[str, int | None]


def readers(prefix: str) -> list[_Reader]:
    """Return the groups that stand between a released step and its ending."""
    steps = {topic_name(prefix, STEPS_OF[lane]): number for number, lane in enumerate(LANES)}
    prompts = {topic_name(prefix, PROMPTS_OF[lane]): number for number, lane in enumerate(LANES)}
    return [
        _Reader(group_name(prefix, "prompt_engine"), steps),
        _Reader(group_name(prefix, "model_layer"), prompts),
        _Reader(group_name(prefix, "output_validation"), {topic_name(prefix, Topic.COMPLETIONS): None}),
        _Reader(group_name(prefix, "persistence"), {topic_name(prefix, Topic.VERDICTS): None}),
    ]


async def measure(offsets: Offsets, groups: Sequence[_Reader]) -> Unfinished:
    """Ask Kafka. A group that has never committed has everything still kept before it."""
    partitions = {group.group: await offsets.partitions(list(group.lane_of)) for group in groups}
    every = [where for theirs in partitions.values() for where in theirs]
    done: dict[Partition, int] = {}
    for group in groups:
        done |= await offsets.committed(group.group, partitions[group.group])
    untouched = [where for where in every if where not in done]
    if untouched:
        done |= await offsets.beginnings(untouched)
    ends = await offsets.ends(every)
    by_lane = [0] * len(LANES)
    shared = 0
    for group in groups:
        for where in partitions[group.group]:
            lag = max(0, ends[where] - done[where])
            lane = group.lane_of[where.topic]
            if lane is None:
                shared += lag
            else:
                by_lane[lane] += lag
    return Unfinished(tuple(by_lane), shared)


class Runway:
    """Allowances by lane. Lane 3 (parked messages on their way back) has a runway of its own on top.

    ``roused`` is set after each measure: who waits for an allowance looks again.
    """

    def __init__(self, limit: int, *, shards: int, roused: asyncio.Event, measured: Gauge) -> None:
        self._limit = limit
        self._measured = measured
        self._shards = shards
        self._allowance = [0] * (INTERIOR_LANE + 1)
        self._released = [0] * (INTERIOR_LANE + 1)
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._roused = roused

    def allowance(self, lane: int) -> int:
        """Return how many rows of ``lane`` may go now."""
        return max(0, self._allowance[lane] - self._released[lane])

    def released(self, lane: int, rows: int) -> None:
        """Subtract what was sent; ask for a fresh measure once half of the allowance is gone."""
        self._released[lane] += rows
        if 2 * self.allowance(lane) < self._limit / self._shards:
            self.want()

    def want(self) -> None:
        """Ask for a fresh measure."""
        self._wanted.set()

    def update(self, unfinished: Unfinished, released_before: Sequence[int]) -> None:
        """Take a measure; ``released_before`` are the counts of ``snapshot`` when it began."""
        for lane, steps in zip((*LANES, _BEHIND_LANES), (*unfinished.by_lane, unfinished.shared), strict=True):
            self._measured.labels(lane).set(steps)
        total = sum(unfinished.by_lane) + unfinished.shared
        free = [self._limit - of_lane - unfinished.shared for of_lane in unfinished.by_lane]
        free.append((len(LANES) + 1) * self._limit - total)
        self._allowance = [-(-max(0, rows) // self._shards) for rows in free]
        self._released = [now - then for now, then in zip(self._released, released_before, strict=True)]
        self._roused.set()

    def snapshot(self) -> tuple[int, ...]:
        """Return what has been released since the last measure."""
        return tuple(self._released)

    async def keep_measuring(self, bootstrap: str, prefix: str, client_id: str) -> None:
        """Measure whenever asked to, at most every 200 ms. Without Kafka the allowance only shrinks."""
        groups = readers(prefix)
        while True:
            try:
                async with offsets_of(bootstrap, client_id=client_id) as offsets:
                    while True:
                        await self._wanted.wait()
                        self._wanted.clear()
                        before = self.snapshot()
                        self.update(await measure(offsets, groups), before)
                        await asyncio.sleep(REFRESH_S)
            except BrokerUnavailable:
                self._wanted.set()
                await asyncio.sleep(_BACKOFF_S)
