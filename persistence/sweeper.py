"""Does what time demands: expires waiting jobs, folds usage, forgets old keys and operations.

Everything is found by an index and done in bounded pieces; several processes may run it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol
from uuid import UUID

import asyncpg
import structlog
from prometheus_client import CollectorRegistry, Counter

from common.errors import DatabaseUnavailable
from persistence.postgres import overdue
from persistence.postgres.control import Records
from persistence.postgres.pool import Pool, connection
from persistence.postgres.usage import fold_usage
from persistence.postgres.wake import PUBLIC_TOKEN, notify

_DEADLINES_EVERY_S: Final = 1.0
_USAGE_EVERY_S: Final = 10.0
_KEYS_EVERY_S: Final = 60.0
_EXPIRED_AT_ONCE: Final = 200
_FOLDED_AT_ONCE: Final = 5_000
_SWEPT_AT_ONCE: Final = 2_000

log = structlog.get_logger(__name__)


class Endings(Protocol):
    """Who is told that jobs have ended; best effort."""

    async def publish(self, job_ids: Sequence[UUID]) -> None: ...


class Sweeper:
    """Runs until cancelled: one loop a duty. Each duty returns whether there is more to do at once."""

    def __init__(
        self,
        pool: Pool,
        endings: Endings | None,
        registry: CollectorRegistry,
        *,
        source: str,
        shards: int,
        keep_keys_hours: int,
    ) -> None:
        self._pool = pool
        self._endings = endings
        self._records = Records(source, shards)
        self._keep_keys_hours = keep_keys_hours
        self._expired = Counter("headrace_jobs_expired_waiting", "Jobs expired while they waited.", registry=registry)

    async def run(self) -> None:
        """Sweep for ever."""
        async with asyncio.TaskGroup() as duties:
            duties.create_task(self._every(_DEADLINES_EVERY_S, self.expire))
            duties.create_task(self._every(_USAGE_EVERY_S, self.fold))
            duties.create_task(self._every(_KEYS_EVERY_S, self.forget))

    async def expire(self) -> bool:
        """End waiting jobs whose deadline has passed."""
        expired, more = await overdue.expire_overdue(self._pool, self._records, _EXPIRED_AT_ONCE)
        if expired:
            self._expired.inc(len(expired))
            async with connection(self._pool) as lent:
                await notify(lent, {PUBLIC_TOKEN})
            if self._endings is not None:
                await self._endings.publish(expired)
        return more

    async def fold(self) -> bool:
        """Fold usage into its days."""
        return await fold_usage(self._pool, _FOLDED_AT_ONCE) == _FOLDED_AT_ONCE

    async def forget(self) -> bool:
        """Forget idempotency keys and operations that are old enough."""
        keys = await overdue.sweep_keys(self._pool, self._keep_keys_hours, _SWEPT_AT_ONCE)
        await overdue.sweep_operations(self._pool, _SWEPT_AT_ONCE)
        return keys == _SWEPT_AT_ONCE

    async def _every(self, period_s: float, duty: Callable[[], Awaitable[bool]]) -> None:
        while True:
            try:
                while await duty():
                    pass
            except (DatabaseUnavailable, asyncpg.PostgresError) as error:
                log.warning("sweep_waits", duty=getattr(duty, "__name__", ""), reason=str(error))
            await asyncio.sleep(period_s)
