"""What no public surface shows yet, asked of Postgres: budgets against the ledger, rows left over. Not the checker's.

Kept apart on purpose: the verdict on the promises knows the public surfaces alone, and this goes once the API shows
budgets and dead letters.
"""

import asyncpg

_BUDGETS = """
select b.scope, b.scope_key, b.settled_nanos, b.reserved_nanos,
       coalesce(sum(a.cost_nanos) filter (where a.state <> 0), 0)::bigint as spent,
       coalesce(sum(a.reserved_nanos) filter (where a.state = 0), 0)::bigint as open
  from budgets b left join attempts a on b.id = any(a.budget_ids)
 group by b.id
having b.settled_nanos <> coalesce(sum(a.cost_nanos) filter (where a.state <> 0), 0)
    or b.reserved_nanos <> 0
"""
_LIMITLESS = 10**15


async def give_tenant_a_budget(database_url: str, tenant_id: str) -> None:
    """Make a budget that all spending counts against and none reaches."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(
            "insert into budgets (tenant_id, scope, limit_nanos) values ($1, 'tenant', $2) on conflict do nothing",
            tenant_id,
            _LIMITLESS,
        )
    finally:
        await connection.close()


async def look_inside(database_url: str) -> list[str]:
    """Return what is wrong behind the surfaces, in plain words."""
    connection = await asyncpg.connect(database_url)
    try:
        wrong = [
            f"budget {row['scope']} {row['scope_key']}: settled {row['settled_nanos']} against {row['spent']} spent,"
            f" reserved {row['reserved_nanos']} against {row['open']} open"
            for row in await connection.fetch(_BUDGETS)
        ]
        left = await connection.fetchval("select count(*) from outbox")
        if left:
            wrong.append(f"{left} rows are left in the outbox")
        for row in await connection.fetch("select stage, reason, count(*) as n from dead_letters group by 1, 2"):
            wrong.append(f"{row['n']} dead letters of {row['stage']}: {row['reason']}")
        return wrong
    finally:
        await connection.close()
