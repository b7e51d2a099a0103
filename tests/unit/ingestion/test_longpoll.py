"""A long poll ends when its job does, and looks for itself when nobody tells."""

import asyncio
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from common.contracts import Lane
from common.errors import RequestError
from common.ids import uuid7
from common.ports import JobEndings, NewJob, Submission
from ingestion.longpoll import LongPolls
from tests.unit.ingestion.doubles import MemoryJobs


class HandEndings:
    """JobEndings told by hand; without being told, ``pace_s`` passes."""

    def __init__(self, pace_s: float = 60.0) -> None:
        self.told = asyncio.Event()
        self.pace_s = pace_s

    async def wait(self, job_id: UUID, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(min(timeout_s, self.pace_s)):
                await self.told.wait()
        except TimeoutError:
            return False
        return True


async def still_there() -> bool:
    return False


async def one_job(store: MemoryJobs) -> UUID:
    job = NewJob(uuid7(), "acme", "greet@1.0.0", "hash", "greet", Lane.STANDARD, b"{}")
    await store.submit([Submission((job,))])
    return job.job_id


def polls(store: MemoryJobs, endings: JobEndings, most: int = 10) -> LongPolls:
    return LongPolls(store, endings, CollectorRegistry(), most_waiting=most)


async def test_without_a_wait_the_job_is_shown_as_it_is() -> None:
    store = MemoryJobs()
    job_id = await one_job(store)

    view = await polls(store, HandEndings()).job("acme", job_id, 0, still_there)

    assert view is not None
    assert (view.state, store.looks) == ("queued", 1)


async def test_being_told_ends_the_wait() -> None:
    store, endings = MemoryJobs(), HandEndings()
    job_id = await one_job(store)
    waiting = asyncio.create_task(polls(store, endings).job("acme", job_id, 30, still_there))
    await asyncio.sleep(0.01)

    store.end(job_id)
    endings.told.set()
    view = await waiting

    assert view is not None
    assert (view.state, store.looks) == ("succeeded", 2)


async def test_an_untold_ending_is_found_by_looking() -> None:
    store, endings = MemoryJobs(), HandEndings(pace_s=0.01)
    job_id = await one_job(store)
    waiting = asyncio.create_task(polls(store, endings).job("acme", job_id, 30, still_there))
    await asyncio.sleep(0.03)

    store.end(job_id, "failed")
    view = await waiting

    assert view is not None
    assert view.state == "failed"


async def test_the_wait_ends_in_time_with_the_job_as_it_is() -> None:
    store = MemoryJobs()
    job_id = await one_job(store)

    view = await polls(store, HandEndings()).job("acme", job_id, 0.03, still_there)

    assert view is not None
    assert view.state == "queued"


async def test_a_drain_lets_every_caller_go() -> None:
    store = MemoryJobs()
    job_id = await one_job(store)
    waiters = polls(store, HandEndings())
    waiting = [asyncio.create_task(waiters.job("acme", job_id, 30, still_there)) for _ in range(3)]
    await asyncio.sleep(0.01)

    waiters.release()
    views = await asyncio.gather(*waiting)

    assert [view.state for view in views if view] == ["queued"] * 3


async def test_another_tenants_job_is_not_waited_for() -> None:
    store = MemoryJobs()
    job_id = await one_job(store)

    assert await polls(store, HandEndings()).job("other", job_id, 30, still_there) is None


async def test_waiting_callers_are_bounded() -> None:
    store = MemoryJobs()
    job_id = await one_job(store)
    waiters = polls(store, HandEndings(), most=1)
    waiting = asyncio.create_task(waiters.job("acme", job_id, 30, still_there))
    await asyncio.sleep(0.01)

    with pytest.raises(RequestError) as caught:
        await waiters.job("acme", job_id, 30, still_there)

    assert caught.value.code == "overloaded"
    assert await waiters.job("acme", job_id, 0, still_there) is not None
    waiters.release()
    await waiting
