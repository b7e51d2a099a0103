"""Lets jobs on hold for a budget go when there is room again: a limit raised or removed, a settle that freed money,
a new window. Woken by NOTIFY, and looks at everything at each UTC midnight and twice a minute.
"""

import asyncio
from collections.abc import Collection
from typing import Final

import asyncpg
import structlog
from prometheus_client import CollectorRegistry, Counter

from common.clock import Clock, monotonic_clock
from common.errors import DatabaseUnavailable
from persistence.control_wakes import ControlWakes, wait
from persistence.postgres.pool import Pool
from persistence.postgres.releases import next_window_s, release_pass

LOOK_EVERY_S: Final = 30.0
_PAUSE_S: Final = 0.1  # between passes: settles come in bursts, and one pass serves all that came before it
_BACKOFF_S: Final = 1.0

log = structlog.get_logger(__name__)


class Releaser:
    """Runs until cancelled; any number of processes may, one works at a time."""

    def __init__(
        self, pool: Pool, wakes: ControlWakes, registry: CollectorRegistry, clock: Clock = monotonic_clock
    ) -> None:
        self._pool = pool
        self._wakes = wakes
        self._clock = clock
        self._moved = Counter(
            "headrace_holds_moved", "Holds released, or filed under another budget.", registry=registry
        )

    async def run(self) -> None:
        """Release for ever."""
        look_at = 0.0
        while True:
            named: Collection[int] | None = self._wakes.take_budgets()
            if self._clock() >= look_at:
                named = None
            try:
                if named is None or named:
                    await self._drain(named)
                if named is None:
                    look_at = self._clock() + min(LOOK_EVERY_S, await next_window_s(self._pool) + _PAUSE_S)
            except (DatabaseUnavailable, asyncpg.PostgresError) as error:
                log.warning("release_waits", reason=str(error))
                await asyncio.sleep(_BACKOFF_S)
                look_at = 0.0
                continue
            await asyncio.sleep(_PAUSE_S)
            await wait(self._wakes.money, look_at - self._clock())

    async def _drain(self, named: Collection[int] | None) -> None:
        while moved := await release_pass(self._pool, named):
            self._moved.inc(moved)
            log.info("holds_moved", count=moved)
