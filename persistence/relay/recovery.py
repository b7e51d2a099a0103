"""Settles what the last producer of a shard left behind, before anything is read anew.

After init (which fences and ends the last transaction) Kafka may still show it as open: a broker that dies
right after EndTxn can skip the markers of a decided transaction. One empty closing transaction over every
partition the relay may write ends it as its manifest demands; then the newest manifest says which rows are
out. ``docs/decisions/0002-relay.md`` has the reasons.
"""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

import structlog

from common.errors import BrokerUnavailable, ConfigurationError
from common.failpoint import failpoint
from common.kafka.logreading import read_stretch
from common.kafka.offsets import Offsets, Partition
from common.kafka.transactions import Extent, TransactionalProducer
from persistence.relay.manifest import Manifest, decode

SETTLE_S: Final = 10.0  # longer than lease and init: another shard's dead transaction holds readers too
_SEARCH_STEPS: Final = (4, 32, 256, 2048, 16_384)
_FIRST_POLL_S: Final = 0.001
_LONGEST_POLL_S: Final = 0.05

log = structlog.get_logger(__name__)


class Closing(StrEnum):
    """How the closing transaction ends."""

    COMMIT = "commit"
    ABORT = "abort"


@dataclass(frozen=True, slots=True)
class Found:
    """What recovery sees after init. ``hanging``: a manifest that no marker follows yet."""

    hanging: Manifest | None
    hanging_aborted: bool
    last: Manifest | None
    stable_ends: Mapping[Partition, int]
    ends: Mapping[Partition, int]


def closing_of(found: Found) -> Closing:
    """Decide. A manifest is sent only when all its records are acknowledged, so it may always be committed,

    unless part of it is already visibly aborted. The last committed manifest with records that are not yet
    stable lost only its markers. Anything else that hangs has no manifest: its rows will be sent again.
    """
    if found.hanging is not None:
        return Closing.ABORT if found.hanging_aborted else Closing.COMMIT
    if found.last is not None and any(_unsettled(extent, found) for extent in found.last.extents):
        return Closing.COMMIT
    return Closing.ABORT


def _unsettled(extent: Extent, found: Found) -> bool:
    where = Partition(extent.topic, extent.partition)
    # A topic that was made anew ends before the extent: those records are gone, and nothing hangs there.
    return found.stable_ends.get(where, 0) <= extent.last < found.ends.get(where, 0)


async def settle(offsets: Offsets, beyond: Mapping[Partition, int]) -> None:
    """Wait until readers can see past each offset. Raises BrokerUnavailable after ten seconds."""
    deadline = time.monotonic() + SETTLE_S
    pause_s = _FIRST_POLL_S
    waiting: Collection[Partition] = beyond
    while True:
        stable = await offsets.stable_ends(waiting)
        waiting = [where for where in waiting if stable[where] < beyond[where]]
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise BrokerUnavailable(f"settling: {waiting[0].topic} is held by an open transaction")
        await asyncio.sleep(pause_s)
        pause_s = min(_LONGEST_POLL_S, pause_s * 2)


async def settle_extents(offsets: Offsets, extents: Sequence[Extent]) -> None:
    """Wait until the records of a committed transaction are visible: their markers are on disk."""
    await settle(offsets, {Partition(topic, number): last + 1 for topic, number, _, last in extents})


class Recovery:
    """Recovers one shard with a producer that has just been initialised."""

    def __init__(
        self, bootstrap: str, producer: TransactionalProducer, manifests: Partition, topics: Collection[str]
    ) -> None:
        self._bootstrap = bootstrap
        self._producer = producer
        self._manifests = manifests
        self._topics = topics

    async def run(self) -> tuple[Manifest | None, Closing]:
        """Close what hangs; return the newest manifest, whose rows are out, and how it was closed."""
        offsets = self._producer.offsets
        if self._manifests not in await offsets.partitions([self._manifests.topic]):
            raise ConfigurationError(f"topic {self._manifests.topic} needs a partition for each relay shard")
        writable = [*await offsets.partitions(self._topics), self._manifests]
        found = await self._look(writable)
        closing = closing_of(found)
        if found.hanging is not None or closing is Closing.COMMIT:
            log.warning("relay_closing_transaction", shard=self._manifests.partition, outcome=closing.value)
        await self._producer.begin(*writable)
        await (self._producer.commit() if closing is Closing.COMMIT else self._producer.abort())
        failpoint("relay.recovery.after_closing")
        await settle(offsets, found.ends)
        stable = await offsets.stable_ends([self._manifests])
        return await self._newest(stable[self._manifests]), closing

    async def _look(self, writable: Sequence[Partition]) -> Found:
        offsets = self._producer.offsets
        ends = await offsets.ends(writable)
        stable_ends = await offsets.stable_ends(writable)
        stable, end = stable_ends[self._manifests], ends[self._manifests]
        hanging = None
        if stable < end:
            records = await read_stretch(self._bootstrap, self._manifests, stable, end, committed=False)
            hanging = decode(records[-1][1]) if records else None
        aborted = hanging is not None and await self._visibly_aborted(hanging.extents, stable_ends)
        last = await self._newest(stable) if hanging is None else None
        return Found(hanging, aborted, last, stable_ends, ends)

    async def _visibly_aborted(self, extents: Sequence[Extent], stable_ends: Mapping[Partition, int]) -> bool:
        for topic, number, first, last in extents:
            where = Partition(topic, number)
            if stable_ends.get(where, 0) <= last:
                continue
            seen = await read_stretch(self._bootstrap, where, first, last + 1, committed=True)
            if not any(offset == first for offset, _ in seen):
                return True
        return False

    async def _newest(self, end: int) -> Manifest | None:
        """Return the newest committed manifest before ``end``, however many aborted ones follow it."""
        beginning = (await self._producer.offsets.beginnings([self._manifests]))[self._manifests]
        for step in (*_SEARCH_STEPS, end):
            start = max(beginning, end - step)
            records = await read_stretch(self._bootstrap, self._manifests, start, end, committed=True)
            if records:
                return decode(records[-1][1])
            if start == beginning:
                return None
        return None


def rows_to_delete(newest: Manifest | None, installation: UUID) -> Sequence[int]:
    """Return the revisions that the newest manifest says are out. Another installation's say nothing."""
    if newest is None:
        return ()
    if newest.installation != installation:
        log.warning("relay_foreign_manifest", shard=newest.shard, theirs=str(newest.installation))
        return ()
    return newest.revs
