"""Calls left behind by dead workers of ended jobs, and jobs that nobody holds, on real Postgres."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from common.control_ports import BudgetKey, BudgetScope, Window
from common.ids import uuid7
from common.ports import ReserveKind
from persistence.postgres import reconcile
from persistence.postgres.budgets import PostgresBudgets
from persistence.postgres.ledger import PostgresLedger
from persistence.postgres.pool import Pool, connection
from persistence.reconciler.search import Search
from persistence.reconciler.walk import Walk
from tests.integration.persistence.examples import USD, answered, asking, store, submitted

pytestmark = pytest.mark.stack

EVER = datetime(2000, 1, 1, tzinfo=UTC)
TENANT = BudgetKey("default", BudgetScope.TENANT, "", Window.TOTAL)


def ledger_of(pool: Pool) -> PostgresLedger:
    return PostgresLedger(pool, worker=uuid7(), lease_s=0.0, shards=1, source="test")


async def left_behind(pool: Pool) -> int:
    found = await reconcile.reserved(pool, EVER, dead_s=0, limit=10)
    return await reconcile.give_up(pool, found.left_behind, dead_s=0)


async def test_p4_a_call_of_an_ended_job_whose_worker_died_is_charged_once_and_leaves_its_budget(pool: Pool) -> None:
    await PostgresBudgets(pool).put(TENANT, 10 * USD)
    (job,) = await submitted(pool)
    ledger = ledger_of(pool)
    (decision,) = await ledger.reserve([asking(job, 3 * USD)])
    assert decision.kind is ReserveKind.GRANTED
    await store(pool).cancel("default", job.job_id)

    first, second = await left_behind(pool), await left_behind(pool)

    assert (first, second) == (1, 0)
    async with connection(pool) as lent:
        attempt = await lent.fetchrow("select state, cost_nanos, error_code from attempts")
        budget = await lent.fetchrow("select settled_nanos, reserved_nanos from budgets")
        usage = await lent.fetchrow("select sum(unknown) as unknown, sum(cost_nanos) as cost from usage_deltas")
    assert tuple(attempt or ()) == (3, 3 * USD, "lease_expired")
    assert tuple(budget or ()) == (3 * USD, 0)
    assert tuple(usage or ()) == (1, 3 * USD)


async def test_p3_a_late_answer_corrects_what_was_given_up(pool: Pool) -> None:
    await PostgresBudgets(pool).put(TENANT, 10 * USD)
    (job,) = await submitted(pool)
    ledger = ledger_of(pool)
    await ledger.reserve([asking(job, 3 * USD)])
    await store(pool).cancel("default", job.job_id)
    await left_behind(pool)

    await ledger.settle([answered(job, 1 * USD)])

    async with connection(pool) as lent:
        budget = await lent.fetchrow("select settled_nanos, reserved_nanos from budgets")
    assert tuple(budget or ()) == (1 * USD, 0)


async def test_calls_of_open_jobs_and_of_live_workers_are_left_alone(pool: Pool) -> None:
    still_open, called = await submitted(pool, 2)
    await ledger_of(pool).reserve([asking(still_open)])
    living = PostgresLedger(pool, worker=uuid7(), lease_s=60.0, shards=1, source="test")
    await living.renew_lease()
    await living.reserve([asking(called)])
    await store(pool).cancel("default", called.job_id)

    assert await left_behind(pool) == 0


async def test_a_job_is_quiet_when_nobody_holds_it_and_in_the_outbox_until_it_is_sent(pool: Pool) -> None:
    waiting, held, called, ended, lost = await submitted(pool, 5)
    living = PostgresLedger(pool, worker=uuid7(), lease_s=60.0, shards=1, source="test")
    await living.renew_lease()
    await living.reserve([asking(called)])
    await store(pool).cancel("default", ended.job_id)
    async with connection(pool) as lent:
        await lent.execute("delete from outbox where job_id <> $1", waiting.job_id)
        await lent.execute("update jobs set hold_reason = 'dead letter: x' where id = $1", held.job_id)

        soon = UUID(int=int((datetime.now(UTC) + timedelta(minutes=1)).timestamp() * 1000) << 80)
        page = await reconcile.page(lent, UUID(int=0), soon, grace_s=0, limit=10)
        steps = await reconcile.open_steps(lent, [waiting.job_id, lost.job_id])
        queued = await reconcile.queued(lent, steps)

    assert set(page.quiet) == {lost.job_id}
    assert queued == {waiting.job_id}


async def test_a_page_of_a_deep_backlog_is_cheap(pool: Pool) -> None:
    for _ in range(10):
        await submitted(pool, 1000)
    async with connection(pool) as lent:
        await lent.execute("analyze jobs, outbox, attempts")
        soon = UUID(int=int((datetime.now(UTC) + timedelta(minutes=1)).timestamp() * 1000) << 80)

        page = await reconcile.page(lent, UUID(int=0), soon, grace_s=0, limit=5000)

    assert (page.seen, page.quiet) == (5000, ())
    assert page.first_open is not None


async def test_a_walk_finds_a_lost_job_at_once_above_a_long_history_and_a_job_held_below_it(pool: Pool) -> None:
    history = (
        "insert into jobs (id, tenant_id, recipe, recipe_hash, lane, state, hold_reason)"
        " select uuidv7(-(n * interval '1 hour')), 'default', 'r@1', 'h', 1, (n < 100)::int, 'x'"
        " from generate_series(1, 100) n"
    )
    await pool.execute(history)
    (job,) = await submitted(pool)
    await pool.execute("delete from outbox")
    search = Search(pool, "", "", 1, grace_s=0, settle_s=0)
    walk = Walk(search.look, grace_s=-1, page_jobs=10)

    first = await walk.round(0)
    while not walk.whole:
        await walk.round(0)
    (again,) = await submitted(pool)
    await pool.execute("delete from outbox")

    assert (first, await walk.round(0)) == ({job.job_id}, {job.job_id, again.job_id})
