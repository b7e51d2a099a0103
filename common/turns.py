"""Shares the event loop: what computes for long lets heartbeats and signals have their turn every few milliseconds.

One piece of work is not cut; whoever does many asks between them.
"""

import asyncio
from typing import Final

from common.clock import Clock, monotonic_clock

TURN_S: Final = 0.02


class Turns:
    """How long the loop was kept since somebody else last had it."""

    def __init__(self, clock: Clock = monotonic_clock) -> None:
        self._clock = clock
        self._since = clock()

    async def share(self) -> None:
        """Let the others have the loop, if it was kept for a turn."""
        if self._clock() - self._since >= TURN_S:
            await asyncio.sleep(0)
            self._since = self._clock()
