"""Turns many concurrent calls into few batches: while one batch is under way, the next one gathers.

At rest a call goes at once, alone; under load batches grow by themselves. There is no timer to tune.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from common.errors import InfrastructureError

Item = TypeVar("Item")
Result = TypeVar("Result")


class Coalescer(Generic[Item, Result]):
    """Calls ``work`` with batches of at most ``most`` items, at most ``lanes`` batches at once.

    ``work`` answers one result an item, in order. If it raises, every caller of that batch gets the error. Where it
    is ``atomic``, leaving nothing behind when it raises, that holds for trouble of a server only: refused for its
    data, a batch is tried again in halves, and only the culprit's caller gets the error. The task of a batch is
    owned here; a caller that is cancelled leaves its item in the batch.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        most: int = 128,
        lanes: int = 1,
        atomic: bool = False,
    ) -> None:
        self._work = work
        self._most = most
        self._lanes = lanes
        self._atomic = atomic
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._under_way: set[asyncio.Task[None]] = set()

    async def submit(self, item: Item) -> Result:
        """Return the result of ``item``, whichever batch it goes with."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if len(self._under_way) < self._lanes:
            self._start()
        return await future

    def _start(self) -> None:
        task = asyncio.create_task(self._run())
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if self._waiting:
            self._start()

    async def _run(self) -> None:
        # One turn of the loop, so that whoever is ready in this turn joins.
        await asyncio.sleep(0)
        batch = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
        if batch:
            await self._try(batch)

    async def _try(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._work([item for item, _ in batch])
        except BaseException as error:
            refused = isinstance(error, Exception) and not isinstance(error, InfrastructureError)
            if self._atomic and refused and len(batch) > 1:
                half = len(batch) // 2
                await self._try(batch[:half])
                await self._try(batch[half:])
                return
            for _, future in batch:
                if not future.done():
                    future.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
            if not isinstance(error, Exception):
                raise
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)
