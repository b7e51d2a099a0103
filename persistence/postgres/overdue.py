"""What time has overtaken, each statement or transaction bounded: deadlines, calls of dead workers, old keys.

Several processes may do it at once: what one has locked the others skip.
"""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from persistence.postgres.control import Records, expire_jobs
from persistence.postgres.pool import Pool, connection, transaction
from persistence.postgres.states import AttemptState
from persistence.reserve_decision import LEASE_EXPIRED

_DUE = """
select look_at, job_id from deadlines where look_at <= clock_timestamp() order by look_at limit $1
for update skip locked
"""
# A job is busy while a call is under way or an answer is judged: that may still end it well, and no further call
# starts (the ledger looks at the deadline). On hold, nothing of it moves.
_LATE_JOBS = """
select j.*, j.hold_reason is null and exists (
         select 1 from attempts a
          where a.job_id = j.id and (a.state = 0 or (a.state = 1 and a.verdict is null))) as busy
  from jobs j where j.id = any($1) and j.state = 0 and j.deadline <= clock_timestamp() order by j.id for no key update
"""
_LATER = """
update deadlines d set look_at = clock_timestamp() + interval '15 seconds'
  from unnest($1::timestamptz[], $2::uuid[]) k(look_at, job)
 where d.look_at = k.look_at and d.job_id = k.job
"""
_LOOKED = """
delete from deadlines d using unnest($1::timestamptz[], $2::uuid[]) k(look_at, job)
 where d.look_at = k.look_at and d.job_id = k.job
"""
# Longer than its lease and a redelivery: by then nobody else will find its calls.
_DEAD_WORKERS = """
select id from workers where lease_until < clock_timestamp() - interval '60 seconds' order by lease_until limit 20
"""
_THEIR_CALLS = """
select a.job_id, a.step, a.item, a.attempt, a.reserved_nanos, j.tenant_id, j.recipe
  from workers w
  join attempts a on a.worker = w.id and a.state = 0
   and a.started_at between w.lease_until - interval '2 hours' and w.lease_until + interval '5 minutes'
  join jobs j on j.id = a.job_id
 where w.id = $1 order by a.job_id, a.step, a.item, a.attempt limit $2
"""
_CHARGE_WHOLE = """
select settle_2(k.job, k.step, k.item, k.attempt, k.tenant, k.recipe, k.state, k.cost, k.nothing::bytea[], k.nothing,
                k.nothing, k.nothing, k.error, k.zero, k.zero, k.zero, k.nothing::int[], k.no,
                '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')
  from (select array_agg(c.job) as job, array_agg(c.step) as step, array_agg(c.item) as item,
               array_agg(c.attempt) as attempt, array_agg(c.tenant) as tenant, array_agg(c.recipe) as recipe,
               array_agg($8::smallint) as state, array_agg(c.cost) as cost, array_agg(null::text) as nothing,
               array_agg($9::text) as error, array_agg(0) as zero, array_agg(false) as no
          from unnest($1::uuid[], $2::text[], $3::int[], $4::int[], $5::text[], $6::text[], $7::bigint[])
            c(job, step, item, attempt, tenant, recipe, cost)) k
"""
_FORGET_WORKER = "delete from workers where id = $1 and lease_until < clock_timestamp() - interval '60 seconds'"
_OLD_KEYS = """
delete from idempotency i using (
  select tenant_id, key from idempotency where created_at < clock_timestamp() - make_interval(hours => $1)
   order by created_at limit $2 for update skip locked) old
 where i.tenant_id = old.tenant_id and i.key = old.key
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
        busy = {row["id"] for row in late if row["busy"]}
        expired = await expire_jobs(lent, [row for row in late if not row["busy"]], records)
        await lent.execute(_LATER, *_columns([row for row in due if row["job_id"] in busy]))
        await lent.execute(_LOOKED, *_columns([row for row in due if row["job_id"] not in busy]))
    return expired, len(due) == limit


async def charge_dead_workers(pool: Pool, limit: int) -> tuple[int, list[int]]:
    """Charge whole what dead workers left reserved (P3); return how many calls, and budgets with jobs on hold.

    A redelivered message finds them sooner; this is for those that nobody asks for again. Their late answers, if
    any, still settle them.
    """
    charged = 0
    budgets: set[int] = set()
    async with connection(pool) as lent:
        for worker in await lent.fetch(_DEAD_WORKERS):
            calls = await lent.fetch(_THEIR_CALLS, worker["id"], limit)
            if calls:
                budgets.update(await lent.fetchval(_CHARGE_WHOLE, *_charges(calls)) or ())
            if len(calls) < limit:
                await lent.execute(_FORGET_WORKER, worker["id"])
            charged += len(calls)
    return charged, sorted(budgets)


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


def _charges(calls: Sequence[asyncpg.Record]) -> tuple[object, ...]:
    return (
        [row["job_id"] for row in calls],
        [row["step"] for row in calls],
        [row["item"] for row in calls],
        [row["attempt"] for row in calls],
        [row["tenant_id"] for row in calls],
        [row["recipe"] for row in calls],
        [row["reserved_nanos"] for row in calls],
        int(AttemptState.UNKNOWN),
        LEASE_EXPIRED,
    )
