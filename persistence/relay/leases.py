"""Who leads which shard: takes free leases, renews its own three times a lease, and says what was gained and lost.

A lease serves liveness only; a leader that sleeps through its end is fenced by Kafka, not by this.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

import asyncpg
import structlog

from common.errors import DatabaseUnavailable
from persistence.postgres import leadership
from persistence.postgres.pool import Connection, Pool
from persistence.relay.connections import held_connection

LEASE_S: Final = 3.0
POLL_S: Final = 0.3
_RENEWALS_A_LEASE: Final = 3
_ANSWER_S: Final = 1.0

log = structlog.get_logger(__name__)


class Leases:
    """The leases of one process. ``gained`` and ``lost`` are told of every change, one after the other."""

    def __init__(
        self,
        pool: Pool,
        owner: UUID,
        shards: int,
        gained: Callable[[int, int], Awaitable[None]],
        lost: Callable[[int], Awaitable[None]],
        *,
        lease_s: float = LEASE_S,
    ) -> None:
        self._pool = pool
        self._owner = owner
        self._shards = shards
        self._gained = gained
        self._lost = lost
        self._lease_s = lease_s
        self._poll_s = min(POLL_S, lease_s / 10)
        self._epochs: dict[int, int] = {}
        self._held_until: dict[int, float] = {}
        self._reachable = True

    async def keep(self) -> None:
        """Lead whatever can be led, for ever."""
        while True:
            try:
                async with held_connection(self._pool) as connection:
                    self._reachable = True
                    await self._serve(connection)
            except (DatabaseUnavailable, asyncpg.PostgresError) as error:
                if self._reachable:  # one line an outage, not one a poll
                    log.warning("relay_lease_unreachable", reason=str(error))
                self._reachable = False
            await self._drop_expired()
            await asyncio.sleep(self._poll_s)

    async def release(self) -> None:
        """Give every lease back, so that a successor need not wait for their end. Best effort."""
        try:
            async with held_connection(self._pool) as connection:
                await leadership.release(connection, self._owner, _ANSWER_S)
        except (DatabaseUnavailable, asyncpg.PostgresError) as error:
            log.warning("relay_lease_not_released", reason=str(error))

    async def _serve(self, connection: Connection) -> None:
        renew_at = 0.0
        while True:
            asked = time.monotonic()
            if self._epochs and asked >= renew_at:
                ours = await leadership.renew(connection, self._epochs, self._owner, self._lease_s, _ANSWER_S)
                for shard in ours:
                    self._held_until[shard] = asked + self._lease_s
                for shard in set(self._epochs) - ours:
                    await self._drop(shard)
                renew_at = asked + self._lease_s / _RENEWALS_A_LEASE
            await self._drop_expired()
            free = [shard for shard in range(self._shards) if shard not in self._epochs]
            if free:
                asked = time.monotonic()
                taken = await leadership.acquire(connection, free, self._owner, self._lease_s, _ANSWER_S)
                for shard, epoch in taken.items():
                    self._epochs[shard] = epoch
                    self._held_until[shard] = asked + self._lease_s
                    await self._gained(shard, epoch)
            await asyncio.sleep(self._poll_s)

    async def _drop_expired(self) -> None:
        now = time.monotonic()
        for shard in [shard for shard, until in self._held_until.items() if until <= now]:
            await self._drop(shard)

    async def _drop(self, shard: int) -> None:
        self._epochs.pop(shard, None)
        self._held_until.pop(shard, None)
        await self._lost(shard)
