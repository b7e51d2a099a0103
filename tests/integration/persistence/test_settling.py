"""Calls settled together on real Postgres: what cannot be stored of one takes no other along."""

import asyncio
from dataclasses import replace

import pytest

from common.ports import ReserveKind
from model_layer.settling import UNSTORABLE, Settling
from persistence.postgres.pool import Pool
from tests.integration.persistence.examples import USD, answered, asking, make_ledger, submitted

pytestmark = pytest.mark.stack


async def test_p3_an_answer_that_cannot_be_stored_is_charged_and_never_bought_again(pool: Pool) -> None:
    # Given calls under way, one of which comes back with more tokens than a row can hold
    jobs = await submitted(pool, 8, budget_nanos=10 * USD)
    ledger = await make_ledger(pool)
    await ledger.reserve([asking(job, 2 * USD) for job in jobs])
    settlements = [answered(job, USD) for job in jobs]
    settlements[3] = replace(settlements[3], input_tokens=2**40)
    # When they are settled together
    settling = Settling(ledger, most=64)
    results = await asyncio.gather(*(settling.settle(item) for item in settlements), return_exceptions=True)
    # Then the others are, and it is known to be paid for
    assert [n for n, result in enumerate(results) if result is not None] == [3]
    rows = await pool.fetch("select job_id, state, cost_nanos, error_code from attempts")
    found = {row["job_id"]: tuple(row)[1:] for row in rows}
    assert found.pop(jobs[3].job_id) == (3, USD, UNSTORABLE)
    assert set(found.values()) == {(1, USD, None)}
    assert await pool.fetchval("select sum(reserved_nanos) from budgets") == 0
    # And its message, replayed, makes no other call
    [decision] = await ledger.reserve([asking(jobs[3], 2 * USD)])
    assert decision.kind is ReserveKind.FAILED
