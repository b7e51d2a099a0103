"""Accepting jobs on real Postgres: all or nothing, and once a key."""

import asyncio
import hashlib
from uuid import UUID

import asyncpg
import pytest

from common.contracts import Step, decode
from common.ids import uuid7
from common.ports import IdempotencyClaim, Submission, SubmitKind
from persistence.postgres import jobs
from persistence.postgres.pool import Pool
from tests.integration.persistence.examples import USD, answered, asking, make_ledger, new_job, store, submitted

pytestmark = pytest.mark.stack


def claimed(key: str, body: bytes, tenant: str = "default") -> Submission:
    job = new_job(tenant)
    return Submission((job,), IdempotencyClaim(tenant, key, hashlib.sha256(body).digest(), job.job_id))


async def test_a_job_is_accepted_with_its_input_step_and_message(pool: Pool) -> None:
    # Given a job
    job = new_job(budget_nanos=5)
    # When it is submitted
    [result] = await store(pool).submit([Submission((job,))])
    # Then everything about it was committed together
    assert (result.kind, result.target_id) == (SubmitKind.CREATED, job.job_id)
    view = await store(pool).job("default", job.job_id)
    assert view is not None
    assert (view.state, view.recipe, view.budget_nanos, view.tags) == ("queued", "card@1.0.0", 5, ())
    assert await pool.fetchval("select body from job_inputs") == b'{"n": 1}'
    message = decode(Step, await pool.fetchval("select body from outbox"))
    assert (message.job_id, message.input, message.budgeted) == (job.job_id, '{"n": 1}', True)
    assert await pool.fetchval("select scope_key from budgets") == str(job.job_id)


async def test_p7_the_same_key_and_body_is_the_same_job(pool: Pool) -> None:
    first, again, other = claimed("k", b"a"), claimed("k", b"a"), claimed("k", b"b")
    [created] = await store(pool).submit([first])
    results = await store(pool).submit([again, other])
    assert created.kind is SubmitKind.CREATED
    assert [r.kind for r in results] == [SubmitKind.REPEATED, SubmitKind.CONFLICT]
    assert {r.target_id for r in results} == {created.target_id}
    assert await pool.fetchval("select count(*) from jobs") == 1


async def test_p7_what_a_key_stands_for_can_be_seen_without_submitting(pool: Pool) -> None:
    first, other = claimed("k", b"a"), claimed("k", b"b")
    assert first.claim is not None
    assert other.claim is not None
    assert await store(pool).claimed(first.claim) is None
    [created] = await store(pool).submit([first])

    found = [await store(pool).claimed(claim) for claim in (first.claim, other.claim)]

    assert [each.kind if each else None for each in found] == [SubmitKind.REPEATED, SubmitKind.CONFLICT]
    assert {each.target_id if each else None for each in found} == {created.target_id}


async def test_p7_keys_of_two_tenants_are_two_keys(pool: Pool) -> None:
    results = await store(pool).submit([claimed("k", b"a", "one"), claimed("k", b"a", "two")])
    assert [r.kind for r in results] == [SubmitKind.CREATED, SubmitKind.CREATED]


async def test_p7_concurrent_repeats_make_one_job(pool: Pool) -> None:
    # Given 200 submissions of one key and body, in flushes of ten
    flushes = [[claimed("k", b"a") for _ in range(10)] for _ in range(20)]
    # When they race
    answers = await asyncio.gather(*(store(pool).submit(flush) for flush in flushes))
    # Then one made the job and all name it
    results = [result for answer in answers for result in answer]
    assert [r.kind for r in results].count(SubmitKind.CREATED) == 1
    assert len({r.target_id for r in results}) == 1
    assert await pool.fetchval("select count(*) from jobs") == 1


async def test_a_batch_is_all_or_nothing(pool: Pool) -> None:
    # Given a batch of which one job cannot be stored
    batch_id = uuid7()
    good, bad = new_job(batch_id=batch_id), new_job("nul\x00tenant", batch_id=batch_id)
    # When it is submitted
    with pytest.raises(asyncpg.PostgresError):
        await store(pool).submit([Submission((good, bad), batch_id=batch_id)])
    # Then nothing of it is there
    assert await pool.fetchval("select count(*) from jobs") == 0
    assert await pool.fetchval("select count(*) from batches") == 0


async def test_batches_count_their_jobs(pool: Pool) -> None:
    batch_id = uuid7()
    jobs = tuple(new_job(batch_id=batch_id) for _ in range(3))
    await store(pool).submit([Submission(jobs, batch_id=batch_id)])
    await store(pool).cancel("default", jobs[0].job_id)
    view = await store(pool).batch("default", batch_id)
    assert view is not None
    assert (view.total, dict(view.states)) == (3, {"open": 2, "cancelled": 1})
    assert await store(pool).batch("other", batch_id) is None


async def test_p4_a_batch_costs_what_its_jobs_cost_whatever_their_state(pool: Pool) -> None:
    # Given a batch of which one job is open with a call paid, and one was cancelled with a call in flight
    batch_id = uuid7()
    running, stopped, fresh = (new_job(batch_id=batch_id) for _ in range(3))
    await store(pool).submit([Submission((running, stopped, fresh), batch_id=batch_id)])
    ledger = await make_ledger(pool)
    await ledger.reserve([asking(running, 2 * USD), asking(stopped, 2 * USD)])
    await ledger.settle([answered(running, USD)])
    await store(pool).cancel("default", stopped.job_id)

    async def costs() -> tuple[int, int]:
        batch = await store(pool).batch("default", batch_id)
        views = [await store(pool).job("default", job.job_id) for job in (running, stopped, fresh)]
        assert batch is not None
        return batch.cost_nanos, sum(view.cost_nanos for view in views if view is not None)

    # Then the batch tells the same as its jobs, before that call is settled and after it
    assert await costs() == (USD, USD)
    await ledger.settle([answered(stopped, USD // 2)])
    assert await costs() == (USD + USD // 2, USD + USD // 2)


async def test_another_tenants_job_is_not_there(pool: Pool) -> None:
    job = new_job("one")
    await store(pool).submit([Submission((job,))])
    theirs = store(pool)
    assert await theirs.job("two", job.job_id) is None
    assert await theirs.attempts("two", job.job_id) is None
    assert await theirs.cancel("two", job.job_id) is None
    assert await theirs.jobs("two", state=None, recipe=None, before=None, limit=10) == ([], None)


async def test_jobs_are_listed_newest_first_by_keyset(pool: Pool) -> None:
    jobs = [new_job() for _ in range(5)]
    for job in jobs:
        await store(pool).submit([Submission((job,))])
    newest = sorted((job.job_id for job in jobs), reverse=True)

    async def page(before: UUID | None) -> tuple[list[UUID], UUID | None]:
        found, rest = await store(pool).jobs("default", state="queued", recipe="card", before=before, limit=2)
        return [view.job_id for view in found], rest

    assert await page(None) == (newest[:2], newest[1])
    assert await page(newest[1]) == (newest[2:4], newest[3])
    assert await page(newest[3]) == (newest[4:], None)
    assert await page(newest[4]) == ([], None)


async def test_a_listing_with_a_filter_looks_at_a_bounded_stretch_and_says_where_to_go_on(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "LOOKED_AT_JOBS", 3)
    ids = sorted((job.job_id for job in await submitted(pool, 8)), reverse=True)
    for job_id in (ids[0], ids[7]):
        await store(pool).cancel("default", job_id)

    async def page(before: UUID | None, state: str | None = "cancelled") -> tuple[list[UUID], UUID | None]:
        found, rest = await store(pool).jobs("default", state=state, recipe=None, before=before, limit=5)
        return [view.job_id for view in found], rest

    assert await page(None) == (ids[:1], ids[2])
    assert await page(ids[2]) == ([], ids[5])
    assert await page(ids[5]) == (ids[7:], None)
    assert await page(None, state=None) == (ids[:5], ids[4])


async def test_a_cancelled_job_leaves_the_queue_and_says_so_once(pool: Pool) -> None:
    job = new_job()
    await store(pool).submit([Submission((job,))])
    await store(pool).cancel("default", job.job_id)
    again = await store(pool).cancel("default", job.job_id)
    assert again is not None
    assert again.state == "cancelled"
    rows = await pool.fetch("select lane, topic from outbox")
    assert [tuple(row) for row in rows] == [(4, 9)]


async def test_a_batch_of_ten_thousand_has_time_to_commit(pool: Pool) -> None:
    # Given a session whose own limit is short
    assert await pool.fetchval("show statement_timeout") == "3s"
    batch_id = uuid7()
    jobs = tuple(new_job(batch_id=batch_id) for _ in range(10_000))
    # When ten thousand jobs are submitted at once
    [result] = await store(pool).submit([Submission(jobs, batch_id=batch_id)])
    # Then all are there
    assert result.kind is SubmitKind.CREATED
    assert await pool.fetchval("select count(*) from jobs") == 10_000
