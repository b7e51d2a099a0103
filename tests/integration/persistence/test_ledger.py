"""The ledger on real Postgres: reserve before, settle after, one row a call."""

import asyncio
from dataclasses import replace

import pytest

from common.pipeline import Topic
from common.ports import Outcome, ParkedMessage, ReserveKind, Submission
from persistence.postgres.pool import Pool
from tests.integration.persistence.examples import (
    USD,
    answered,
    asking,
    make_ledger,
    new_job,
    put_budget,
    reference,
    store,
    submitted,
)

pytestmark = pytest.mark.stack


async def test_p3_the_row_is_committed_before_the_call(pool: Pool) -> None:
    # Given a job and a worker
    [job] = await submitted(pool)
    ledger = await make_ledger(pool)
    # When it reserves
    [decision] = await ledger.reserve([asking(job)])
    # Then the row stands, reserved whole
    assert decision.kind is ReserveKind.GRANTED
    row = await pool.fetchrow("select state, reserved_nanos, cost_nanos from attempts where job_id = $1", job.job_id)
    assert row is not None
    assert tuple(row) == (0, USD, None)


async def test_p3_a_redelivery_gets_the_stored_answer(pool: Pool) -> None:
    # Given an attempt that was answered
    [job] = await submitted(pool)
    await (first := await make_ledger(pool)).reserve([asking(job)])
    await first.settle([answered(job, 3)])
    # When its message comes again, to another worker
    [decision] = await (await make_ledger(pool)).reserve([asking(job)])
    # Then there is nothing to call
    assert decision.kind is ReserveKind.ANSWERED
    assert decision.answer is not None
    assert decision.answer.raw == b'{"answer": true}'


async def test_p3_a_copy_waits_for_a_live_lease_and_charges_a_dead_one(pool: Pool) -> None:
    # Given a call in flight at a live worker
    [job] = await submitted(pool, budget_nanos=10 * USD)
    first = await make_ledger(pool)
    await first.reserve([asking(job, 2 * USD)])
    second = await make_ledger(pool)
    # When a copy asks, it is told until when to wait
    [leased] = await second.reserve([asking(job, 2 * USD)])
    assert leased.kind is ReserveKind.LEASED
    assert leased.until is not None
    # And when the worker's lease has ended, the attempt is unknown, charged whole, and the next one is made
    await pool.execute("update workers set lease_until = now() - interval '1 second'")
    await second.renew_lease()
    [granted] = await second.reserve([asking(job, 2 * USD)])
    assert (granted.kind, granted.attempt) == (ReserveKind.GRANTED, 2)
    states = await pool.fetch("select attempt, state, cost_nanos from attempts order by attempt")
    assert [tuple(row) for row in states] == [(1, 3, 2 * USD), (2, 0, None)]
    budget = await pool.fetchrow("select settled_nanos, reserved_nanos from budgets")
    assert budget is not None
    assert tuple(budget) == (2 * USD, 2 * USD)


async def test_p4_an_attempt_starts_when_it_is_granted_not_when_it_began_to_wait(pool: Pool) -> None:
    # Given a reservation that waits for the row of an empty budget, which somebody is about to fill
    budget = await put_budget(pool, 0)
    [job] = await submitted(pool)
    ledger = await make_ledger(pool)
    async with pool.acquire() as operator, operator.transaction():
        await operator.execute("update budgets set limit_nanos = $2 where id = $1", budget.budget_id, 10 * USD)
        waiting = asyncio.create_task(ledger.reserve([asking(job, USD)]))
        while not await pool.fetchval("select count(*) from pg_stat_activity where wait_event_type = 'Lock'"):
            await asyncio.sleep(0.01)
        filled_at = await operator.fetchval("select clock_timestamp()")
    # When the money is there
    [granted] = await waiting
    # Then that is when the attempt starts: nothing starts while nothing is left to spend
    assert granted.kind is ReserveKind.GRANTED
    assert await pool.fetchval("select started_at from attempts") > filled_at


@pytest.mark.parametrize("table", ["jobs", "budgets"])
async def test_p8_a_reservation_that_waits_past_the_deadline_is_too_late(pool: Pool, table: str) -> None:
    # Given a job with a deadline, and somebody who keeps a row that its reservation needs
    await put_budget(pool, 10 * USD)
    deadline = await pool.fetchval("select clock_timestamp() + interval '500 milliseconds'")
    job = replace(new_job(), deadline=deadline)
    await store(pool).submit([Submission((job,))])
    ledger = await make_ledger(pool)
    async with pool.acquire() as other, other.transaction():
        await other.execute(f"select 1 from {table} for update")
        waiting = asyncio.create_task(ledger.reserve([asking(job, USD)]))
        # When the row is free again only after the deadline
        while await other.fetchval("select clock_timestamp() <= $1", deadline):
            await asyncio.sleep(0.02)
    # Then no call starts
    [decision] = await waiting
    assert decision.kind is ReserveKind.EXPIRED
    assert await pool.fetchval("select count(*) from attempts") == 0


async def test_a_late_answer_settles_the_unknown_row(pool: Pool) -> None:
    # Given an attempt abandoned by a dead worker and charged whole
    [job] = await submitted(pool, budget_nanos=10 * USD)
    first = await make_ledger(pool)
    await first.reserve([asking(job, 2 * USD)])
    await pool.execute("update workers set lease_until = now() - interval '1 second'")
    await (await make_ledger(pool)).reserve([asking(job, 2 * USD)])
    # When its answer comes after all
    await first.settle([answered(job, USD)])
    # Then the row is answered and the budget has the difference back
    row = await pool.fetchrow("select state, cost_nanos from attempts where attempt = 1")
    assert row is not None
    assert tuple(row) == (1, USD)
    budget = await pool.fetchrow("select settled_nanos, reserved_nanos from budgets")
    assert budget is not None
    assert tuple(budget) == (USD, 2 * USD)


async def test_settling_twice_is_settling_once(pool: Pool) -> None:
    [job] = await submitted(pool, budget_nanos=10 * USD)
    ledger = await make_ledger(pool)
    await ledger.reserve([asking(job)])
    # When a settlement is repeated because its outcome was not known
    await ledger.settle([answered(job, 5)])
    await ledger.settle([answered(job, 5)])
    # Then it counts once
    budget = await pool.fetchrow("select settled_nanos, reserved_nanos from budgets")
    assert budget is not None
    assert tuple(budget) == (5, 0)


async def test_a_failed_attempt_parks_its_successor_in_the_same_transaction(pool: Pool) -> None:
    [job] = await submitted(pool)
    ledger = await make_ledger(pool)
    await ledger.reserve([asking(job)])
    successor = ParkedMessage(
        message_id=reference(job, 2).message_id("prompts"),
        job_id=job.job_id,
        tenant_id=job.tenant_id,
        topic=Topic.PROMPTS_STANDARD,
        body=b"{}",
        not_before=4_000_000_000.0,
        reason="rate_limited",
    )
    failed = replace(answered(job, 0), outcome=Outcome.FAILED, error_code="rate_limited", retry=successor)
    # When the call fails for now
    await ledger.settle([failed])
    # Then the successor waits, and the message that comes again leads nowhere
    assert await pool.fetchval("select not_before > now() from outbox where id = $1", successor.message_id)
    [decision] = await ledger.reserve([asking(job)])
    assert decision.kind is ReserveKind.SUPERSEDED


async def test_the_last_failure_is_told_again_to_a_redelivery(pool: Pool) -> None:
    [job] = await submitted(pool)
    ledger = await make_ledger(pool)
    await ledger.reserve([asking(job)])
    await ledger.settle([replace(answered(job, 0), outcome=Outcome.FAILED, error_code="invalid_request")])
    [decision] = await ledger.reserve([asking(job)])
    assert (decision.kind, decision.reason) == (ReserveKind.FAILED, "invalid_request")


async def test_p8_no_call_starts_after_a_cancel(pool: Pool) -> None:
    [job] = await submitted(pool)
    view = await store(pool).cancel(job.tenant_id, job.job_id)
    assert view is not None
    assert view.state == "cancelled"
    [decision] = await (await make_ledger(pool)).reserve([asking(job)])
    assert decision.kind is ReserveKind.CLOSED
    assert await pool.fetchval("select count(*) from attempts") == 0


async def test_p4_an_exhausted_budget_holds_and_outstanding_reservations_wait(pool: Pool) -> None:
    # Given a budget of 3 USD with 2 of them reserved
    first, second, third = await submitted(pool, 3)
    await pool.execute("insert into budgets (tenant_id, scope, limit_nanos) values ('default', 'tenant', $1)", 3 * USD)
    ledger = await make_ledger(pool)
    await ledger.reserve([asking(first, 2 * USD)])
    # When another call of 2 USD asks, it waits: the first may cost less than it reserved
    [waiting] = await ledger.reserve([asking(second, 2 * USD)])
    assert waiting.kind is ReserveKind.WAIT
    # And when the first has cost 2 USD, the call is held, its message kept, its job and an event say why
    await ledger.settle([answered(first, 2 * USD)])
    [held] = await ledger.reserve([asking(second, 2 * USD)])
    assert held.kind is ReserveKind.HELD
    view = await store(pool).job("default", second.job_id)
    assert view is not None
    assert view.state == "held"
    assert view.hold_reason is not None
    assert view.hold_reason.startswith("budget_exhausted")
    waiting_for = await pool.fetchval(
        "select not_before::text from outbox where job_id = $1 and lane = 3", second.job_id
    )
    assert waiting_for == "infinity"
    assert await pool.fetchval("select count(*) from outbox where job_id = $1 and lane = 4", second.job_id) == 1
    # While a smaller call still fits
    [granted] = await ledger.reserve([asking(third, USD)])
    assert granted.kind is ReserveKind.GRANTED


async def test_p4_concurrent_spenders_never_pass_the_limit(pool: Pool) -> None:
    # Given money for exactly 37 of 120 calls
    jobs = await submitted(pool, 120)
    await pool.execute("insert into budgets (tenant_id, scope, limit_nanos) values ('default', 'tenant', $1)", 37 * USD)
    ledgers = [await make_ledger(pool) for _ in range(4)]
    # When four workers reserve in micro-batches
    batches = [jobs[start : start + 8] for start in range(0, len(jobs), 8)]
    answers = await asyncio.gather(
        *(ledgers[n % 4].reserve([asking(job) for job in batch]) for n, batch in enumerate(batches))
    )
    # Then exactly 37 may call, and the rest wait for them
    kinds = [decision.kind for batch in answers for decision in batch]
    assert kinds.count(ReserveKind.GRANTED) == 37
    assert kinds.count(ReserveKind.WAIT) == 83
    assert await pool.fetchval("select reserved_nanos from budgets") == 37 * USD


async def test_a_copy_of_a_call_that_this_worker_makes_is_in_flight(pool: Pool) -> None:
    [job] = await submitted(pool)
    ledger = await make_ledger(pool)
    await ledger.reserve([asking(job)])
    [decision] = await ledger.reserve([asking(job)])
    assert decision.kind is ReserveKind.IN_FLIGHT


async def test_attempts_end_at_the_recipes_limit(pool: Pool) -> None:
    [job] = await submitted(pool)
    [decision] = await (await make_ledger(pool)).reserve([asking(job, attempt=5, max_attempts=4)])
    assert (decision.kind, decision.reason) == (ReserveKind.FAILED, "attempts_exhausted")
