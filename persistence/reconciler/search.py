"""Looks for lost jobs, in Postgres first and in Kafka where need be, and publishes their steps again.

A job is lost when it is open and quiet for the grace, has no message in the outbox, and none of its records is in
Kafka unfinished: seen twice, a pause apart, because a message may be on its way between the two while one looks.
A job taken for lost wrongly costs a message, never a call: the ledger knows what was asked.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

import structlog

from common.kafka.offsets import Offsets
from persistence.postgres import reconcile
from persistence.postgres.pool import Connection, Pool, connection
from persistence.reconciler.in_kafka import unfinished_keys
from persistence.reconciler.resumption import LostJob, PastAttempt, resume

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

    async def look(self, after: UUID, before: UUID, limit: int, *, newest: bool) -> reconcile.Page:
        """Return jobs between two ids, as a walk looks at them. Raises DatabaseUnavailable."""
        async with connection(self.pool) as lent:
            return await reconcile.page(lent, after, before, grace_s=self.grace_s, limit=limit, newest=newest)

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
