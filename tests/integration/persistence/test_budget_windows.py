"""Windows and limits of budgets on real Postgres. A window is over when its row stands in an earlier one."""

import pytest

from common.control_ports import BudgetFilter, BudgetKey, BudgetScope, Window
from common.ids import uuid7
from common.ports import ReserveKind, Submission
from persistence.postgres.budgets import PostgresBudgets
from persistence.postgres.pool import Pool
from tests.integration.persistence.examples import (
    USD,
    answered,
    asking,
    make_ledger,
    new_job,
    put_budget,
    store,
    submitted,
)

pytestmark = pytest.mark.stack


async def yesterday(pool: Pool) -> None:
    """Move every budget into the window before: what comes next rolls it over."""
    await pool.execute("update budgets set window_start = window_start - interval '40 days'")


async def amounts(pool: Pool) -> tuple[int, int]:
    """Return what the one budget has settled, in its present window, and reserved."""
    [view] = await PostgresBudgets(pool).budgets(BudgetFilter(), after=0, limit=10)
    return view.settled_nanos, view.reserved_nanos


async def test_p4_a_new_window_begins_with_nothing_settled_and_what_is_reserved(pool: Pool) -> None:
    # Given a daily budget of 3 USD with 2 settled and 1 reserved
    await put_budget(pool, 3 * USD, window="day")
    first, second, third, fourth = await submitted(pool, 4)
    ledger = await make_ledger(pool)
    await ledger.reserve([asking(first, 2 * USD), asking(second, USD)])
    await ledger.settle([answered(first, 2 * USD)])
    assert await amounts(pool) == (2 * USD, USD)
    # When its day is over, it shows so before anybody writes it
    await yesterday(pool)
    assert await amounts(pool) == (0, USD)
    # And what is still reserved counts against the new day
    [granted, waiting] = await ledger.reserve([asking(third, 2 * USD), asking(fourth, USD)])
    assert (granted.kind, waiting.kind) == (ReserveKind.GRANTED, ReserveKind.WAIT)
    assert await amounts(pool) == (0, 3 * USD)
    # And a call settles in the window in which it settles
    await ledger.settle([answered(second, USD)])
    assert await amounts(pool) == (USD, 2 * USD)


@pytest.mark.parametrize("window", ["day", "month"])
async def test_p4_a_settle_rolls_the_window_too(pool: Pool, window: str) -> None:
    await put_budget(pool, 9 * USD, window=window)
    first, second = await submitted(pool, 2)
    ledger = await make_ledger(pool)
    await ledger.reserve([asking(first, USD), asking(second, USD)])
    await ledger.settle([answered(first, USD)])
    await yesterday(pool)
    await ledger.settle([answered(second, USD // 4)])
    assert await amounts(pool) == (USD // 4, 0)


async def test_a_total_never_rolls(pool: Pool) -> None:
    await put_budget(pool, 9 * USD)
    [job] = await submitted(pool)
    ledger = await make_ledger(pool)
    await ledger.reserve([asking(job, USD)])
    await ledger.settle([answered(job, USD)])
    await yesterday(pool)
    assert await amounts(pool) == (USD, 0)


async def test_p4_a_late_answer_gives_nothing_back_to_a_window_that_did_not_pay(pool: Pool) -> None:
    # Given a call charged whole yesterday, because its worker died, and one charged today
    await put_budget(pool, 10 * USD, window="day")
    old, new = await submitted(pool, 2)
    dead = await make_ledger(pool)
    await dead.reserve([asking(old, 4 * USD), asking(new, 4 * USD)])
    await pool.execute("update workers set lease_until = now() - interval '1 second'")
    alive = await make_ledger(pool)
    await alive.reserve([asking(old, 0)])
    await pool.execute("update attempts set ended_at = ended_at - interval '1 day' where state = 3")
    await yesterday(pool)
    await alive.reserve([asking(new, 0)])
    assert await amounts(pool) == (4 * USD, 0)
    # When both answer late, for 1 USD each, only today's charge is corrected
    await dead.settle([answered(old, USD)])
    assert await amounts(pool) == (4 * USD, 0)
    await dead.settle([answered(new, USD)])
    assert await amounts(pool) == (USD, 0)


async def test_p4_nested_budgets_hold_by_the_one_that_is_exhausted_and_name_it(pool: Pool) -> None:
    # Given a rich tenant, a recipe with 3 USD a month and a job with 2 USD
    await put_budget(pool, 100 * USD)
    await put_budget(pool, 3 * USD, "recipe", "card", "month")
    [job] = await submitted(pool, budget_nanos=2 * USD)
    [other] = await submitted(pool)
    ledger = await make_ledger(pool)
    # When calls pass the job's limit, and the recipe's
    [of_job] = await ledger.reserve([asking(job, 3 * USD)])
    [of_recipe] = await ledger.reserve([asking(other, 4 * USD)])
    # Then each hold names the budget and what would release it
    assert (of_job.kind, of_recipe.kind) == (ReserveKind.HELD, ReserveKind.HELD)
    assert of_job.reason == (
        "budget_exhausted: the job's budget of 2 USD has 2 left; this call may cost up to 3. It goes on when the limit"
        " is raised"
    )
    assert of_recipe.reason is not None
    assert of_recipe.reason.startswith("budget_exhausted: the recipe's budget of 3 USD a month has 3 left")
    # And one that fits both passes
    [granted] = await ledger.reserve([asking(job, 2 * USD)])
    assert granted.kind is ReserveKind.GRANTED


async def test_a_daily_hold_says_until_when(pool: Pool) -> None:
    await put_budget(pool, 3 * USD, window="day")
    first, second = await submitted(pool, 2)
    ledger = await make_ledger(pool)
    await ledger.reserve([asking(first, 3 * USD)])
    await ledger.settle([answered(first, 3 * USD)])
    [held] = await ledger.reserve([asking(second, USD)])
    midnight = await pool.fetchval(
        "select to_char(date_trunc('day', now() + interval '1 day', 'UTC') at time zone 'UTC', 'YYYY-MM-DD')"
    )
    assert held.reason is not None
    assert held.reason.endswith(f"or at {midnight} 00:00 UTC")


async def test_a_limit_of_nothing_stops_everything_that_costs(pool: Pool) -> None:
    await put_budget(pool, 0)
    dear, free = await submitted(pool, 2)
    ledger = await make_ledger(pool)
    decisions = await ledger.reserve([asking(dear, 1), asking(free, 0)])
    assert [d.kind for d in decisions] == [ReserveKind.HELD, ReserveKind.GRANTED]


async def test_budgets_are_set_shown_and_removed(pool: Pool) -> None:
    budgets = PostgresBudgets(pool)
    view = await put_budget(pool, 5 * USD, "recipe", "card", "day")
    assert (view.limit_nanos, view.settled_nanos, view.held_jobs) == (5 * USD, 0, 0)
    assert view.window_end is not None
    # Raising it keeps its identity and what it counts
    again = await put_budget(pool, 6 * USD, "recipe", "card", "day")
    assert (again.budget_id, again.limit_nanos) == (view.budget_id, 6 * USD)
    assert [b.limit_nanos for b in await budgets.budgets(BudgetFilter("default"), after=0, limit=9)] == [6 * USD]
    assert await budgets.budgets(BudgetFilter("other"), after=0, limit=9) == []
    assert await budgets.remove(view.key)
    assert not await budgets.remove(view.key)


async def test_budgets_of_jobs_are_listed_when_asked_for_and_only_those_can_be_set(pool: Pool) -> None:
    budgets = PostgresBudgets(pool)
    [job] = await submitted(pool, budget_nanos=USD)
    [free] = await submitted(pool)
    assert await budgets.budgets(BudgetFilter(), after=0, limit=9) == []
    [of_job] = await budgets.budgets(BudgetFilter(scope=BudgetScope.JOB), after=0, limit=9)
    assert of_job.key.key == str(job.job_id)
    assert await budgets.put(BudgetKey("default", BudgetScope.JOB, str(free.job_id), Window.TOTAL), USD) is None
    assert await budgets.put(BudgetKey("default", BudgetScope.JOB, str(uuid7()), Window.TOTAL), USD) is None
    assert await budgets.put(of_job.key, 7 * USD) is not None
    shown = await store(pool).job("default", job.job_id)
    assert shown is not None
    assert shown.budget_nanos == 7 * USD


async def test_p4_a_budget_of_a_batch_that_the_tenant_does_not_have_is_refused(pool: Pool) -> None:
    # Given a tenant's batch
    batch_id = uuid7()
    await store(pool).submit([Submission((new_job(batch_id=batch_id),), batch_id=batch_id)])
    budgets = PostgresBudgets(pool)

    async def put(tenant: str, key: str) -> bool:
        return await budgets.put(BudgetKey(tenant, BudgetScope.BATCH, key, Window.TOTAL), USD) is not None

    # Then it can have a limit, which can be changed, and neither another tenant's nor an unknown one can
    assert await put("default", str(batch_id))
    assert await put("default", str(batch_id))
    assert not await put("other", str(batch_id))
    assert not await put("default", str(uuid7()))
    assert await pool.fetchval("select count(*) from budgets") == 1
