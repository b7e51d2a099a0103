"""Stops a stage that rejects too much: a flood of poison is to stop a consumer, not to drain its topic (P6).

Letters set aside are counted over a window. One batch may pass the limit, the next waits: until somebody has dealt
with every open letter of the stage (replayed or discarded it), or the process is started again.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from common.clock import Clock, monotonic_clock
from common.errors import InfrastructureError

WINDOW_S: Final = 60.0
_LOOK_EVERY_S: Final = 2.0

log = structlog.get_logger(__name__)


class Brake:
    """The brake of one stage. ``waiting`` tells how many of its letters are open."""

    def __init__(
        self, stage: str, limit: int, waiting: Callable[[str, int], Awaitable[int]], clock: Clock = monotonic_clock
    ) -> None:
        self._stage = stage
        self._limit = limit
        self._waiting = waiting
        self._clock = clock
        self._taken: deque[tuple[float, int]] = deque()
        self._released = asyncio.Event()
        self._released.set()

    @property
    def reason(self) -> str | None:
        """Return why the stage has paused, if it has."""
        if self._released.is_set():
            return None
        return (
            f"the stage has paused after {self._limit} dead letters within {WINDOW_S:.0f} s: mend the cause, then"
            " replay or discard them (headrace dead-letters), or start it again"
        )

    def take(self, letters: int) -> bool:
        """Count letters about to be set aside. False: the limit was reached before; wait, and look again."""
        now = self._clock()
        while self._taken and self._taken[0][0] <= now - WINDOW_S:
            self._taken.popleft()
        if sum(count for _, count in self._taken) >= self._limit:
            return False
        self._taken.append((now, letters))
        return True

    async def released(self) -> None:
        """Return at once unless the stage has paused; then when it goes on."""
        await self._released.wait()

    async def pause(self) -> None:
        """Pause the stage until its letters are dealt with."""
        if not self._released.is_set():
            await self._released.wait()
            return
        self._released.clear()
        log.error("stage_paused", stage=self._stage, reason=self.reason)
        try:
            while True:
                if not await self._open():
                    break
                await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            self._taken.clear()
            self._released.set()
        log.warning("stage_goes_on", stage=self._stage)

    async def _open(self) -> bool:
        try:
            return await self._waiting(self._stage, 1) > 0
        except InfrastructureError:
            return True
