"""Looks for lost jobs, in Postgres first and in Kafka where need be, and publishes their steps again.

A job is lost when it is open and quiet for the grace, has no message in the outbox, and none of its records is in
Kafka unfinished: seen twice, a pause apart, because a message may be on its way between the two while one looks.
A job taken for lost wrongly costs a message, never a call: the ledger knows what was asked.
"""

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog

from common.kafka.offsets import Offsets
from persistence.postgres import reconcile
from persistence.postgres.pool import Connection, Pool, connection
from persistence.reconciler.in_kafka import unfinished_keys
from persistence.reconciler.resumption import LostJob, PastAttempt, resume

PAGE_JOBS: Final = 5_000
_NIL: Final = UUID(int=0)
# Ids are made before their jobs are committed: so far back, a job may still appear.
_LATE_S: Final = 60.0

log = structlog.get_logger(__name__)

Steps = list[tuple[LostJob, list[PastAttempt]]]


@dataclass(frozen=True, slots=True)
class Search:
    """Where and how to look. ``grace_s``: for so long nothing has happened to a job that may be lost."""

    pool: Pool
    bootstrap: str
    prefix: str
    shards: int
    grace_s: float
    settle_s: float

    async def publish_lost(self, offsets: Offsets, suspects: Collection[UUID]) -> set[UUID]:
        """Publish again what is lost of these, which were quiet just now; return those jobs.

        Raises InfrastructureError.
        """
        left = await self._not_in_kafka(offsets, suspects)
        if left:
            await asyncio.sleep(self.settle_s)
            left = await self._in_no_outbox(left)
        if left:
            left = await self._not_in_kafka(offsets, left)
        if not left:
            return set()
        async with connection(self.pool) as lent:
            steps = await self._quiet_steps(lent, left)
        if not steps:
            return set()
        again = [(job, resume(job, past)) for job, past in steps]
        published = await reconcile.publish_again(self.pool, again, self.shards)
        for job, step in again:
            if job.job_id in published:
                log.warning("published_again", job_id=str(job.job_id), step=job.step, attempt=step.attempt)
        return published

    async def _not_in_kafka(self, offsets: Offsets, job_ids: Collection[UUID]) -> set[UUID]:
        keys = await unfinished_keys(offsets, self.bootstrap, self.prefix)
        return {job_id for job_id in job_ids if str(job_id).encode() not in keys}

    async def _in_no_outbox(self, job_ids: Collection[UUID]) -> set[UUID]:
        async with connection(self.pool) as lent:
            return {job.job_id for job, _ in await self._quiet_steps(lent, job_ids)}

    async def _quiet_steps(self, lent: Connection, job_ids: Collection[UUID]) -> Steps:
        quiet = await reconcile.still_quiet(lent, job_ids, grace_s=self.grace_s)
        steps = await reconcile.open_steps(lent, quiet)
        queued = await reconcile.queued(lent, steps)
        return [(job, past) for job, past in steps if job.job_id not in queued]


class Walk:
    """Walks jobs by id, a few pages a round, from the first that was open in the last pass; in memory only."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._low = _NIL
        self._after = _NIL
        self._first_open: UUID | None = None

    async def round(self, pages: int) -> set[UUID]:
        """Return the quiet jobs of the next pages. Raises DatabaseUnavailable."""
        found: set[UUID] = set()
        before = _id_at(time.time() - self._search.grace_s)
        for _ in range(pages):
            async with connection(self._search.pool) as lent:
                page = await reconcile.page(lent, self._after, before, grace_s=self._search.grace_s, limit=PAGE_JOBS)
            found.update(page.quiet)
            self._first_open = self._first_open or page.first_open
            if page.seen < PAGE_JOBS or page.last is None:
                self._begin_pass(before)
                break
            self._after = page.last
        return found

    @property
    def at_beginning(self) -> bool:
        """Return whether a pass has just ended."""
        return self._after == self._low

    def _begin_pass(self, before: UUID) -> None:
        newest = UUID(int=max(0, before.int - (int(_LATE_S * 1000) << 80)))
        first_open = newest if self._first_open is None else UUID(int=self._first_open.int - 1)
        self._low = self._after = max(self._low, min(newest, first_open))
        self._first_open = None


def _id_at(unix_s: float) -> UUID:
    return UUID(int=int(unix_s * 1000) << 80)
