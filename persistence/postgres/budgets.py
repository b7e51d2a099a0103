"""Budgets: rows locked for the ledger, and what operators set and see of them.

A row has its limit, what is settled in the window it stands in, and what is reserved. Whoever writes it rolls it
over first: in a later window nothing is settled yet, what is reserved stays. No clock but Postgres's is read.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

import asyncpg

from common.control_ports import BudgetFilter, BudgetKey, BudgetScope, BudgetView, Window
from persistence.budget_window import window_end
from persistence.postgres.control_wake import budget_token, notify_control
from persistence.postgres.pool import Connection, Pool, connection, transaction
from persistence.reserve_decision import BudgetFacts

Scope = tuple[str, str, str]  # tenant, scope, key

# An array, not a join with "or": the index on id serves it however many budgets single jobs have.
_OF_SCOPES = """
  select b2.id from budgets b2
    join unnest($1::text[], $2::text[], $3::text[]) x(tenant, scope, key)
      on b2.tenant_id = x.tenant and b2.scope = x.scope and b2.scope_key = x.key
   where b2.tenant_id = any($1) and b2.scope = any($2) and b2.scope_key = any($3)
"""
_MEANT = f"b.id = any(array({_OF_SCOPES}) || $4::bigint[])"
_LOCK = f"select b.id from budgets b where {_MEANT} order by b.id for no key update of b"  # noqa: S608 - constants
# Asked behind the locks and after the clock: the snapshot of a statement that waits is from before its wait.
_OTHERS = f"select exists ({_OF_SCOPES} and b2.id <> all($4::bigint[]))"
# One time for all of them: two windows must not disagree about the day.
_PRESENT = """
with t as materialized (select clock_timestamp() as at)
select b.id, b.tenant_id, b.scope, b.scope_key, b.time_window, b.limit_nanos, b.reserved_nanos, t.at, b.created_at,
       case when b.window_start < budget_window_1(b.time_window, t.at) then 0 else b.settled_nanos end as settled_nanos
"""
_FACTS = f"{_PRESENT} from t left join budgets b on {_MEANT}"
_SHOWN = f"""
{_PRESENT}, (select count(*) from holds h where h.budget_id = b.id and h.released_at is null) as held_jobs
  from budgets b, t
"""  # noqa: S608 - constants
_LIST = f"""
{_SHOWN}
 where b.id > $1 and ($2::text is null or b.tenant_id = $2)
   and case when $3::text is null then b.scope <> 'job' else b.scope = $3 end
   and ($4::text is null or b.scope_key = $4) and ($5::text is null or b.time_window = $5)
 order by b.id limit $6
"""
_WRITE = """
update budgets b set settled_nanos = x.settled, reserved_nanos = x.reserved,
       window_start = greatest(b.window_start, budget_window_1(b.time_window, $4))
  from unnest($1::bigint[], $2::bigint[], $3::bigint[]) x(id, settled, reserved)
 where b.id = x.id and b.id = any($1)
"""
_PUT = """
insert into budgets (tenant_id, scope, scope_key, time_window, limit_nanos) values ($1, $2, $3, $4, $5)
on conflict (tenant_id, scope, scope_key, time_window) do update set limit_nanos = excluded.limit_nanos
returning id
"""
_PUT_OF_JOB = """
update budgets set limit_nanos = $5 where tenant_id = $1 and scope = $2 and scope_key = $3 and time_window = $4
returning id
"""
_PUT_OF_BATCH = """
insert into budgets (tenant_id, scope, scope_key, time_window, limit_nanos)
select $1, $2, $3, $4, $5 from batches where id = $3::text::uuid and tenant_id = $1
on conflict (tenant_id, scope, scope_key, time_window) do update set limit_nanos = excluded.limit_nanos
returning id
"""
_PUTS = {BudgetScope.BATCH: _PUT_OF_BATCH, BudgetScope.JOB: _PUT_OF_JOB}
_REMOVE = """
delete from budgets where tenant_id = $1 and scope = $2 and scope_key = $3 and time_window = $4 returning id
"""
# Before the budget: jobs are locked first, everywhere, and in a statement of its own, for the next one must see what
# was committed while this one waited.
_LOCK_JOB = "select 1 from jobs where id = $2::text::uuid and tenant_id = $1 for no key update"
_SHOW_ON_JOB = """
update jobs set budget_nanos = $5 where id = $3::text::uuid and tenant_id = $1
   and exists (select 1 from budgets
                where tenant_id = $1 and scope = $2 and scope_key = $3 and time_window = $4)
"""


async def locked_budgets(
    lent: Connection, scopes: Collection[Scope], ids: Collection[int]
) -> tuple[list[BudgetFacts], datetime]:
    """Lock the budgets of these scopes, and those of these ids, in id order; return them, and the time now.

    None that was made before that time is missing: one that came while this waited for the others is locked too.
    """
    while True:
        locked = [row["id"] for row in await lent.fetch(_LOCK, *_columns(scopes), sorted(ids))]
        budgets, at = await present_budgets(lent, (), locked)
        if not scopes or not await lent.fetchval(_OTHERS, *_columns(scopes), locked):
            return budgets, at


async def present_budgets(
    lent: Connection, scopes: Collection[Scope], ids: Collection[int]
) -> tuple[list[BudgetFacts], datetime]:
    """Return budgets in their present windows, and the time that decides which those are."""
    rows = await lent.fetch(_FACTS, *_columns(scopes), sorted(ids))
    facts = [
        BudgetFacts(
            budget_id=row["id"],
            tenant_id=row["tenant_id"],
            scope=row["scope"],
            scope_key=row["scope_key"],
            limit_nanos=row["limit_nanos"],
            settled_nanos=row["settled_nanos"],
            reserved_nanos=row["reserved_nanos"],
            window=row["time_window"],
            ends_at=window_end(Window(row["time_window"]), row["at"]),
        )
        for row in rows
        if row["id"] is not None
    ]
    return facts, rows[0]["at"]


async def write_budgets(lent: Connection, budgets: Sequence[BudgetFacts], at: datetime) -> None:
    """Write amounts back, in the windows of ``at``, when they were read behind their locks."""
    await lent.execute(
        _WRITE,
        [b.budget_id for b in budgets],
        [b.settled_nanos for b in budgets],
        [b.reserved_nanos for b in budgets],
        at,
    )


def _columns(scopes: Collection[Scope]) -> tuple[list[str], list[str], list[str]]:
    unique = sorted(set(scopes))
    return [s[0] for s in unique], [s[1] for s in unique], [s[2] for s in unique]


class PostgresBudgets:
    """``common.control_ports.Budgets`` over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def budgets(self, wanted: BudgetFilter, *, after: int, limit: int) -> Sequence[BudgetView]:
        """Return budgets by rising id, those of single jobs only when asked for."""
        async with connection(self._pool) as lent:
            rows = await lent.fetch(
                _LIST,
                after,
                wanted.tenant_id,
                wanted.scope,
                wanted.key,
                wanted.window,
                limit,
            )
        return [_view(row) for row in rows]

    async def put(self, key: BudgetKey, limit_nanos: int) -> BudgetView | None:
        """Set a limit; what is settled and reserved stays. None: no such batch, or a job that has no budget.

        Calls look for a budget of their job only if it was submitted with one. A limit of a batch that its tenant
        does not have would limit nothing, and ids are ours: whoever names one that is not there has mistaken it.
        """
        statement = _PUTS.get(key.scope, _PUT)
        async with transaction(self._pool) as lent:
            if key.scope is BudgetScope.JOB:
                await _show_on_job(lent, key, limit_nanos)
            budget_id = await lent.fetchval(statement, *_named(key), limit_nanos)
            if budget_id is None:
                return None
            row = await lent.fetchrow(_SHOWN + " where b.id = $1", budget_id)
        await self._wake(budget_id)
        assert row is not None  # noqa: S101 - written in the same transaction
        return _view(row)

    async def remove(self, key: BudgetKey) -> bool:
        """Remove a limit; what is in flight settles without it. False: there was none."""
        async with transaction(self._pool) as lent:
            if key.scope is BudgetScope.JOB:
                await _show_on_job(lent, key, None)
            budget_id = await lent.fetchval(_REMOVE, *_named(key))
            if budget_id is None:
                return False
        await self._wake(budget_id)
        return True

    async def _wake(self, budget_id: int) -> None:
        async with connection(self._pool) as lent:
            await notify_control(lent, [budget_token(budget_id)])


async def _show_on_job(lent: Connection, key: BudgetKey, limit_nanos: int | None) -> None:
    await lent.execute(_LOCK_JOB, key.tenant_id, key.key)
    await lent.execute(_SHOW_ON_JOB, *_named(key), limit_nanos)


def _named(key: BudgetKey) -> tuple[str, str, str, str]:
    return key.tenant_id, key.scope.value, key.key, key.window.value


def _view(row: asyncpg.Record) -> BudgetView:
    window = Window(row["time_window"])
    return BudgetView(
        budget_id=row["id"],
        key=BudgetKey(row["tenant_id"], BudgetScope(row["scope"]), row["scope_key"], window),
        limit_nanos=row["limit_nanos"],
        settled_nanos=row["settled_nanos"],
        reserved_nanos=row["reserved_nanos"],
        held_jobs=row["held_jobs"],
        window_end=window_end(window, row["at"]),
        created_at=row["created_at"],
    )
