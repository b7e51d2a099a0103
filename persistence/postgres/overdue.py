"""What time has overtaken, each statement or transaction bounded: deadlines, old keys, old operations.

Several processes may do it at once: what one has locked the others skip.
"""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from persistence.postgres.control import Records, expire_jobs
from persistence.postgres.pool import Pool, connection, transaction

_DUE = """
select look_at, job_id from deadlines where look_at <= clock_timestamp() order by look_at limit $1
for update skip locked
"""
_LATE_JOBS = """
select * from jobs where id = any($1) and state = 0 and deadline <= clock_timestamp() order by id for no key update
"""
# A job is busy while a call is under way or an answer is judged: that may still end it well, and no further call
# starts (the ledger looks at the deadline). On hold, nothing of it moves. Asked behind the jobs' locks: a reservation
# that they waited for is seen.
_BUSY = "select distinct job_id from attempts where job_id = any($1) and (state = 0 or (state = 1 and verdict is null))"
_LATER = """
update deadlines d set look_at = clock_timestamp() + interval '15 seconds'
  from unnest($1::timestamptz[], $2::uuid[]) k(look_at, job)
 where d.look_at = k.look_at and d.job_id = k.job and d.look_at = any($1)
"""
_LOOKED = """
delete from deadlines d using unnest($1::timestamptz[], $2::uuid[]) k(look_at, job)
 where d.look_at = k.look_at and d.job_id = k.job and d.look_at = any($1)
"""
# By row address: the same plan at every size. A row that changes meanwhile is left for the next time.
_OLD_KEYS = """
delete from idempotency where ctid = any(array(
  select ctid from idempotency where created_at < clock_timestamp() - make_interval(hours => $1)
   order by created_at limit $2 for update skip locked))
"""
_OLD_OPERATIONS = """
delete from operations where id = any(array(
  select id from operations where finished_at < clock_timestamp() - interval '30 days' order by id limit $1
  for update skip locked))
"""


async def expire_overdue(pool: Pool, records: Records, limit: int) -> tuple[list[UUID], bool]:
    """End waiting jobs whose deadline has passed; return them, and whether there may be more."""
    async with transaction(pool) as lent:
        due = await lent.fetch(_DUE, limit)
        if not due:
            return [], False
        late = await lent.fetch(_LATE_JOBS, sorted({row["job_id"] for row in due}))
        moving = [row["id"] for row in late if row["hold_reason"] is None]
        busy = {row["job_id"] for row in await lent.fetch(_BUSY, moving)} if moving else set()
        expired = await expire_jobs(lent, [row for row in late if row["id"] not in busy], records)
        await lent.execute(_LATER, *_columns([row for row in due if row["job_id"] in busy]))
        await lent.execute(_LOOKED, *_columns([row for row in due if row["job_id"] not in busy]))
    return expired, len(due) == limit


async def sweep_keys(pool: Pool, keep_hours: int, limit: int) -> int:
    """Forget idempotency keys older than ``keep_hours``; return how many."""
    async with connection(pool) as lent:
        return int((await lent.execute(_OLD_KEYS, keep_hours, limit)).rpartition(" ")[2])


async def sweep_operations(pool: Pool, limit: int) -> int:
    """Forget operations that ended a month ago; return how many."""
    async with connection(pool) as lent:
        return int((await lent.execute(_OLD_OPERATIONS, limit)).rpartition(" ")[2])


def _columns(rows: Sequence[asyncpg.Record]) -> tuple[list[object], list[object]]:
    return [row["look_at"] for row in rows], [row["job_id"] for row in rows]
