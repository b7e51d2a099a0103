"""What the reconciler asks Postgres: open jobs that nobody seems to hold, and calls that nobody will settle.

Jobs are walked by id, so no index on their state is needed. The one lock that is kept is the leader's advisory
lock; what is written is guarded by keys, so a second reconciler does no harm.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from common.contracts import Step, StepRef
from common.failpoint import failpoint
from common.ids import shard_of
from common.pipeline import STEPS_OF
from persistence.postgres.budgets import locked_budgets, write_budgets
from persistence.postgres.pool import Connection, Pool, connection, transaction
from persistence.postgres.states import LANE_NUMBER, LANE_OF_NUMBER, AttemptState, VerdictCode
from persistence.postgres.usage import Charge, add_usage
from persistence.postgres.wake import notify, steps_token
from persistence.reconciler.resumption import LostJob, PastAttempt
from persistence.reserve_decision import LEASE_EXPIRED

_LEADER: Final = 0x48454144  # "HEAD": the advisory lock of this database's reconciler
_LONG_S: Final = 120
_PURPOSES: Final = ("steps", "prompts", "completions", "verdicts")

# Neither on hold, nor being called, nor changed within the grace: what is left may be lost.
_QUIET = """
p.state = 0 and (p.hold_reason is null or p.paused)
  and not exists (select 1 from holds h where h.job_id = p.id and h.released_at is null)
  and not exists (select 1 from attempts a left join workers w on w.id = a.worker
                   where a.job_id = p.id
                     and (a.state = 0 and w.lease_until > now()
                          or greatest(a.started_at, a.ended_at) > now() - $1 * interval '1 second'))
"""
# Ids of messages are derived from their job's and keep its 48 bits of time: a stretch of jobs is a stretch of the
# outbox, and a deep backlog costs one range scan.
_PAGE = f"""
with page as materialized (
  select id, state, hold_reason, paused from jobs where id > $2 and id < $3 order by id %s limit $4),
waiting as materialized (
  select o.job_id from outbox o
   where o.id >= (substr((select id from page order by id limit 1)::text, 1, 13) || '-0000-0000-000000000000')::uuid
     and o.id <= (substr((select id from page order by id desc limit 1)::text, 1, 13)
                  || '-ffff-ffff-ffffffffffff')::uuid
     and o.lane < 4)
select count(*) as seen, (select id from page order by id limit 1) as first,
       (select id from page order by id desc limit 1) as last,
       (select id from page where state = 0 order by id limit 1) as first_open,
       (select id from page where state = 0 order by id desc limit 1) as last_open,
       array(select p.id from page p where {_QUIET} and p.id not in (select job_id from waiting) order by p.id) as quiet
  from page
"""  # noqa: S608 - constants
_OLDEST_OF, _NEWEST_OF = _PAGE % "asc", _PAGE % "desc"
_STILL = f"select p.id from jobs p where p.id = any($2) and {_QUIET}"  # noqa: S608 - constants
_STEPS = """
select j.id, j.tenant_id, j.batch_id, j.recipe, j.recipe_hash, j.lane, j.deadline, j.budget_nanos, j.traceparent,
       s.step, s.item
  from jobs j join steps s on s.job_id = j.id and s.state = 0 and s.job_id = any($1) where j.id = any($1)
"""
_PAST = """
select job_id, step, item, attempt, state, final, error_code, verdict, started_at, ended_at
  from attempts where job_id = any($1) order by job_id, step, item, attempt
"""
_QUEUED = "select job_id from outbox where id = any($1)"
_PUBLISH = """
insert into outbox (id, shard, lane, tenant_id, deadline, topic, job_id, body, traceparent)
select m.id, m.shard, m.lane, m.tenant, coalesce(m.deadline, 'infinity'), m.topic, m.job, m.body, m.trace
  from unnest($1::uuid[], $2::smallint[], $3::smallint[], $4::text[], $5::timestamptz[], $6::smallint[], $7::uuid[],
              $8::bytea[], $9::text[]) m(id, shard, lane, tenant, deadline, topic, job, body, trace)
  join jobs j on j.id = m.job and j.state = 0 and j.id = any($7)
on conflict (id) do nothing
returning job_id
"""

_DEAD = "coalesce(w.lease_until, '-infinity') < now() - $1 * interval '1 second'"
# Block ranges on started_at bound the scan: what started before ``since`` is known to be settled.
_RESERVED = f"""
select a.job_id, a.step, a.item, a.attempt, a.started_at,
       {_DEAD} and exists (select 1 from jobs j where j.id = a.job_id and j.state <> 0) as left_behind
  from attempts a left join workers w on w.id = a.worker
 where a.state = 0 and a.started_at >= $2 and a.started_at < now() - $1 * interval '1 second'
 order by a.started_at limit $3
"""  # noqa: S608 - constants
_LOCK_RESERVED = f"""
select a.job_id, a.step, a.item, a.attempt, a.tenant_id, a.reserved_nanos, a.budget_ids, j.recipe
  from attempts a
  join unnest($2::uuid[], $3::text[], $4::int[], $5::int[]) k(job, step, item, attempt)
    on a.job_id = k.job and a.step = k.step and a.item = k.item and a.attempt = k.attempt
  join jobs j on j.id = a.job_id and j.state <> 0
  left join workers w on w.id = a.worker
 where a.job_id = any($2) and a.state = 0 and {_DEAD}
 order by a.job_id, a.step, a.item, a.attempt for no key update of a
"""  # noqa: S608 - constants
_GIVE_UP = """
update attempts a set state = $5, cost_nanos = a.reserved_nanos, error_code = $6, final = true, ended_at = $7
  from unnest($1::uuid[], $2::text[], $3::int[], $4::int[]) k(job, step, item, attempt)
 where a.job_id = k.job and a.step = k.step and a.item = k.item and a.attempt = k.attempt
   and a.job_id = any($1) and attempt_may_1(a.state, $5)
"""
_FORGET_WORKERS = "delete from workers where lease_until < now() - interval '1 day'"

AttemptRef = tuple[UUID, str, int, int]


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of jobs by id. ``first`` None: there were none. ``quiet``: open, and nobody seems to hold them."""

    seen: int
    first: UUID | None
    last: UUID | None
    first_open: UUID | None
    last_open: UUID | None
    quiet: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Reserved:
    """Calls begun a while ago and not settled: when the oldest began, and those left behind by dead workers."""

    oldest: datetime | None
    left_behind: tuple[AttemptRef, ...]


async def try_lead(lent: Connection) -> bool:
    """Take the lock that one reconciler of this database holds for as long as its connection lives."""
    return bool(await lent.fetchval("select pg_try_advisory_lock($1)", _LEADER))


async def page(
    lent: Connection, after: UUID, before: UUID, *, grace_s: float, limit: int, newest: bool = False
) -> Page:
    """Return the oldest jobs between two ids, or the newest."""
    row = await lent.fetchrow(_NEWEST_OF if newest else _OLDEST_OF, grace_s, after, before, limit)
    assert row is not None  # noqa: S101 - an aggregate gives one row
    return Page(row["seen"], row["first"], row["last"], row["first_open"], row["last_open"], tuple(row["quiet"]))


async def still_quiet(lent: Connection, job_ids: Collection[UUID], *, grace_s: float) -> set[UUID]:
    """Return those that are open still, and that nobody seems to hold."""
    return {row["id"] for row in await lent.fetch(_STILL, grace_s, list(job_ids))}


async def open_steps(lent: Connection, job_ids: Collection[UUID]) -> list[tuple[LostJob, list[PastAttempt]]]:
    """Return the open steps of these jobs, with their ledger rows in order."""
    ids = list(job_ids)
    past: dict[tuple[UUID, str, int], list[PastAttempt]] = {}
    for row in await lent.fetch(_PAST, ids):
        past.setdefault((row["job_id"], row["step"], row["item"]), []).append(_past(row))
    found = []
    for row in await lent.fetch(_STEPS, ids):
        job = LostJob(
            job_id=row["id"],
            tenant_id=row["tenant_id"],
            batch_id=row["batch_id"],
            recipe=row["recipe"],
            recipe_hash=row["recipe_hash"],
            lane=LANE_OF_NUMBER[row["lane"]],
            deadline=row["deadline"],
            budgeted=row["budget_nanos"] is not None,
            traceparent=row["traceparent"],
            step=row["step"],
            item=row["item"],
        )
        found.append((job, past.get((job.job_id, job.step, job.item), [])))
    return found


async def queued(lent: Connection, steps: Iterable[tuple[LostJob, Sequence[PastAttempt]]]) -> set[UUID]:
    """Return the jobs that have a message in the outbox: ids of messages are derived, so they can be named."""
    ids = [message_id for job, past in steps for message_id in _message_ids(job, past)]
    return {row["job_id"] for row in await lent.fetch(_QUEUED, ids)} if ids else set()


async def publish_again(pool: Pool, steps: Sequence[tuple[LostJob, Step]], shards: int) -> set[UUID]:
    """Queue messages for the relay, each once under its id; return the jobs of those that were."""
    async with connection(pool) as lent:
        failpoint("reconciler.before_publish")
        rows = await lent.fetch(
            _PUBLISH,
            [step.message_id("steps") for _, step in steps],
            [shard_of(job.job_id, shards) for job, _ in steps],
            [LANE_NUMBER[job.lane] for job, _ in steps],
            [job.tenant_id for job, _ in steps],
            [job.deadline for job, _ in steps],
            [int(STEPS_OF[job.lane]) for job, _ in steps],
            [job.job_id for job, _ in steps],
            [step.model_dump_json(exclude_none=True).encode() for _, step in steps],
            [job.traceparent for job, _ in steps],
        )
        failpoint("reconciler.after_publish")
        await notify(lent, {steps_token(LANE_NUMBER[job.lane], job.tenant_id) for job, _ in steps})
    return {row["job_id"] for row in rows}


async def reserved(pool: Pool, since: datetime, *, dead_s: float, limit: int) -> Reserved:
    """Return calls that are reserved for longer than ``dead_s``, from ``since`` on."""
    async with transaction(pool) as lent:
        # The first look of a process reads the whole ledger.
        await lent.execute(f"set local statement_timeout = '{_LONG_S}s'; set local transaction_timeout = '{_LONG_S}s'")
        rows = await lent.fetch(_RESERVED, dead_s, since, limit, timeout=_LONG_S)
    return Reserved(
        oldest=rows[0]["started_at"] if rows else None,
        left_behind=tuple((r["job_id"], r["step"], r["item"], r["attempt"]) for r in rows if r["left_behind"]),
    )


async def give_up(pool: Pool, attempts: Sequence[AttemptRef], *, dead_s: float) -> int:
    """Charge calls of ended jobs whose workers died whole, as unknown; return how many. A late answer corrects it.

    Locks attempts, then budgets, each in order, as settling does.
    """
    async with transaction(pool) as lent:
        rows = await lent.fetch(_LOCK_RESERVED, dead_s, *_columns(attempts))
        if not rows:
            return 0
        charged = {budget for row in rows for budget in row["budget_ids"]}
        budgets, at = await locked_budgets(lent, (), charged)
        by_id = {budget.budget_id: budget for budget in budgets}
        for row in rows:
            for budget_id in row["budget_ids"]:
                if (budget := by_id.get(budget_id)) is not None:
                    budget.reserved_nanos -= row["reserved_nanos"]
                    budget.settled_nanos += row["reserved_nanos"]
        refs = [(r["job_id"], r["step"], r["item"], r["attempt"]) for r in rows]
        await lent.execute(_GIVE_UP, *_columns(refs), int(AttemptState.UNKNOWN), LEASE_EXPIRED, at)
        if budgets:
            await write_budgets(lent, budgets, at)
        await add_usage(
            lent, [Charge(r["tenant_id"], r["recipe"], charged=1, cost_nanos=r["reserved_nanos"]) for r in rows]
        )
        failpoint("reconciler.before_charge")
    failpoint("reconciler.after_charge")
    return len(rows)


async def forget_workers(pool: Pool) -> None:
    """Delete leases that ended long ago: a worker without one counts as dead."""
    async with connection(pool) as lent:
        await lent.execute(_FORGET_WORKERS)


def _past(row: asyncpg.Record) -> PastAttempt:
    return PastAttempt(
        attempt=row["attempt"],
        state=AttemptState(row["state"]),
        final=row["final"],
        error_code=row["error_code"],
        verdict=None if row["verdict"] is None else VerdictCode(row["verdict"]),
        started_at=row["started_at"],
        ended_at=row["ended_at"],
    )


def _message_ids(job: LostJob, past: Sequence[PastAttempt]) -> list[UUID]:
    last = past[-1].attempt if past else 0
    references = [
        StepRef(
            tenant_id=job.tenant_id,
            job_id=job.job_id,
            step=job.step,
            item=job.item,
            attempt=attempt,
            lane=job.lane,
            recipe=job.recipe,
            recipe_hash=job.recipe_hash,
        )
        for attempt in range(1, last + 2)
    ]
    return [reference.message_id(purpose) for reference in references for purpose in _PURPOSES]


def _columns(attempts: Sequence[AttemptRef]) -> tuple[list[UUID], list[str], list[int], list[int]]:
    return [a[0] for a in attempts], [a[1] for a in attempts], [a[2] for a in attempts], [a[3] for a in attempts]
