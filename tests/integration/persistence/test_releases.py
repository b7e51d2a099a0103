"""Holds end by themselves: more money, a freeing settle, a new window. In order, as many as fit, on real Postgres."""

import asyncio
from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry

from common.ports import NewJob, ReserveKind
from persistence.control_wakes import ControlWakes, keep_hearing
from persistence.postgres.budgets import PostgresBudgets
from persistence.postgres.ledger import PostgresLedger
from persistence.postgres.pool import Pool
from persistence.postgres.releases import release_pass
from persistence.releaser import Releaser
from tests.integration.persistence.examples import (
    USD,
    answered,
    asking,
    control,
    make_ledger,
    put_budget,
    store,
    submitted,
)

pytestmark = pytest.mark.stack


async def spent_up(pool: Pool, limit_nanos: int = USD, window: str = "total") -> PostgresLedger:
    """Return a ledger whose tenant has spent its whole budget."""
    await put_budget(pool, limit_nanos, window=window)
    [job] = await submitted(pool)
    ledger = await make_ledger(pool)
    await ledger.reserve([asking(job, limit_nanos)])
    await ledger.settle([answered(job, limit_nanos)])
    await pool.execute("delete from outbox")
    return ledger


async def held(pool: Pool, ledger: PostgresLedger, *amounts_nanos: int) -> list[NewJob]:
    """Put a job on hold for each amount, one after the other."""
    jobs = await submitted(pool, len(amounts_nanos))
    await pool.execute("delete from outbox")
    for job, amount in zip(jobs, amounts_nanos, strict=True):
        [decision] = await ledger.reserve([asking(job, amount)])
        assert decision.kind is ReserveKind.HELD
    return jobs


async def queued_again(pool: Pool) -> list[NewJob]:
    rows = await pool.fetch("select job_id from outbox where lane = 3 and not_before <= now() order by not_before")
    return [row["job_id"] for row in rows]


def ids(jobs: Sequence[NewJob]) -> list[object]:
    return [job.job_id for job in jobs]


async def test_p4_more_money_releases_the_oldest_as_many_as_fit(pool: Pool) -> None:
    # Given five jobs on hold
    ledger = await spent_up(pool)
    jobs = await held(pool, ledger, *[USD] * 5)
    assert await release_pass(pool, None) == 0
    # When there is money for three
    await put_budget(pool, 4 * USD)
    # Then the three oldest go, in their order, and are not on hold any more
    assert await release_pass(pool, None) == 3
    assert await queued_again(pool) == ids(jobs[:3])
    states = [(await store(pool).job("default", job.job_id)) for job in jobs]
    assert [view.state for view in states if view] == ["queued"] * 3 + ["held"] * 2
    # And while they travel, their room is not given away again
    assert await release_pass(pool, None) == 0
    # And when they have arrived and cost less, the next goes
    decisions = await ledger.reserve([asking(job) for job in jobs[:3]])
    assert [d.kind for d in decisions] == [ReserveKind.GRANTED] * 3
    assert await release_pass(pool, None) == 0
    await ledger.settle([answered(job, USD // 2) for job in jobs[:3]])
    assert await release_pass(pool, None) == 1
    assert (await queued_again(pool))[-1] == jobs[3].job_id


async def test_p4_a_small_call_is_not_kept_behind_a_large_one(pool: Pool) -> None:
    ledger = await spent_up(pool)
    _large, small = await held(pool, ledger, 5 * USD, USD)
    await put_budget(pool, 2 * USD)
    await release_pass(pool, None)
    assert await queued_again(pool) == [small.job_id]


async def test_p4_removing_a_budget_releases_all_that_waited_for_it(pool: Pool) -> None:
    ledger = await spent_up(pool)
    jobs = await held(pool, ledger, USD, 50 * USD)
    budget = await put_budget(pool, USD)
    await PostgresBudgets(pool).remove(budget.key)
    assert await release_pass(pool, None) == 2
    assert await queued_again(pool) == ids(jobs)


async def test_p4_a_new_window_releases(pool: Pool) -> None:
    ledger = await spent_up(pool, USD, "day")
    jobs = await held(pool, ledger, USD, USD)
    assert await release_pass(pool, None) == 0
    await pool.execute("update budgets set window_start = window_start - interval '1 day'")
    # One fits into a day; the other waits for the next
    assert await release_pass(pool, None) == 1
    assert await queued_again(pool) == ids(jobs[:1])


async def test_p4_a_settle_that_frees_money_names_the_budget_to_look_at(pool: Pool) -> None:
    # Given a call of a dead worker charged whole, and a job on hold for it
    await put_budget(pool, 2 * USD)
    lost, waiting = await submitted(pool, 2)
    dead = await make_ledger(pool)
    await dead.reserve([asking(lost, 2 * USD)])
    await pool.execute("update workers set lease_until = now() - interval '1 second'")
    alive = await make_ledger(pool)
    await alive.reserve([asking(lost, 2 * USD)])
    [decision] = await alive.reserve([asking(waiting, USD)])
    assert decision.kind is ReserveKind.HELD
    # When somebody listens, and the late answer costs half
    told: list[str] = []
    async with pool.acquire() as listening:
        await listening.add_listener("headrace_control", lambda *heard: told.append(str(heard[3])))
        await dead.settle([answered(lost, USD)])
        await listening.execute("select 1")
        budget_id = await pool.fetchval("select id from budgets")
        # Then the budget is named, and the job goes
        assert told == [f"b{budget_id}"]
        await listening.reset()
    assert await release_pass(pool, {budget_id}) > 0


async def test_p4_a_hold_moves_to_the_budget_that_stands_in_its_way_now(pool: Pool) -> None:
    # Given a job on hold for the tenant's budget
    ledger = await spent_up(pool)
    [job] = await held(pool, ledger, USD)
    # When that is raised, but its recipe's is exhausted meanwhile
    recipe = await put_budget(pool, USD // 2, "recipe", "card", "day")
    await put_budget(pool, 10 * USD)
    await release_pass(pool, None)
    # Then it is held for that one, and says so
    row = await pool.fetchrow("select budget_id, released_at from holds")
    assert row is not None
    assert tuple(row) == (recipe.budget_id, None)
    view = await store(pool).job("default", job.job_id)
    assert view is not None
    assert view.hold_reason is not None
    assert "the recipe's budget of 0.5 USD a day" in view.hold_reason
    # And raising it releases the job
    await put_budget(pool, 10 * USD, "recipe", "card", "day")
    assert await release_pass(pool, {recipe.budget_id}) == 1


async def test_p4_a_released_job_held_again_keeps_its_place(pool: Pool) -> None:
    ledger = await spent_up(pool)
    first, second = await held(pool, ledger, USD, USD)
    await put_budget(pool, 2 * USD)
    assert await release_pass(pool, None) == 1
    # Given that the first finds the money gone when it arrives
    await put_budget(pool, USD)
    [decision] = await ledger.reserve([asking(first)])
    assert decision.kind is ReserveKind.HELD
    # When there is money for one, it is the first
    await put_budget(pool, 2 * USD)
    assert await release_pass(pool, None) == 1
    assert await queued_again(pool) == [first.job_id]
    assert second


async def test_p4_a_paused_job_is_not_released_until_it_is_resumed(pool: Pool) -> None:
    ledger = await spent_up(pool)
    [job] = await held(pool, ledger, USD)
    await control(pool).pause("default", job.job_id)
    await put_budget(pool, 2 * USD)
    assert await release_pass(pool, None) == 0
    view = await control(pool).resume("default", job.job_id)
    assert view is not None
    assert view.hold_reason is not None
    assert view.hold_reason.startswith("budget_exhausted")
    assert await release_pass(pool, None) == 1


async def test_p4_a_cancelled_job_is_on_no_list(pool: Pool) -> None:
    ledger = await spent_up(pool)
    [job] = await held(pool, ledger, USD)
    await store(pool).cancel("default", job.job_id)
    assert await pool.fetchval("select count(*) from holds") == 0
    assert await pool.fetchval("select count(*) from outbox where lane < 4") == 0


async def test_p4_one_releaser_works_at_a_time(pool: Pool) -> None:
    ledger = await spent_up(pool)
    jobs = await held(pool, ledger, *[USD] * 40)
    await put_budget(pool, 21 * USD)
    moved = await asyncio.gather(*(release_pass(pool, None) for _ in range(6)))
    assert sum(moved) == 20
    assert await queued_again(pool) == ids(jobs[:20])


async def test_p4_the_releaser_hears_of_more_money(pool: Pool) -> None:
    # Given a running releaser and a job on hold
    ledger = await spent_up(pool)
    [job] = await held(pool, ledger, USD)
    wakes = ControlWakes()
    tasks = [
        asyncio.create_task(keep_hearing(pool, wakes)),
        asyncio.create_task(Releaser(pool, wakes, CollectorRegistry()).run()),
    ]
    try:
        async with asyncio.timeout(20):
            while (
                await pool.fetchval("select count(*) from pg_stat_activity where query like 'LISTEN%headrace_control%'")
                == 0
            ):
                await asyncio.sleep(0.05)
            # When money is added, it goes without anybody looking
            await put_budget(pool, 9 * USD)
            while not await queued_again(pool):
                await asyncio.sleep(0.05)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert await queued_again(pool) == [job.job_id]
