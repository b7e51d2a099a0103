"""Lets jobs on hold for a budget go on, one bounded pass a transaction; one process at a time does it.

The ledger decides again when they arrive, so a pass may be wrong about a moment's room, never about money.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

import asyncpg

from common.failpoint import failpoint
from persistence.postgres import holds
from persistence.postgres.budgets import present_budgets
from persistence.postgres.pool import Connection, Pool, connection, transaction
from persistence.postgres.wake import LATER_TOKEN, notify
from persistence.release_plan import Message, ReleasePlan, Waiting, plan_releases, scopes_of_job

MOST_RELEASED: Final = 500
_MOST_IN_TRANSIT: Final = 5_000
_FOREVER_FREE: Final = 2**62
_LOCK_KEY: Final = 0x6872_686F_6C64_7331  # "hrholds1"

_ALONE = "select pg_try_advisory_xact_lock($1)"
# Released and since then seen at the ledger, or lost on the way, or on hold for good: nothing is on its way.
# Released and since then seen at the ledger, or lost on the way, or ended: nothing is on its way. Rows that somebody
# holds are left for the next pass: this statement locks no jobs, so it must not wait.
_ARRIVED = """
delete from holds where ctid = any(array(
  select w.ctid from holds w where w.released_at is not null and (
    w.released_at < clock_timestamp() - interval '30 seconds'
    or exists (select 1 from attempts a where a.job_id = w.job_id and a.started_at >= w.released_at)
    or not exists (select 1 from jobs j where j.id = w.job_id and j.state = 0))
  for update of w skip locked))
"""
_ALL_BUDGETS = """
select h.budget_id, min(h.amount_nanos) as least from holds h
 where h.budget_id is not null and h.released_at is null group by h.budget_id
"""
_SOME_BUDGETS = """
select b.id as budget_id, l.least from unnest($1::bigint[]) b(id) cross join lateral (
  select min(h.amount_nanos) as least from holds h where h.budget_id = b.id and h.released_at is null) l
 where l.least is not null
"""
_JOB = "h.job_id, h.message_id, h.amount_nanos, h.budget_id, j.tenant_id, j.recipe, j.batch_id"
_WAITING = f"""
select w.* from unnest($1::bigint[], $2::bigint[]) b(id, room) cross join lateral (
  select {_JOB}, h.held_at from holds h join jobs j on j.id = h.job_id
   where h.budget_id = b.id and h.released_at is null and h.amount_nanos <= b.room and not j.paused and j.state = 0
   order by h.held_at, h.message_id limit $3) w
 order by w.held_at, w.message_id limit $3
"""  # noqa: S608 - made of constants
_IN_TRANSIT = f"""
select {_JOB} from holds h join jobs j on j.id = h.job_id
 where h.released_at is not null order by h.released_at limit $1
"""  # noqa: S608 - made of constants
_LOCK_JOBS = "select id from jobs where id = any($1) and state = 0 and not paused order by id for no key update"
_REFILE = """
update holds h set budget_id = k.budget, reason = coalesce(k.reason, h.reason)
  from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[]) k(job, message, budget, reason)
 where h.job_id = k.job and h.message_id = k.message and h.job_id = any($1) and h.released_at is null
"""
_NEXT_WINDOW = """
select extract(epoch from date_trunc('day', clock_timestamp() + interval '1 day', 'UTC') - clock_timestamp())::float8
"""


async def release_pass(pool: Pool, budget_ids: Collection[int] | None) -> int:
    """Let jobs go that wait for these budgets (None: for any); return how many moved, 0 when nothing is left to do."""
    async with connection(pool) as lent:
        await lent.execute(_ARRIVED)
    async with transaction(pool) as lent:
        if not await lent.fetchval(_ALONE, _LOCK_KEY):
            return 0
        rooms = await _rooms(lent, budget_ids)
        if not rooms:
            return 0
        waiting = await lent.fetch(_WAITING, list(rooms), list(rooms.values()), MOST_RELEASED)
        in_transit = await lent.fetch(_IN_TRANSIT, _MOST_IN_TRANSIT)
        plan = await _plan(lent, in_transit, waiting)
        released = await _carry_out(lent, plan)
        failpoint("releaser.before_commit")
    failpoint("releaser.after_commit")
    if released:
        async with connection(pool) as lent:
            await notify(lent, {LATER_TOKEN})
    return released + len(plan.refile)


async def next_window_s(pool: Pool) -> float:
    """Return the seconds until the next UTC midnight, in Postgres time."""
    async with connection(pool) as lent:
        return float(await lent.fetchval(_NEXT_WINDOW))


async def _rooms(lent: Connection, budget_ids: Collection[int] | None) -> dict[int, int]:
    """Return budgets with jobs on hold of which the smallest fits, and how much room they have."""
    if budget_ids is None:
        rows = await lent.fetch(_ALL_BUDGETS)
    else:
        rows = await lent.fetch(_SOME_BUDGETS, sorted(budget_ids))
    least = {row["budget_id"]: row["least"] for row in rows}
    known, _ = await present_budgets(lent, [], least)
    rooms = dict.fromkeys(least, _FOREVER_FREE)  # a budget that was removed stands in nobody's way
    rooms.update({b.budget_id: b.limit_nanos - b.settled_nanos - b.reserved_nanos for b in known})
    return {budget_id: room for budget_id, room in rooms.items() if room >= least[budget_id]}


async def _plan(
    lent: Connection, in_transit: Iterable[asyncpg.Record], waiting: Iterable[asyncpg.Record]
) -> ReleasePlan:
    travelling = [_waiting(row) for row in in_transit]
    standing = [_waiting(row) for row in waiting]
    scopes = {scope for item in (*travelling, *standing) for scope in item.scopes}
    budgets, _ = await present_budgets(lent, scopes, [])
    return plan_releases(travelling, standing, budgets)


async def _carry_out(lent: Connection, plan: ReleasePlan) -> int:
    concerned = {job for job, _ in plan.release} | {message[0] for message, _, _ in plan.refile}
    # Jobs before their holds, as everywhere.
    locked = {row["id"] for row in await lent.fetch(_LOCK_JOBS, sorted(concerned))}
    refiled = [item for item in plan.refile if item[0][0] in locked]
    if refiled:
        await lent.execute(
            _REFILE,
            [message[0] for message, _, _ in refiled],
            [message[1] for message, _, _ in refiled],
            [budget_id for _, budget_id, _ in refiled],
            [reason for _, _, reason in refiled],
        )
        await holds.refresh(lent, [message[0] for message, _, reason in refiled if reason is not None])
    released = _only(plan.release, locked)
    return await holds.release(lent, released) if released else 0


def _only(messages: Sequence[Message], jobs: Collection[object]) -> list[Message]:
    return [message for message in messages if message[0] in jobs]


def _waiting(row: asyncpg.Record) -> Waiting:
    return Waiting(
        message=(row["job_id"], row["message_id"]),
        amount_nanos=row["amount_nanos"],
        budget_id=row["budget_id"] or 0,
        scopes=scopes_of_job(row["tenant_id"], row["recipe"], row["batch_id"], row["job_id"]),
    )
