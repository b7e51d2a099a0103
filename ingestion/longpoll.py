"""Long polls: wait for a job's end without holding a Postgres connection.

Told over ``JobEndings`` where that works, and looking from time to time in any case. Bounded in number, and all
released when the process drains.
"""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

from prometheus_client import CollectorRegistry, Gauge

from common.clock import Clock, monotonic_clock
from common.ports import JobEndings, JobStore, JobView
from ingestion.models import TERMINAL
from ingestion.problems import refuse

_MOST_WAITING = 5_000


class LongPolls:
    """Waits on behalf of callers."""

    def __init__(
        self,
        jobs: JobStore,
        endings: JobEndings,
        registry: CollectorRegistry,
        *,
        clock: Clock = monotonic_clock,
        most_waiting: int = _MOST_WAITING,
    ) -> None:
        self._jobs = jobs
        self._endings = endings
        self._clock = clock
        self._most_waiting = most_waiting
        self._waiting = 0
        self._released = asyncio.Event()
        gauge = Gauge("headrace_long_polls", "Callers waiting for a job's end.", registry=registry)
        gauge.set_function(lambda: self._waiting)

    def release(self) -> None:
        """Let every caller go with what is known now, for good."""
        self._released.set()

    async def job(
        self, tenant_id: str, job_id: UUID, wait_s: float, gone: Callable[[], Awaitable[bool]]
    ) -> JobView | None:
        """Return the job once it has ended, or as it is after ``wait_s``. None: no such job."""
        until = self._clock() + wait_s
        if wait_s > 0 and self._waiting >= self._most_waiting:
            raise refuse("overloaded", "Too many callers are waiting. Poll without 'wait', or try again.")
        self._waiting += 1
        try:
            while True:
                left_s = until - self._clock()
                if left_s <= 0 or self._released.is_set() or await gone():
                    return await self._jobs.job(tenant_id, job_id)
                job = await self._look_then_wait(tenant_id, job_id, left_s)
                if job is None or job.state in TERMINAL:
                    return job
        finally:
            self._waiting -= 1

    async def _look_then_wait(self, tenant_id: str, job_id: UUID, left_s: float) -> JobView | None:
        """Listen before looking, so that an ending between the two is not missed."""
        told = asyncio.create_task(self._endings.wait(job_id, left_s), name="await-ending")
        released = asyncio.create_task(self._released.wait(), name="await-release")
        try:
            await asyncio.sleep(0)
            job = await self._jobs.job(tenant_id, job_id)
            if job is not None and job.state not in TERMINAL:
                await asyncio.wait({told, released}, return_when=asyncio.FIRST_COMPLETED)
            return job
        finally:
            told.cancel()
            released.cancel()
            await asyncio.gather(told, released, return_exceptions=True)
