"""Plans made while the tables were small stay right when they are large: what is read is counted, not timed.

A session keeps the plan of a statement until something invalidates it. So the statements of a call run here eight times
on a new schema; then the tables grow, with autovacuum off, and they run once more.
"""

from collections.abc import AsyncIterator

import pytest

from common.ids import uuid7
from common.ports import Submission
from persistence.postgres.ledger import PostgresLedger
from persistence.postgres.pool import Pool, create_pool
from tests.integration.persistence.examples import answered, asking, new_job, put_budget, store

pytestmark = pytest.mark.stack

ROWS = 20_000
BATCH = 16
MOST_READ_A_JOB = 100
_TABLES = ("jobs", "attempts", "budgets", "holds", "outbox", "idempotency", "usage_deltas")
_GROW = (
    "insert into jobs (id, tenant_id, recipe, recipe_hash, lane) select uuidv7(), 'other', 'r@1', 'h', 1"
    f" from generate_series(1, {ROWS})",
    "insert into attempts (job_id, step, item, attempt, tenant_id, worker, deployment, model, price_version,"
    " prompt_hash, reserved_nanos)"
    " select id, 'main', 0, 1, 'other', gen_random_uuid(), 'd', 'm', 'v', 'h', 1 from jobs",
    "insert into budgets (tenant_id, scope, scope_key, limit_nanos) select 'other', 'job', id::text, 5 from jobs",
    "insert into holds (job_id, message_id, tenant_id, kind, reason) select id, id, 'other', 2, 'auth' from jobs",
)
_ROWS_READ = """
select (select sum(seq_tup_read) from pg_stat_user_tables)::bigint
     + (select sum(idx_tup_read) from pg_stat_user_indexes)::bigint
"""


@pytest.fixture
async def session(database_url: str) -> AsyncIterator[Pool]:
    """A pool of one connection: it keeps its plans."""
    pool = await create_pool(database_url, size=1, application="plans")
    for table in _TABLES:
        await pool.execute(f"alter table {table} set (autovacuum_enabled = false)")
    yield pool
    pool.terminate()


async def rows_read(session: Pool, pool: Pool) -> int:
    await session.execute("select pg_stat_force_next_flush()")
    return int(await pool.fetchval(_ROWS_READ))


async def test_a_calls_statements_planned_on_small_tables_read_little_of_large_ones(session: Pool, pool: Pool) -> None:
    ledger = PostgresLedger(session, worker=uuid7(), lease_s=30, shards=1, source="test")
    await put_budget(session, 10**12, window="day")
    await put_budget(session, 10**12, "recipe", "card")

    async def call() -> None:
        jobs = [new_job() for _ in range(BATCH)]
        await store(session).submit([Submission((job,)) for job in jobs])
        await ledger.reserve([asking(job, 5) for job in jobs])
        await ledger.settle([answered(job, 3) for job in jobs])

    # Given a session that has made its plans
    for _ in range(8):
        await call()
    # When the tables have grown, unseen by the planner
    async with pool.acquire() as lent:
        await lent.execute("delete from attempts; delete from jobs")
        for statement in _GROW:
            await lent.execute(statement, timeout=60)
        await lent.execute("select pg_stat_force_next_flush()")
    before = await rows_read(session, pool)
    await call()
    # Then it reads what it needs, and not the tables
    assert await rows_read(session, pool) - before < MOST_READ_A_JOB * BATCH
