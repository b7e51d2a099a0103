"""Retries: a new job with the same input for one that ended without success, at most one for each.

A retry of a job whose retry has failed too is a retry of that one, so asking again is safe until it has ended.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import asyncpg

from common.ids import uuid7
from common.ports import NewJob, Submission
from persistence.postgres.pool import Connection
from persistence.postgres.states import LANE_OF_NUMBER, JobState
from persistence.postgres.submit import accept

RETRIED: Final = frozenset({JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED})
MOST_INPUT_BYTES: Final = 32 << 20
"""Of the inputs that one transaction reads."""

_SIZES = "select job_id, octet_length(body) as size from job_inputs where job_id = any($1)"
_CLAIM = """
insert into retries (job_id, retry_id) select * from unnest($1::uuid[], $2::uuid[]) r(job, retry) order by r.job
"""
_INPUTS = """
select i.job_id, i.body, s.step from job_inputs i
 cross join lateral (select step from steps s where s.job_id = i.job_id order by s.item, s.step limit 1) s
 where i.job_id = any($1) and not exists (select 1 from retries r where r.job_id = i.job_id)
"""
_GROW_BATCHES = """
update batches b set total = b.total + x.n from unnest($1::uuid[], $2::int[]) x(id, n)
 where b.id = x.id and b.id = any($1)
"""


async def affordable(lent: Connection, job_ids: Sequence[UUID]) -> int:
    """Return how many of these, from the first, have inputs that may be read at once; at least one."""
    sizes = {row["job_id"]: row["size"] for row in await lent.fetch(_SIZES, job_ids)}
    total = 0
    for place, job_id in enumerate(job_ids):
        total += sizes.get(job_id, 0)
        if total > MOST_INPUT_BYTES and place:
            return place
    return len(job_ids)


async def retry_jobs(lent: Connection, rows: Sequence[asyncpg.Record], shards: int) -> list[Submission]:
    """Submit a new job for each locked one that ended without success and has no retry; return what was submitted.

    It has the time that the old one had, from now, and belongs to the same batch, which grows. The caller wakes
    the relay after its commit.
    """
    lost = {row["id"]: row for row in rows if row["state"] in RETRIED}
    found = await lent.fetch(_INPUTS, sorted(lost))
    now = datetime.now(UTC)
    jobs = [_again(lost[row["job_id"]], row, uuid7(), now) for row in found]
    # The old jobs are locked, so nobody else retries them meanwhile.
    await lent.execute(_CLAIM, [job.retry_of for job in jobs], [job.job_id for job in jobs])
    submissions = [Submission((job,)) for job in jobs]
    if submissions:
        await accept(lent, submissions, shards)
        batches: dict[UUID, int] = {}
        for submission in submissions:
            if (batch_id := submission.jobs[0].batch_id) is not None:
                batches[batch_id] = batches.get(batch_id, 0) + 1
        await lent.execute(_GROW_BATCHES, sorted(batches), [batches[b] for b in sorted(batches)])
    return submissions


def _again(row: asyncpg.Record, found: asyncpg.Record, job_id: UUID, now: datetime) -> NewJob:
    job = NewJob(
        job_id=job_id,
        tenant_id=row["tenant_id"],
        recipe=row["recipe"],
        recipe_hash=row["recipe_hash"],
        step=found["step"],
        lane=LANE_OF_NUMBER[row["lane"]],
        input=found["body"],
        budget_nanos=row["budget_nanos"],
        tags=tuple(row["tags"]),
        batch_id=row["batch_id"],
        retry_of=row["id"],
    )
    deadline = row["deadline"]
    return job if deadline is None else replace(job, deadline=now + (deadline - row["created_at"]))
