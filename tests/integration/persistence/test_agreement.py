"""What is said twice, in SQL and in Python, is the same: transitions, windows, and the reserve decision."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.control_ports import Window
from common.ids import uuid7
from common.ports import NewJob, Outcome, ReserveKind, Submission
from persistence.budget_window import window_end
from persistence.postgres.budgets import present_budgets
from persistence.postgres.ledger import PostgresLedger
from persistence.postgres.pool import Pool
from persistence.postgres.states import TRANSITIONS, AttemptState, JobState
from persistence.reserve_decision import BudgetFacts, JobFacts, decide, scopes_of
from tests.integration.persistence.examples import answered, asking, new_job, store, submitted

pytestmark = pytest.mark.stack

TIMES = st.datetimes(datetime(2020, 1, 1), datetime(2040, 12, 31), timezones=st.just(UTC))
LIMITED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


async def test_python_and_sql_agree_on_every_transition(pool: Pool) -> None:
    for before, after in product(AttemptState, AttemptState):
        told = await pool.fetchval("select attempt_may_1($1, $2)", int(before), int(after))
        assert told is (after in TRANSITIONS[before]), (before.name, after.name)


@LIMITED
@given(at=TIMES, window=st.sampled_from([Window.DAY, Window.MONTH]))
async def test_python_and_sql_agree_on_windows(pool: Pool, at: datetime, window: Window) -> None:
    end = window_end(window, at)
    assert end is not None
    starts = "select budget_window_1($1, $2), budget_window_1($1, $3), budget_window_1($1, $4)"
    row = await pool.fetchrow(starts, window.value, at, end - timedelta(microseconds=1), end)
    assert row is not None
    # One window from its start until just before its end, where the next begins
    assert row[0] == row[1] <= at
    assert row[2] == end > at


async def test_a_total_never_ends(pool: Pool) -> None:
    assert window_end(Window.TOTAL, datetime.now(UTC)) is None
    assert await pool.fetchval("select budget_window_1('total', now()) = '-infinity'")


# --- the reserve decision -----------------------------------------------------------------------------------------

AMOUNT = st.integers(0, 6)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[tuple[str, str, int, int, int, bool]], list[tuple[bool, int]]]:
    """Draw budgets (scope, window, limit, settled, reserved, stale) and items (of the batch, amount)."""
    scopes = ["tenant", "recipe", "batch"]
    places = draw(st.lists(st.sampled_from(list(product(scopes, ["total", "day", "month"]))), unique=True, max_size=5))
    budgets = [(s, w, draw(st.integers(0, 20)), draw(AMOUNT), draw(AMOUNT), draw(st.booleans())) for s, w in places]
    items = draw(st.lists(st.tuples(st.booleans(), AMOUNT), min_size=1, max_size=6))
    return budgets, items


async def _spread(pool: Pool, budgets: Sequence[tuple[str, str, int, int, int, bool]], batch_id: UUID) -> None:
    keys = {"tenant": "", "recipe": "card", "batch": str(batch_id)}
    await pool.execute("truncate budgets, attempts, holds, outbox, jobs, job_inputs, steps, usage_deltas")
    for scope, window, limit, settled, reserved, stale in budgets:
        await pool.execute(
            "insert into budgets (tenant_id, scope, scope_key, time_window, limit_nanos, settled_nanos, reserved_nanos,"
            " window_start) values ('default', $1, $2, $3, $4, $5, $6,"
            " budget_window_1($3, now()) - case when $7 then interval '40 days' else '0' end)",
            scope, keys[scope], window, limit, settled, reserved, stale,
        )  # fmt: skip


async def _budgets(pool: Pool, items: Sequence[NewJob]) -> list[BudgetFacts]:
    scopes = {scope for job in items for scope in scopes_of(asking(job))}
    async with pool.acquire() as lent:
        return (await present_budgets(lent, scopes, []))[0]


def _amounts(budgets: Sequence[BudgetFacts]) -> dict[int, tuple[int, int]]:
    return {b.budget_id: (b.settled_nanos, b.reserved_nanos) for b in budgets}


@LIMITED
@given(world=worlds())
async def test_p4_the_fast_path_grants_exactly_what_the_decision_grants_whole(
    pool: Pool, world: tuple[list[tuple[str, str, int, int, int, bool]], list[tuple[bool, int]]]
) -> None:
    # Given budgets, some of them in windows that are over, and a micro-batch
    budgets, items = world
    batch_id = uuid7()
    await _spread(pool, budgets, batch_id)
    jobs = [new_job(batch_id=batch_id if of_batch else None) for of_batch, _ in items]
    await store(pool).submit([Submission((job,)) for job in jobs])
    asked = [asking(job, amount) for job, (_, amount) in zip(jobs, items, strict=True)]
    expected = await _budgets(pool, jobs)
    facts = {job.job_id: JobFacts(JobState.OPEN, expired=False, held=False) for job in jobs}
    decided = decide(asked, facts, {}, expected, uuid7())
    # When the fast path is asked alone, it accepts what the decision accepts whole, and nothing else
    ledger = PostgresLedger(pool, worker=uuid7(), lease_s=30, shards=1, source="test")
    granted = await ledger._reserve_whole(asked)
    assert granted is all(d.kind is ReserveKind.GRANTED for d in decided.decisions)
    # And it moves the same budgets by the same amounts
    if granted:
        assert _amounts(await _budgets(pool, jobs)) == _amounts(expected)
        ids = await pool.fetch("select job_id, budget_ids from attempts")
        assert {r["job_id"]: tuple(r["budget_ids"]) for r in ids} == {i.ref.job_id: b for i, _, b in decided.granted}


@LIMITED
@given(world=worlds())
async def test_p4_the_ledger_writes_what_the_decision_says(
    pool: Pool, world: tuple[list[tuple[str, str, int, int, int, bool]], list[tuple[bool, int]]]
) -> None:
    budgets, items = world
    batch_id = uuid7()
    await _spread(pool, budgets, batch_id)
    jobs = [new_job(batch_id=batch_id if of_batch else None) for of_batch, _ in items]
    await store(pool).submit([Submission((job,)) for job in jobs])
    asked = [asking(job, amount) for job, (_, amount) in zip(jobs, items, strict=True)]
    expected = await _budgets(pool, jobs)
    facts = {job.job_id: JobFacts(JobState.OPEN, expired=False, held=False) for job in jobs}
    decided = decide(asked, facts, {}, expected, uuid7())
    # When the ledger reserves, by whichever path
    ledger = PostgresLedger(pool, worker=uuid7(), lease_s=30, shards=1, source="test")
    answers = await ledger.reserve(asked)
    # Then its answers, its budgets and its holds are those of the decision
    assert [a.kind for a in answers] == [d.kind for d in decided.decisions]
    assert _amounts(await _budgets(pool, jobs)) == _amounts(expected)
    held = await pool.fetch("select job_id, budget_id, amount_nanos from holds where released_at is null")
    assert {tuple(r) for r in held} == {(h.item.ref.job_id, h.budget_id, h.item.amount_nanos) for h in decided.held}


@pytest.mark.parametrize("outcome", list(Outcome))
async def test_no_settlement_takes_an_illegal_step(pool: Pool, outcome: Outcome) -> None:
    # Given an attempt in each state
    jobs = await submitted(pool, len(AttemptState))
    ledger = PostgresLedger(pool, worker=uuid7(), lease_s=30, shards=1, source="test")
    await ledger.reserve([asking(job) for job in jobs])
    for job, state in zip(jobs, AttemptState, strict=True):
        put = "update attempts set state = $2, cost_nanos = 1, ended_at = now() where job_id = $1"
        await pool.execute(put, job.job_id, int(state))
    # When each is settled
    await ledger.settle([replace(answered(job, 5), outcome=outcome, error_code="e") for job in jobs])
    # Then only those that may take the step have taken it
    after = AttemptState[outcome.name]
    for job, was in zip(jobs, AttemptState, strict=True):
        row = await pool.fetchrow("select state, cost_nanos from attempts where job_id = $1", job.job_id)
        assert row is not None
        assert tuple(row) == ((after, 5) if after in TRANSITIONS[was] else (was, 1)), was.name
