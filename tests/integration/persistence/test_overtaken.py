"""What is committed while a transaction waits for its locks, or before it comes again, is seen behind them."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID

import pytest

from common.control_ports import BudgetFilter, BudgetScope
from common.pipeline import Topic
from common.ports import DeadLetter, NewJob, Outcome, ParkedMessage, ReserveKind, Settlement, Submission
from persistence.postgres.budgets import PostgresBudgets
from persistence.postgres.control import Records
from persistence.postgres.overdue import expire_overdue
from persistence.postgres.parking import PostgresParking
from persistence.postgres.pool import Connection, Pool
from tests.integration.persistence.examples import (
    USD,
    answered,
    asking,
    control,
    make_ledger,
    new_job,
    put_budget,
    reference,
    store,
    submitted,
)

pytestmark = pytest.mark.stack

T = TypeVar("T")


async def waiting(pool: Pool, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start something and return it once it waits for a lock."""
    task = asyncio.create_task(coroutine)
    while not await pool.fetchval("select count(*) from pg_stat_activity where wait_event_type = 'Lock'"):
        await asyncio.sleep(0.01)
    return task


def failed(job: NewJob, *, not_before: float | None) -> Settlement:
    """Return a failure after which the call is made again, at a time or when the operator says so."""
    successor = ParkedMessage(
        message_id=reference(job, 2).message_id("prompts"),
        job_id=job.job_id,
        tenant_id=job.tenant_id,
        topic=Topic.PROMPTS_STANDARD,
        body=b"{}",
        not_before=not_before,
        reason="auth: the key is refused",
    )
    return replace(answered(job, 0), outcome=Outcome.FAILED, error_code="auth", retry=successor)


async def hold_reason(pool: Pool, job_id: UUID) -> str | None:
    reason: str | None = await pool.fetchval("select hold_reason from jobs where id = $1", job_id)
    return reason


@pytest.mark.parametrize("bought_before", [False, True])
async def test_p4_a_budget_made_while_a_reservation_waits_for_another_binds_it(pool: Pool, bought_before: bool) -> None:
    # Given a reservation that waits for its job's budget, decided as a whole, or row by row after an abandoned call
    [job] = await submitted(pool, budget_nanos=10 * USD)
    if bought_before:
        await (await make_ledger(pool)).reserve([asking(job, 2 * USD)])
        await pool.execute("update workers set lease_until = now() - interval '1 second'")
    ledger = await make_ledger(pool)
    async with pool.acquire() as other, other.transaction():
        await other.execute("select 1 from budgets for update")
        reserving = await waiting(pool, ledger.reserve([asking(job, 2 * USD)]))
        # When its tenant gets a limit meanwhile
        await put_budget(pool, USD)
    # Then that limit counts
    [decision] = await reserving
    assert decision.kind is ReserveKind.HELD
    assert await pool.fetchval("select count(*) from attempts where state = 0") == 0


async def test_p4_a_held_message_granted_as_another_copy_leaves_nothing_on_hold(pool: Pool) -> None:
    # Given a message on hold for money, of which there is another copy on its way
    budget = await put_budget(pool, 0)
    [job] = await submitted(pool)
    ledger = await make_ledger(pool)
    [held] = await ledger.reserve([asking(job)])
    assert held.kind is ReserveKind.HELD
    # When there is money, and the copy comes before the one on hold is let go
    await PostgresBudgets(pool).put(budget.key, 10 * USD)
    [granted] = await ledger.reserve([asking(job)])
    # Then nothing waits for what has happened
    assert granted.kind is ReserveKind.GRANTED
    assert await pool.fetchval("select count(*) from holds") == 0
    assert await pool.fetchval("select count(*) from outbox where not_before = 'infinity'") == 0


@pytest.mark.parametrize("not_before", [4_000_000_000.0, None])
async def test_p3_a_failure_of_a_call_that_was_given_to_another_worker_is_not_tried_again(
    pool: Pool, not_before: float | None
) -> None:
    # Given a call whose worker seemed dead, and that another one makes again
    [job] = await submitted(pool)
    slow, quick = await make_ledger(pool, lease_s=0.0), await make_ledger(pool)
    await slow.reserve([asking(job)])
    [again] = await quick.reserve([asking(job)])
    assert (again.kind, again.attempt) == (ReserveKind.GRANTED, 2)
    # When the first one fails
    await slow.settle([failed(job, not_before=not_before)])
    # Then there is no third call, and nobody is told that the job waits
    assert await pool.fetchval("select count(*) from outbox where topic = $1", int(Topic.PROMPTS_STANDARD)) == 0
    assert await hold_reason(pool, job.job_id) is None


async def test_a_failure_settled_again_puts_no_job_on_hold_that_was_resumed(pool: Pool) -> None:
    # Given a job that waited for the operator and was resumed
    [job] = await submitted(pool)
    ledger = await make_ledger(pool)
    await ledger.reserve([asking(job)])
    await ledger.settle([failed(job, not_before=None)])
    assert await hold_reason(pool, job.job_id) == "auth: the key is refused"
    await control(pool).resume(job.tenant_id, job.job_id)
    # When the settlement is repeated, because its outcome was not known
    await ledger.settle([failed(job, not_before=None)])
    # Then the job goes on all the same
    assert await hold_reason(pool, job.job_id) is None
    assert await pool.fetchval("select count(*) from outbox where not_before = 'infinity'") == 0


async def test_a_jobs_budget_set_while_it_is_removed_is_not_shown(pool: Pool) -> None:
    [job] = await submitted(pool, budget_nanos=USD)
    budgets = PostgresBudgets(pool)
    [budget] = await budgets.budgets(BudgetFilter(scope=BudgetScope.JOB), after=0, limit=1)
    async with pool.acquire() as other, other.transaction():
        # Given a removal that has done its work and is not committed
        await other.execute("update jobs set budget_nanos = null")
        await other.execute("delete from budgets")
        # When the limit is set meanwhile
        putting = await waiting(pool, budgets.put(budget.key, 7 * USD))
    # Then there is none to set, and the job shows none
    assert await putting is None
    assert await pool.fetchval("select budget_nanos from jobs where id = $1", job.job_id) is None


async def test_a_call_granted_while_the_sweeper_waits_for_its_job_may_end_well(pool: Pool) -> None:
    # Given a reservation that is granted just before the deadline, and committed just after it
    deadline = await pool.fetchval("select clock_timestamp() + interval '300 milliseconds'")
    job = replace(new_job(), deadline=deadline)
    await store(pool).submit([Submission((job,))])
    await pool.execute("update deadlines set look_at = $1", deadline)
    async with pool.acquire() as other, other.transaction():
        await granted(other, job)
        while await other.fetchval("select clock_timestamp() <= $1", deadline):
            await asyncio.sleep(0.02)
        # When the job is looked at in between
        sweeping = await waiting(pool, expire_overdue(pool, Records("test", 1), 10))
    # Then it is left alone
    assert await sweeping == ([], False)


async def granted(lent: Connection, job: NewJob) -> None:
    """Write what a reservation writes, under the lock that it takes."""
    await lent.execute("select 1 from jobs where id = $1 for share", job.job_id)
    await lent.execute(
        "insert into attempts (job_id, step, item, attempt, tenant_id, worker, deployment, model, price_version,"
        " prompt_hash, reserved_nanos) values ($1, 'main', 0, 1, $2, $1, 'd', 'm', 'v', 'h', 1)",
        job.job_id,
        job.tenant_id,
    )


async def test_a_redelivered_dead_letter_waits_for_its_job_before_it_takes_the_letter(pool: Pool) -> None:
    # Given a kept letter, and an operator who has locked its job to deal with it
    [job] = await submitted(pool)
    letter = DeadLetter("output_validation", "t.completions", 1, 7, b"", b"x", (), "no message", "Bad", job.job_id)
    parking = PostgresParking(pool, shards=1, source="test")
    await parking.set_aside([letter])
    async with pool.acquire() as operator, operator.transaction():
        await operator.execute("select 1 from jobs for no key update")
        # When it is delivered again
        keeping = await waiting(pool, parking.set_aside([letter]))
        # Then the letter itself is free for the operator
        assert await operator.fetchval("select count from dead_letters for update nowait") == 1
    await keeping
    assert await pool.fetchval("select count from dead_letters") == 2
