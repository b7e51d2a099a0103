"""The coalescer: many calls become few batches, and each caller gets its own result."""

import asyncio
from collections.abc import Sequence

import pytest

from common.coalesce import Coalescer
from common.errors import DatabaseUnavailable


async def test_calls_that_come_together_go_together() -> None:
    # Given work that records its batches
    batches: list[list[int]] = []

    async def work(items: Sequence[int]) -> list[int]:
        batches.append(list(items))
        return [item * 2 for item in items]

    # When five calls are made at once, at most three a batch
    coalescer = Coalescer(work, most=3)
    results = await asyncio.gather(*(coalescer.submit(n) for n in range(5)))
    # Then they went in two batches, and each has its result
    assert results == [0, 2, 4, 6, 8]
    assert batches == [[0, 1, 2], [3, 4]]


async def test_while_a_batch_is_under_way_the_next_one_gathers() -> None:
    batches: list[list[int]] = []
    gate = asyncio.Event()

    async def work(items: Sequence[int]) -> Sequence[int]:
        batches.append(list(items))
        await gate.wait()
        return items

    coalescer = Coalescer(work)
    first = asyncio.create_task(coalescer.submit(1))
    while not batches:
        await asyncio.sleep(0)
    rest = [asyncio.create_task(coalescer.submit(n)) for n in (2, 3, 4)]
    gate.set()
    assert await asyncio.gather(first, *rest) == [1, 2, 3, 4]
    assert batches == [[1], [2, 3, 4]]


async def test_a_failure_reaches_every_caller_of_its_batch_and_no_other() -> None:
    async def work(items: Sequence[int]) -> Sequence[int]:
        if 0 in items:
            raise ValueError("no zero")
        return items

    coalescer = Coalescer(work, most=2)
    results = await asyncio.gather(*(coalescer.submit(n) for n in (0, 1, 2)), return_exceptions=True)
    assert [type(r) for r in results] == [ValueError, ValueError, int]


async def test_a_cancelled_caller_leaves_its_neighbours_alone() -> None:
    async def work(items: Sequence[int]) -> Sequence[int]:
        await asyncio.sleep(0)
        return items

    coalescer = Coalescer(work)
    leaving = asyncio.create_task(coalescer.submit(1))
    staying = asyncio.create_task(coalescer.submit(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == 2
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_of_an_atomic_batch_refused_for_its_data_only_the_culprit_fails() -> None:
    async def work(items: Sequence[int]) -> Sequence[int]:
        if 3 in items:
            raise ValueError("3 cannot be stored")
        return items

    coalescer = Coalescer(work, most=8, atomic=True)
    results = await asyncio.gather(*(coalescer.submit(n) for n in range(8)), return_exceptions=True)

    assert [n for n, result in enumerate(results) if result != n] == [3]
    assert isinstance(results[3], ValueError)


async def test_a_servers_trouble_is_not_tried_again_in_halves() -> None:
    batches = 0

    async def work(items: Sequence[int]) -> Sequence[int]:
        nonlocal batches
        batches += 1
        raise DatabaseUnavailable("away")

    coalescer = Coalescer(work, most=8, atomic=True)
    results = await asyncio.gather(*(coalescer.submit(n) for n in range(8)), return_exceptions=True)

    assert batches == 1
    assert all(isinstance(result, DatabaseUnavailable) for result in results)
