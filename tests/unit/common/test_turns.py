"""Whoever computes for long lets others have the event loop between its pieces, and only then."""

import asyncio
from collections.abc import Awaitable, Callable

from common.turns import TURN_S, Turns


async def turns_of_others(work: Callable[[], Awaitable[object]]) -> int:
    """Return how often another task had the loop while this was done."""
    had = 0

    async def other() -> None:
        nonlocal had
        while True:
            had += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    try:
        await work()
    finally:
        task.cancel()
    return had


class Passing:
    """A clock on which so much passes each time it is read."""

    def __init__(self, step_s: float) -> None:
        self._now_s, self._step_s = 0.0, step_s

    def __call__(self) -> float:
        self._now_s += self._step_s
        return self._now_s


async def test_long_work_is_shared_and_short_work_is_not() -> None:
    async def pieces(turns: Turns) -> None:
        for _ in range(10):
            await turns.share()

    assert await turns_of_others(lambda: pieces(Turns(Passing(1.0)))) == 10
    assert await turns_of_others(lambda: pieces(Turns(Passing(TURN_S / 100)))) == 0
