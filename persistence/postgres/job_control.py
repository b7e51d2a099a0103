"""The control part of the API: pause, resume and retry of one job, and operations on many."""

from typing import Final
from uuid import UUID

import asyncpg

from common.control_ports import Action, JobFilter, OperationView, Retried
from common.failpoint import failpoint
from common.ports import JobView
from persistence.postgres.control import Records, lock_jobs, pause_jobs, resume_jobs
from persistence.postgres.control_wake import budget_token, notify_control
from persistence.postgres.jobs import PostgresJobStore
from persistence.postgres.operations import PostgresOperations
from persistence.postgres.pool import Connection, Pool, connection, transaction
from persistence.postgres.retrying import RETRIED, retry_jobs
from persistence.postgres.states import JobState
from persistence.postgres.submit import step_tokens
from persistence.postgres.wake import LATER_TOKEN, PUBLIC_TOKEN, notify

# The newest of a chain of retries.
_NEWEST: Final = """
with recursive chain as (
  select $1::uuid as id, 0 as depth
  union all select r.retry_id, c.depth + 1 from chain c join retries r on r.job_id = c.id)
select id from chain order by depth desc limit 1
"""


class PostgresJobControl:
    """``common.control_ports.JobControl`` over a pool."""

    def __init__(self, pool: Pool, jobs: PostgresJobStore, *, shards: int, source: str) -> None:
        self._pool = pool
        self._jobs = jobs
        self._records = Records(source, shards)
        self._operations = PostgresOperations(pool, shards=shards, source=source)

    async def pause(self, tenant_id: str, job_id: UUID) -> JobView | None:
        """Pause an open job; an ended one is returned as it is. None: no such job."""
        async with transaction(self._pool) as lent:
            await pause_jobs(lent, await lock_jobs(lent, tenant_id, [job_id]), self._records)
            failpoint("pause.before_commit")
        failpoint("pause.after_commit")
        async with connection(self._pool) as lent:
            await notify(lent, {PUBLIC_TOKEN})
        return await self._jobs.job(tenant_id, job_id)

    async def resume(self, tenant_id: str, job_id: UUID) -> JobView | None:
        """Let an open job go on; one held for a budget still waits for it. None: no such job."""
        async with transaction(self._pool) as lent:
            _, budgets = await resume_jobs(lent, await lock_jobs(lent, tenant_id, [job_id]))
            failpoint("resume.before_commit")
        failpoint("resume.after_commit")
        async with connection(self._pool) as lent:
            await notify(lent, {LATER_TOKEN})
            await notify_control(lent, [budget_token(budget_id) for budget_id in budgets])
        return await self._jobs.job(tenant_id, job_id)

    async def retry(self, tenant_id: str, job_id: UUID) -> Retried | None:
        """Make a new job for one that ended without success, or for its newest retry if that has, too."""
        created = None
        async with transaction(self._pool) as lent:
            if not await lock_jobs(lent, tenant_id, [job_id]):
                return None
            newest, row = await self._lock_newest(lent, tenant_id, job_id)
            submissions = await retry_jobs(lent, [row], self._records.shards)
            if submissions:
                created = submissions[0].jobs[0].job_id
        async with connection(self._pool) as lent:
            await notify(lent, step_tokens(submissions))
        state = JobState(row["state"])
        if created is None and newest == job_id:
            return Retried("input erased" if state in RETRIED else state.name.lower(), None)
        return Retried(state.name.lower(), await self._jobs.job(tenant_id, created or newest), created is not None)

    async def _lock_newest(self, lent: Connection, tenant_id: str, job_id: UUID) -> tuple[UUID, asyncpg.Record]:
        """Lock the end of a chain of retries; who waited for the lock may find that the chain has grown."""
        newest: UUID = await lent.fetchval(_NEWEST, job_id)
        while True:
            [row] = await lock_jobs(lent, tenant_id, [newest])
            following: UUID = await lent.fetchval(_NEWEST, newest)
            if following == newest:
                return newest, row
            newest = following

    async def begin(self, tenant_id: str, action: Action, wanted: JobFilter) -> OperationView:
        """Ask for an action on many jobs."""
        return await self._operations.begin(tenant_id, action, wanted)

    async def operation(self, tenant_id: str, operation_id: UUID) -> OperationView | None:
        """Return how far an operation is. None: no such operation."""
        return await self._operations.operation(tenant_id, operation_id)
