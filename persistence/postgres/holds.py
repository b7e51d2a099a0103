"""Holds: messages set aside with their jobs on hold, each with its kind and reason; said once on ``events``.

Every function is part of its caller's transaction and locks the jobs first. ``jobs.hold_reason`` is what the API
shows: a pause before all others, else the oldest hold of the first kind there is.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from common.contracts import EventType, Failure
from persistence.postgres.pool import Connection
from persistence.postgres.records import JobRow, event_row, insert_public
from persistence.postgres.states import HoldKind

_OPEN = "select id, paused from jobs where id = any($1) and state = 0 order by id for no key update"

_RECORD = """
insert into holds as h (job_id, message_id, tenant_id, kind, reason, amount_nanos, budget_id)
select k.job, k.message, j.tenant_id, k.kind, k.reason, k.amount, k.budget
  from unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::text[], $5::bigint[], $6::bigint[])
         k(job, message, kind, reason, amount, budget)
  join jobs j on j.id = k.job and j.id = any($1)
on conflict (job_id, message_id) do update
   set kind = excluded.kind, reason = excluded.reason, amount_nanos = excluded.amount_nanos,
       budget_id = excluded.budget_id, released_at = null
"""

_TELL = """
update jobs j set hold_reason = h.reason, revision = revision + 1, event_seq = event_seq + 1
  from unnest($1::uuid[], $2::text[]) h(id, reason)
 where j.id = h.id and j.id = any($1) and j.state = 0 and j.hold_reason is distinct from h.reason
returning j.*
"""

_REFRESH = """
update jobs j set revision = revision + 1, hold_reason = case when j.paused then 'paused' else
         (select h.reason from holds h where h.job_id = j.id and h.released_at is null
           order by h.kind, h.held_at limit 1) end
 where j.id = any($1) and j.state = 0
"""

# A message that its budget has let go is remembered until it has reached the ledger, so that the room it will take
# is not given away twice. Messages are made ready in the order in which they were held.
_RELEASE = """
with freed as (
  update holds h set released_at = clock_timestamp()
    from unnest($1::uuid[], $2::uuid[]) with ordinality k(job, message, place)
   where h.job_id = k.job and h.message_id = k.message and h.job_id = any($1) and h.released_at is null
  returning h.job_id, h.message_id, k.place),
queued as (
  update outbox o set not_before = now() + f.place * interval '1 microsecond', reason = null
    from freed f where o.id = f.message_id and o.id = any($2) and o.not_before = 'infinity')
select job_id from freed
"""

_RESUME = """
with freed as (
  delete from holds h where h.job_id = any($1) and h.kind = any($2) returning h.message_id, h.held_at)
update outbox o set reason = null,
       not_before = now() + f.place * interval '1 microsecond'
  from (select message_id, row_number() over (order by held_at, message_id) as place from freed) f
 where o.id = f.message_id and o.id = any(array(select message_id from freed)) and o.not_before = 'infinity'
"""

# Rows that the relay has in its hands travel on, and meet the job's new state at the ledger.
_UNQUEUE = """
delete from outbox where id = any(array(
  select id from outbox where id = any($1) and lane < 4 order by id for update skip locked))
"""


@dataclass(frozen=True, slots=True)
class Hold:
    """One message set aside. ``message_id`` is its id in the outbox, or one derived for what is not there.

    ``budget_id``: the budget in whose way ``amount_nanos`` stands.
    """

    job_id: UUID
    message_id: UUID
    kind: HoldKind
    reason: str
    amount_nanos: int = 0
    budget_id: int | None = None


async def lock_jobs(lent: Connection, job_ids: Collection[UUID]) -> None:
    """Lock jobs in id order, before what is their own, as everywhere."""
    await lent.execute("select 1 from jobs where id = any($1) order by id for no key update", list(job_ids))


async def hold(lent: Connection, holds: Sequence[Hold], source: str, shards: int) -> set[UUID]:
    """Put open jobs on hold and queue an event each; return those that are open.

    A job held for that very reason already gets no other event. What belongs to a job that has ended is not
    recorded: the caller drops its message.
    """
    unique = list({(h.job_id, h.message_id): h for h in holds}.values())
    rows = await lent.fetch(_OPEN, sorted({h.job_id for h in unique}))
    is_open: dict[UUID, bool] = {row["id"]: row["paused"] for row in rows}
    kept = sorted((h for h in unique if h.job_id in is_open), key=lambda h: (h.job_id, h.message_id))
    if not kept:
        return set()
    await lent.execute(
        _RECORD,
        [h.job_id for h in kept],
        [h.message_id for h in kept],
        [int(h.kind) for h in kept],
        [h.reason for h in kept],
        [h.amount_nanos for h in kept],
        [h.budget_id for h in kept],
    )
    # A pause has been told when it was asked for, and hides what comes after it.
    reasons = {h.job_id: h.reason for h in kept if h.kind is not HoldKind.PAUSED and not is_open[h.job_id]}
    await tell(lent, reasons, source, shards)
    return set(is_open)


async def tell(lent: Connection, reasons: Mapping[UUID, str], source: str, shards: int) -> None:
    """Show a reason on each job, whose row is locked, and queue an event where it is new."""
    if not reasons:
        return
    ids = sorted(reasons)
    rows = await lent.fetch(_TELL, ids, [reasons[i] for i in ids])
    now = datetime.now(UTC)
    events = []
    for row in rows:
        job = JobRow.of(row)
        before = replace(job, event_seq=job.event_seq - 1)
        code = reasons[job.job_id].partition(":")[0].strip().replace(" ", "_")
        failure = Failure(code=code, detail=reasons[job.job_id])
        events.append(event_row(before, EventType.HELD, failure, now, source, shards))
    if events:
        await insert_public(lent, events)


async def refresh(lent: Connection, job_ids: Sequence[UUID]) -> None:
    """Show each locked job's present reason, or that it is not on hold any more."""
    if job_ids:
        await lent.execute(_REFRESH, job_ids)


async def arrived(lent: Connection, messages: Collection[tuple[UUID, UUID]]) -> None:
    """Forget holds whose (job, message) has reached the ledger and may go on; their jobs are locked.

    What came may be another copy than the one that was set aside, which nothing would release any more.
    """
    pairs = sorted(messages)
    jobs = [job for job, _ in pairs]
    await lent.execute(
        "delete from holds h using unnest($1::uuid[], $2::uuid[]) k(job, message)"
        " where h.job_id = k.job and h.message_id = k.message and h.job_id = any($1)",
        jobs,
        [message for _, message in pairs],
    )
    await unqueue(lent, [message for _, message in pairs])
    await refresh(lent, jobs)


async def release(lent: Connection, messages: Sequence[tuple[UUID, UUID]]) -> int:
    """Let held (job, message) pairs go, in this order; their jobs are locked. Return how many were still held."""
    rows = await lent.fetch(_RELEASE, [job for job, _ in messages], [message for _, message in messages])
    await refresh(lent, [row["job_id"] for row in rows])
    return len(rows)


async def resume(lent: Connection, job_ids: Sequence[UUID]) -> None:
    """Let go what was set aside by a pause or for the operator, oldest first; the jobs are locked, not paused."""
    await lent.execute(_RESUME, job_ids, [int(HoldKind.PAUSED), int(HoldKind.OPERATOR)])
    await refresh(lent, job_ids)


async def end_holds(lent: Connection, job_ids: Sequence[UUID]) -> list[UUID]:
    """Forget the holds of jobs that end now; return the ids of their messages, which nothing would ever release."""
    rows = await lent.fetch("delete from holds where job_id = any($1) returning message_id", job_ids)
    return [row["message_id"] for row in rows]


async def unqueue(lent: Connection, message_ids: Sequence[UUID]) -> None:
    """Delete messages from the outbox that are not needed any more; their jobs are locked."""
    await lent.execute(_UNQUEUE, message_ids)
