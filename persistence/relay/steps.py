"""Releases work (lanes 0 to 3 of the outbox): fairly over tenants, most urgent first, within the runway.

At least once: rows are deleted after Kafka's acknowledgement, and what they cause is guarded by keys. Ring,
cursors and suspects are hints in memory; a session that ends by any error leaves nothing behind but rows.
"""

import time
from collections.abc import Sequence
from typing import Final

from common.clock import system_clock
from common.errors import RecordRefused
from common.failpoint import failpoint
from common.kafka.transactions import IdempotentProducer
from persistence.postgres import outbox
from persistence.postgres.outbox import FIRST, Cursor, OutboxRow, Share
from persistence.postgres.pool import Connection
from persistence.relay.appetite import Appetite
from persistence.relay.connections import held_connection
from persistence.relay.path import ShardContext, sendable
from persistence.relay.quarantine import Quarantine
from persistence.relay.ring import Given, Ring, Turn
from persistence.relay.runway import INTERIOR_LANE, STEP_LANES, Runway
from persistence.relay.wakes import wait

RELEASE_ROWS: Final = 500
REFRESH_S: Final = 1.0
_REFRESH_PAUSE_RATIO: Final = 20  # a refresh that took long is not repeated soon
_ORDER: Final = (INTERIOR_LANE, *STEP_LANES)  # messages on their way back go before new steps

_Rings = Sequence[Ring[Cursor]]


class StepsPath:
    """Releases the steps of one shard."""

    def __init__(self, context: ShardContext, runway: Runway) -> None:
        self._context = context
        self._runway = runway
        self._quarantine = Quarantine()
        self._appetites = [Appetite(RELEASE_ROWS) for _ in _ORDER]

    async def session(self) -> None:
        """Release until an error ends the session. Begin another then: the producer is dead."""
        context = self._context
        rings: _Rings = [Ring() for _ in _ORDER]
        refresh_at = 0.0
        async with (
            held_connection(context.pool) as connection,
            IdempotentProducer(context.bootstrap, client_id=f"{context.client_id}-steps") as producer,
        ):
            while not context.stopping.is_set():
                refresh_at = await self._hear(connection, rings, refresh_at)
                if not await self._release(connection, producer, rings):
                    if any(len(rings[lane]) for lane in _ORDER):
                        self._runway.want()
                    await wait(context.wakes.steps, refresh_at - time.monotonic())

    async def _hear(self, connection: Connection, rings: _Rings, refresh_at: float) -> float:
        """Bring the rings up to date with what woke us; return when to look for lost wakes."""
        named, everything = self._context.wakes.take_tenants()
        for lane, tenant_id in named:
            rings[lane].wake(tenant_id)
        began = time.monotonic()
        if began < refresh_at and not everything:
            return refresh_at
        tenants: list[list[str]] = [[] for _ in _ORDER]
        for lane, tenant_id in await outbox.ready_tenants(connection, self._context.shard):
            tenants[lane].append(tenant_id)
        for ring, theirs in zip(rings, tenants, strict=True):
            ring.refresh(theirs)
        ended = time.monotonic()
        return ended + max(REFRESH_S, _REFRESH_PAUSE_RATIO * (ended - began))

    async def _release(self, connection: Connection, producer: IdempotentProducer, rings: _Rings) -> bool:
        """Send one round over all lanes and delete it; return whether anybody had a turn."""
        turns = {lane: self._plan(rings[lane], lane) for lane in _ORDER}
        read: list[OutboxRow] = []
        counts: dict[int, int] = {}
        for lane in _ORDER:
            rows = await self._take(connection, rings[lane], lane, turns[lane])
            self._runway.released(lane, len(rows))
            counts[lane] = len(rows)
            read += rows
        self._context.metrics.note_age("steps", read[0].job_id if read else None, system_clock())
        if read:
            await self._send(connection, producer, read)
        for lane, sent in counts.items():
            self._context.metrics.released.labels(lane).inc(sent)
        return any(turns.values())

    def _plan(self, ring: Ring[Cursor], lane: int) -> list[Turn[Cursor]]:
        return ring.plan(min(self._appetites[lane].rows, self._runway.allowance(lane)))

    async def _take(
        self, connection: Connection, ring: Ring[Cursor], lane: int, turns: Sequence[Turn[Cursor]]
    ) -> list[OutboxRow]:
        if not turns:
            return []
        shares = [Share(tenant_id, rows, after or FIRST) for tenant_id, rows, after in turns]
        found = await outbox.ready(connection, self._context.shard, lane, shares)
        given: dict[str, Given[Cursor]] = {}
        for row in found:
            before = given.get(row.tenant_id)
            given[row.tenant_id] = Given(before.rows + 1 if before else 1, (row.deadline, row.id))
        ring.settle(turns, given)
        self._appetites[lane].fed(sum(len(row.body) for row in found))
        return found

    async def _send(self, connection: Connection, producer: IdempotentProducer, rows: Sequence[OutboxRow]) -> None:
        failpoint("relay.steps.after_read")
        kept, records = await sendable(self._context, connection, self._quarantine, rows)
        for batch in self._quarantine.batches(kept):
            try:
                await producer.send([records[row.rev] for row in batch])
            except RecordRefused as error:
                self._quarantine.refuse([batch[index].rev for index in error.suspects], error.reason)
                raise
            failpoint("relay.steps.after_send")
            revs = [row.rev for row in batch]
            await outbox.delete_ready(connection, [row.id for row in batch], revs)
            failpoint("relay.steps.after_delete")
            self._quarantine.clear(revs)


async def keep_promoting(context: ShardContext) -> None:
    """Make parked rows ready when their time comes: sleeps until the next is due, a wake, or a second."""
    async with held_connection(context.pool) as connection:
        while True:
            context.wakes.later.clear()
            due_s = await outbox.next_due_s(connection, context.shard)
            if due_s is None or due_s > 0:
                await wait(context.wakes.later, REFRESH_S if due_s is None else min(REFRESH_S, due_s))
                continue
            promoted = await outbox.promote(connection, context.shard, RELEASE_ROWS)
            failpoint("relay.after_promote")
            context.metrics.promoted.inc(len(promoted))
            context.wakes.wake_tenants(promoted)
