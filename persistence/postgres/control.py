"""What is done to jobs: cancel, expire, pause, resume. Each function is part of its caller's transaction.

The caller has locked the jobs (``lock_jobs``) and wakes the relay after its commit. What has not begun in the same
state is left alone, so doing a thing twice is doing it once (P8).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from common.contracts import EventType, Failure
from persistence.planner import DEADLINE_EXCEEDED
from persistence.postgres import holds
from persistence.postgres.pool import Connection
from persistence.postgres.records import JobRow, event_row, insert_public
from persistence.postgres.states import HoldKind, JobState
from persistence.reserve_decision import PAUSED

_LOCK = "select * from jobs where id = any($1) and tenant_id = $2 order by id for no key update"
# What is in flight counts whole until it settles.
_END = """
update jobs j set state = $2, paused = false, hold_reason = null, revision = j.revision + 1,
       event_seq = j.event_seq + 1, failure_code = $3, failure_detail = $4, finished_at = clock_timestamp(),
       attempts = t.attempts, cost_nanos = t.cost, input_tokens = t.input, output_tokens = t.output
  from (select i.id, count(a.job_id) as attempts,
               coalesce(sum(coalesce(a.cost_nanos, a.reserved_nanos)), 0)::bigint as cost,
               coalesce(sum(a.input_tokens), 0)::bigint as input, coalesce(sum(a.output_tokens), 0)::bigint as output
          from unnest($1::uuid[]) i(id) left join attempts a on a.job_id = i.id and a.job_id = any($1)
         group by i.id) t
 where j.id = t.id and j.id = any($1)
"""
_END_STEPS = "update steps set state = 2 where job_id = any($1) and state = 0"
_KNOWN_STEPS = """
select s.job_id, s.step, s.item, coalesce(max(a.attempt), 0) + 1 as next
  from steps s left join attempts a on a.job_id = s.job_id and a.step = s.step and a.item = s.item
   and a.job_id = any($1)
 where s.job_id = any($1) group by s.job_id, s.step, s.item
"""
_SET_ASIDE = """
with taken as (
  select id from outbox where id = any($1) and lane < 4 and not_before is null order by id for update skip locked),
parked as (
  update outbox o set not_before = 'infinity', reason = $2
    from taken t where o.id = t.id and o.id = any($1) returning o.id, o.job_id, o.tenant_id)
insert into holds (job_id, message_id, tenant_id, kind, reason)
select p.job_id, p.id, p.tenant_id, $3, $2 from parked p order by p.job_id, p.id
on conflict (job_id, message_id) do update
   set kind = excluded.kind, reason = excluded.reason, amount_nanos = 0, budget_id = null, released_at = null
"""
_ON_COMMAND = "select distinct job_id from holds where job_id = any($1) and kind = any($2)"
_BUDGETS_WAITED_FOR = (
    "select distinct budget_id from holds where job_id = any($1) and budget_id is not null and released_at is null"
)


@dataclass(frozen=True, slots=True)
class Records:
    """How public records are written: their CloudEvents source, and the relay's shards."""

    source: str
    shards: int


async def lock_jobs(lent: Connection, tenant_id: str, job_ids: Sequence[UUID]) -> list[asyncpg.Record]:
    """Lock a tenant's jobs in id order and return them."""
    return await lent.fetch(_LOCK, sorted(job_ids), tenant_id)


async def cancel_jobs(lent: Connection, rows: Sequence[asyncpg.Record], records: Records) -> list[UUID]:
    """End the open ones as cancelled, with an event each; return them."""
    jobs = _open(rows)
    await _end(lent, jobs, JobState.CANCELLED, None, records)
    return [job.job_id for job in jobs]


async def expire_jobs(lent: Connection, rows: Sequence[asyncpg.Record], records: Records) -> list[UUID]:
    """End the open ones as expired, with an event each; return them."""
    jobs = _open(rows)
    failure = Failure(code=DEADLINE_EXCEEDED, detail="the deadline passed while the job was waiting")
    await _end(lent, jobs, JobState.EXPIRED, failure, records)
    return [job.job_id for job in jobs]


async def pause_jobs(lent: Connection, rows: Sequence[asyncpg.Record], records: Records) -> list[UUID]:
    """Pause the open ones: no new attempt, nothing published; return those that were not paused before."""
    jobs = [job for job in _open(rows) if not job.paused]
    if not jobs:
        return []
    ids = [job.job_id for job in jobs]
    await lent.execute("update jobs set paused = true where id = any($1)", ids)
    await lent.execute(_SET_ASIDE, await _queued_messages(lent, jobs), PAUSED, int(HoldKind.PAUSED))
    await holds.tell(lent, dict.fromkeys(ids, PAUSED), records.source, records.shards)
    return ids


async def resume_jobs(lent: Connection, rows: Sequence[asyncpg.Record]) -> tuple[list[UUID], list[int]]:
    """Let go what a pause, or a hold for the operator, has set aside.

    Return the jobs for which there was something to do, and the budgets that some of them still wait for.
    """
    jobs = _open(rows)
    on_command = await lent.fetch(
        _ON_COMMAND, [job.job_id for job in jobs], [int(HoldKind.PAUSED), int(HoldKind.OPERATOR)]
    )
    set_aside = {row["job_id"] for row in on_command}
    ids = [job.job_id for job in jobs if job.paused or job.job_id in set_aside]
    if not ids:
        return [], []
    await lent.execute("update jobs set paused = false where id = any($1)", ids)
    await holds.resume(lent, ids)
    waited_for = await lent.fetch(_BUDGETS_WAITED_FOR, ids)
    return ids, [row["budget_id"] for row in waited_for]


def _open(rows: Sequence[asyncpg.Record]) -> list[JobRow]:
    return [JobRow.of(row) for row in rows if row["state"] == JobState.OPEN]


async def _end(
    lent: Connection, jobs: Sequence[JobRow], state: JobState, failure: Failure | None, records: Records
) -> None:
    if not jobs:
        return
    ids = [job.job_id for job in jobs]
    messages = [*await _queued_messages(lent, jobs), *await holds.end_holds(lent, ids)]
    code, detail = (failure.code, failure.detail) if failure else (None, None)
    await lent.execute(_END, ids, int(state), code, detail)
    await lent.execute(_END_STEPS, ids)
    await holds.unqueue(lent, messages)
    kind = EventType.EXPIRED if state is JobState.EXPIRED else EventType.CANCELLED
    now = datetime.now(UTC)
    await insert_public(lent, [event_row(job, kind, failure, now, records.source, records.shards) for job in jobs])


async def _queued_messages(lent: Connection, jobs: Sequence[JobRow]) -> list[UUID]:
    """Return the ids of every message of these jobs that may wait in the outbox: they follow from the ledger."""
    steps: dict[UUID, list[tuple[str, int, int]]] = {}
    for row in await lent.fetch(_KNOWN_STEPS, [job.job_id for job in jobs]):
        steps.setdefault(row["job_id"], []).append((row["step"], row["item"], row["next"]))
    known: Mapping[UUID, list[tuple[str, int, int]]] = steps
    return [message for job in jobs for message in job.interior_message_ids(known.get(job.job_id, []))]
