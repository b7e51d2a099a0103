"""The state machine of attempts on real Postgres: late answers, calls bought again, what they add to usage."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from common.control_ports import UsageGroup, UsageRow
from common.ports import NewJob, Outcome, ReserveKind
from persistence.postgres.ledger import PostgresLedger
from persistence.postgres.pool import Pool
from persistence.postgres.usage import PostgresUsage, fold_usage
from tests.integration.persistence.examples import (
    USD,
    answered,
    asking,
    make_ledger,
    put_budget,
    store,
    submitted,
)

pytestmark = pytest.mark.stack


async def money(pool: Pool) -> tuple[int, int]:
    """Return what the one budget has settled and reserved."""
    row = await pool.fetchrow("select settled_nanos, reserved_nanos from budgets")
    assert row is not None
    return row[0], row[1]


async def used(pool: Pool, tenant: str | None = "default") -> UsageRow:
    """Return the usage of all time."""
    far = datetime(2100, 1, 1, tzinfo=UTC).date()
    [row] = await PostgresUsage(pool).usage(tenant, datetime(2000, 1, 1, tzinfo=UTC).date(), far, frozenset())
    return row


async def kill(pool: Pool, seconds_ago: int = 1) -> None:
    """End every lease."""
    await pool.execute("update workers set lease_until = now() - $1 * interval '1 second'", seconds_ago)


async def bought_again(pool: Pool, job: NewJob) -> tuple[PostgresLedger, PostgresLedger]:
    """Let one worker die in a call of 2 USD, and another make it again."""
    first = await make_ledger(pool)
    await first.reserve([asking(job, 2 * USD)])
    await kill(pool)
    second = await make_ledger(pool)
    [decision] = await second.reserve([asking(job, 2 * USD)])
    assert (decision.kind, decision.attempt, decision.rebought) == (ReserveKind.GRANTED, 2, True)
    return first, second


async def test_p3_a_late_answer_settles_its_own_row_after_a_newer_attempt_was_answered(pool: Pool) -> None:
    # Given a call that was made again, the second answered
    [job] = await submitted(pool, budget_nanos=10 * USD)
    first, second = await bought_again(pool, job)
    await second.settle([answered(job, USD, attempt=2)])
    assert await money(pool) == (3 * USD, 0)
    # When the answer to the first comes after all
    await first.settle([answered(job, USD // 2)])
    # Then each row has its own cost, and the budget is the sum of both
    rows = await pool.fetch("select attempt, state, cost_nanos from attempts order by attempt")
    assert [tuple(row) for row in rows] == [(1, 1, USD // 2), (2, 1, USD)]
    assert await money(pool) == (USD + USD // 2, 0)
    # And settling either again changes nothing
    await first.settle([answered(job, 9)])
    await second.settle([answered(job, 9, attempt=2)])
    assert await money(pool) == (USD + USD // 2, 0)


async def test_p3_calls_bought_again_are_counted_once_and_shown_in_usage(pool: Pool) -> None:
    [job] = await submitted(pool)
    first, second = await bought_again(pool, job)
    usage = await used(pool)
    assert (usage.attempts, usage.unknown, usage.rebought, usage.cost_nanos) == (1, 1, 1, 2 * USD)
    assert usage.estimated_nanos == 2 * USD
    # When both answers come, the late one too
    await second.settle([answered(job, USD, attempt=2)])
    await first.settle([answered(job, USD)])
    # Then nothing is an estimate any more, and one call was still bought again
    usage = await used(pool)
    assert (usage.attempts, usage.answered, usage.unknown, usage.rebought) == (2, 2, 0, 1)
    assert (usage.cost_nanos, usage.estimated_nanos) == (2 * USD, 0)
    assert (usage.input_tokens, usage.output_tokens) == (20, 10)


async def test_a_call_made_again_later_counts_as_bought_again(pool: Pool) -> None:
    # Given a call lost with its worker, whose successor has to wait for money in flight
    first, second = await submitted(pool, 2)
    dead = await make_ledger(pool)
    await dead.reserve([asking(first, 2 * USD)])
    await kill(pool)
    alive = await make_ledger(pool)
    await alive.reserve([asking(second, 2 * USD)])
    await put_budget(pool, USD)
    [held] = await alive.reserve([asking(first, 2 * USD)])
    assert held.kind is ReserveKind.HELD
    # When it may be made
    await put_budget(pool, 10 * USD)
    [granted] = await alive.reserve([asking(first, 2 * USD)])
    # Then it is a call bought again, though its predecessor was charged before
    assert (granted.kind, granted.attempt, granted.rebought) == (ReserveKind.GRANTED, 2, True)


async def test_a_retry_after_a_known_failure_is_not_bought_again(pool: Pool) -> None:
    [job] = await submitted(pool)
    ledger = await make_ledger(pool)
    await ledger.reserve([asking(job)])
    failed = replace(answered(job, 0), outcome=Outcome.FAILED, error_code="rate_limited")
    await ledger.settle([failed])
    [granted] = await ledger.reserve([asking(job, attempt=2)])
    assert (granted.kind, granted.rebought) == (ReserveKind.GRANTED, False)


async def test_two_copies_of_an_abandoned_call_charge_it_once(pool: Pool) -> None:
    [job] = await submitted(pool, budget_nanos=10 * USD)
    await (await make_ledger(pool)).reserve([asking(job, 2 * USD)])
    await kill(pool)
    alive = await make_ledger(pool)
    decisions = await alive.reserve([asking(job, 2 * USD), asking(job, 2 * USD)])
    assert [d.kind for d in decisions] == [ReserveKind.GRANTED, ReserveKind.IN_FLIGHT]
    assert await money(pool) == (2 * USD, 2 * USD)
    assert (await used(pool)).unknown == 1


async def test_a_dead_workers_call_of_a_cancelled_job_is_charged_when_its_message_comes_again(pool: Pool) -> None:
    [job] = await submitted(pool, budget_nanos=10 * USD)
    await (await make_ledger(pool)).reserve([asking(job, 2 * USD)])
    await store(pool).cancel(job.tenant_id, job.job_id)
    await kill(pool)
    [closed] = await (await make_ledger(pool)).reserve([asking(job, 2 * USD)])
    assert closed.kind is ReserveKind.CLOSED
    assert await money(pool) == (2 * USD, 0)


async def test_folding_changes_no_sum(pool: Pool) -> None:
    for _ in range(3):
        [job] = await submitted(pool)
        await bought_again(pool, job)
    before = await used(pool)
    assert await fold_usage(pool, 2) == 2
    assert await used(pool) == before
    while await fold_usage(pool, 2):
        pass
    assert await used(pool) == before
    assert await pool.fetchval("select count(*) from usage_deltas") == 0
    assert await pool.fetchval("select count(*) from usage_days") == 1


async def test_usage_is_the_sum_of_the_ledger_by_tenant_recipe_and_day(pool: Pool) -> None:
    jobs = await submitted(pool, 5)
    ledger = await make_ledger(pool)
    await ledger.reserve([asking(job) for job in jobs])
    await ledger.settle([answered(job, 3 + n) for n, job in enumerate(jobs)])
    today = datetime.now(UTC).date()
    everything = frozenset(UsageGroup)
    rows = await PostgresUsage(pool).usage(None, today, today, everything)
    charged = await pool.fetchval("select sum(cost_nanos) from attempts")
    assert [(r.tenant_id, r.recipe, r.cost_nanos) for r in rows] == [("default", "card@1.0.0", charged)]
    assert await PostgresUsage(pool).usage("other", today, today, everything) == []
