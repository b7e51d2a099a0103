"""P8 and job control on real Postgres: cancel, pause, resume and retry of one job."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from common.contracts import Step, decode
from common.ids import uuid7
from common.pipeline import Topic
from common.ports import Outcome, ParkedMessage, ReserveKind, Submission
from persistence.postgres.parking import PostgresParking
from persistence.postgres.pool import Pool
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

TENANT = "default"


async def queue(pool: Pool) -> list[tuple[object, ...]]:
    """Return what waits in the queue: topic, and whether it may go."""
    rows = await pool.fetch(
        "select topic, not_before is null or not_before <= now() as ready from outbox where lane < 4 order by topic"
    )
    return [tuple(row) for row in rows]


async def events(pool: Pool) -> list[str]:
    rows = await pool.fetch("select body from outbox where lane = 4 order by rev")
    return [orjson.loads(row["body"])["type"].rpartition(".")[2] for row in rows]


async def test_p8_no_call_starts_after_a_pause(pool: Pool) -> None:
    # Given a job in the queue, paused
    [job] = await submitted(pool)
    view = await control(pool).pause(TENANT, job.job_id)
    assert view is not None
    assert (view.state, view.hold_reason) == ("held", "paused")
    # Then its step does not travel, and a prompt that travels already is set aside by the ledger
    assert await queue(pool) == [(int(Topic.STEPS_STANDARD), False)]
    [decision] = await (await make_ledger(pool)).reserve([asking(job)])
    assert (decision.kind, decision.reason) == (ReserveKind.HELD, "paused")
    assert await pool.fetchval("select count(*) from attempts") == 0
    # And it is told once
    await control(pool).pause(TENANT, job.job_id)
    assert await events(pool) == ["held"]


async def test_p8_resuming_releases_exactly_what_was_set_aside(pool: Pool) -> None:
    # Given a paused job with two messages set aside, and another paused one
    job, other = await submitted(pool, 2)
    steering = control(pool)
    for each in (job, other):
        await steering.pause(TENANT, each.job_id)
    ledger = await make_ledger(pool)
    await ledger.reserve([asking(job)])
    # When it is resumed, twice
    view = await steering.resume(TENANT, job.job_id)
    await steering.resume(TENANT, job.job_id)
    # Then its messages go, once, and no other's
    assert view is not None
    assert (view.state, view.hold_reason) == ("queued", None)
    steps, prompts = int(Topic.STEPS_STANDARD), int(Topic.PROMPTS_STANDARD)
    assert sorted(await queue(pool)) == [(steps, False), (steps, True), (prompts, True)]
    [decision] = await ledger.reserve([asking(job)])
    assert decision.kind is ReserveKind.GRANTED
    assert await pool.fetchval("select count(*) from holds where job_id = $1", job.job_id) == 0


async def test_p8_a_call_in_flight_when_paused_is_recorded_and_charged(pool: Pool) -> None:
    [job] = await submitted(pool, budget_nanos=5 * USD)
    ledger = await make_ledger(pool)
    await ledger.reserve([asking(job)])
    await control(pool).pause(TENANT, job.job_id)
    await ledger.settle([answered(job, USD // 2)])
    # Then the answer is there for whoever asks, and no other call is made
    [decision] = await ledger.reserve([asking(job)])
    assert decision.kind is ReserveKind.ANSWERED
    assert await pool.fetchval("select settled_nanos from budgets") == USD // 2


async def test_p8_a_cancelled_jobs_call_in_flight_is_charged_and_shown(pool: Pool) -> None:
    [job] = await submitted(pool)
    ledger = await make_ledger(pool)
    await ledger.reserve([asking(job)])
    await store(pool).cancel(TENANT, job.job_id)
    await ledger.settle([answered(job, 11)])
    view = await store(pool).job(TENANT, job.job_id)
    assert view is not None
    assert (view.state, view.cost_nanos, view.attempts, view.output_tokens) == ("cancelled", 11, 1, 5)


async def test_resuming_lets_go_what_waits_for_the_operator(pool: Pool) -> None:
    # Given a call refused for its key: its successor waits for the operator
    [job] = await submitted(pool)
    ledger = await make_ledger(pool)
    await ledger.reserve([asking(job)])
    successor = ParkedMessage(
        message_id=reference(job, 2).message_id("prompts"),
        job_id=job.job_id,
        tenant_id=TENANT,
        topic=Topic.PROMPTS_STANDARD,
        body=b"{}",
        not_before=None,
        reason="auth: the key is refused",
    )
    await ledger.settle([replace(answered(job, 0), outcome=Outcome.FAILED, error_code="auth", retry=successor)])
    view = await store(pool).job(TENANT, job.job_id)
    assert view is not None
    assert (view.state, view.hold_reason) == ("held", "auth: the key is refused")
    # When the job is resumed
    await control(pool).resume(TENANT, job.job_id)
    # Then it goes on with its next attempt
    assert await pool.fetchval("select not_before <= now() from outbox where id = $1", successor.message_id)
    [decision] = await ledger.reserve([asking(job, attempt=2)])
    assert (decision.kind, decision.attempt) == (ReserveKind.GRANTED, 2)


async def test_a_job_paused_while_it_waits_for_money_waits_for_both(pool: Pool) -> None:
    await put_budget(pool, 0)
    [job] = await submitted(pool)
    ledger = await make_ledger(pool)
    await ledger.reserve([asking(job)])
    await control(pool).pause(TENANT, job.job_id)
    view = await control(pool).resume(TENANT, job.job_id)
    assert view is not None
    assert view.hold_reason is not None
    assert view.hold_reason.startswith("budget_exhausted")
    parked = await pool.fetchval("select not_before = 'infinity' from outbox where lane = 3")
    assert parked


async def test_a_message_for_the_operator_of_an_ended_job_is_dropped(pool: Pool) -> None:
    [job] = await submitted(pool)
    await store(pool).cancel(TENANT, job.job_id)
    message = ParkedMessage(uuid7(), job.job_id, TENANT, Topic.PROMPTS_STANDARD, b"{}", None, "no_route: none")
    await PostgresParking(pool, shards=1, source="test").park([message])
    assert await queue(pool) == []
    assert await pool.fetchval("select count(*) from holds") == 0


async def test_what_is_done_to_an_ended_job_changes_nothing(pool: Pool) -> None:
    [job] = await submitted(pool)
    before = await store(pool).cancel(TENANT, job.job_id)
    assert await control(pool).pause(TENANT, job.job_id) == before
    assert await control(pool).resume(TENANT, job.job_id) == before
    assert await events(pool) == ["cancelled"]


async def test_another_tenants_job_is_not_there(pool: Pool) -> None:
    [job] = await submitted(pool)
    steering = control(pool)
    assert await steering.pause("other", job.job_id) is None
    assert await steering.resume("other", job.job_id) is None
    assert await steering.retry("other", job.job_id) is None
    view = await store(pool).job(TENANT, job.job_id)
    assert view is not None
    assert view.state == "queued"


# --- retry ----------------------------------------------------------------------------------------------------------


async def test_a_retry_is_a_new_job_with_the_same_input(pool: Pool) -> None:
    # Given a job of a batch with a deadline, cancelled
    batch_id = uuid7()
    job = replace(
        new_job(batch_id=batch_id, budget_nanos=USD),
        tags=("a", "b"),
        deadline=datetime.now(UTC) + timedelta(hours=1),
    )
    await store(pool).submit([Submission((job,), batch_id=batch_id)])
    await store(pool).cancel(TENANT, job.job_id)
    # When it is retried
    retried = await control(pool).retry(TENANT, job.job_id)
    # Then there is a new one like it, with as much time from now as the old one had, in the batch
    assert retried is not None
    assert retried.created
    new = retried.job
    assert new is not None
    assert (new.retry_of, new.state, new.tags, new.budget_nanos, new.batch_id) == (
        job.job_id, "queued", ("a", "b"), USD, batch_id,
    )  # fmt: skip
    assert new.deadline is not None
    assert timedelta(minutes=59) < new.deadline - datetime.now(UTC) <= timedelta(hours=1, seconds=1)
    row = await pool.fetchrow("select body from outbox where job_id = $1", new.job_id)
    assert row is not None
    message = decode(Step, row["body"])
    assert (message.input, message.batch_id, message.budgeted) == ('{"n": 1}', batch_id, True)
    batch = await store(pool).batch(TENANT, batch_id)
    assert batch is not None
    assert (batch.total, dict(batch.states)) == (2, {"open": 1, "cancelled": 1})


async def test_retrying_at_once_many_times_makes_one_job(pool: Pool) -> None:
    [job] = await submitted(pool)
    await store(pool).cancel(TENANT, job.job_id)
    steering = control(pool)
    answers = await asyncio.gather(*(steering.retry(TENANT, job.job_id) for _ in range(6)))
    assert {a.job.job_id for a in answers if a and a.job} == {
        row["id"] for row in await pool.fetch("select id from jobs where retry_of = $1", job.job_id)
    }
    assert sum(a.created for a in answers if a) == 1


async def test_a_retry_that_failed_too_is_retried_in_its_turn(pool: Pool) -> None:
    [job] = await submitted(pool)
    await store(pool).cancel(TENANT, job.job_id)
    steering = control(pool)
    first = await steering.retry(TENANT, job.job_id)
    assert first is not None
    assert first.job is not None
    await store(pool).cancel(TENANT, first.job.job_id)
    second = await steering.retry(TENANT, job.job_id)
    assert second is not None
    assert second.job is not None
    assert (second.created, second.job.retry_of) == (True, first.job.job_id)


async def test_an_open_job_is_not_retried(pool: Pool) -> None:
    [job] = await submitted(pool)
    retried = await control(pool).retry(TENANT, job.job_id)
    assert retried is not None
    assert (retried.job, retried.state) == (None, "open")
    assert await pool.fetchval("select count(*) from jobs") == 1
