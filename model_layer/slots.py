"""Call slots of a deployment: at most its concurrency at once, handed out by the scheduler."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from common.contracts import StepRef
from model_layer.scheduler import Scheduler


class Slots:
    """Bounds calls in flight to one deployment; who waits is ordered by lane weight, tenant and deadline."""

    def __init__(self, concurrency: int) -> None:
        self._free = concurrency
        self._queue: Scheduler[asyncio.Future[None]] = Scheduler()

    @asynccontextmanager
    async def taken(self, ref: StepRef) -> AsyncIterator[None]:
        """Hold a slot for the block."""
        await self._take(ref)
        try:
            yield
        finally:
            self._give()

    async def _take(self, ref: StepRef) -> None:
        if self._free > 0:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        deadline = ref.deadline_ms / 1000 if ref.deadline_ms is not None else None
        self._queue.push(turn, lane=ref.lane, tenant_id=ref.tenant_id, deadline=deadline)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give()
            raise

    def _give(self) -> None:
        while (turn := self._queue.pop()) is not None:
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
