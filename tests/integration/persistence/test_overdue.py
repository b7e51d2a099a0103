"""What time overtakes, on real Postgres: deadlines of waiting jobs, and keys that are old enough to forget."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from common.contracts import Verdict, VerdictKind
from common.kafka.consumer import Delivery
from common.pipeline import Topic
from common.ports import IdempotencyClaim, NewJob, ReserveKind, Submission, SubmitKind
from persistence.postgres.control import Records
from persistence.postgres.overdue import expire_overdue, sweep_keys
from persistence.postgres.pool import Pool
from persistence.writer import Writer
from tests.integration.persistence.examples import (
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

RECORDS = Records("test", 1)


async def with_deadline(pool: Pool, count: int = 1) -> list[NewJob]:
    deadline = datetime.now(UTC) + timedelta(hours=1)
    jobs = [replace(new_job(), deadline=deadline) for _ in range(count)]
    await store(pool).submit([Submission((job,)) for job in jobs])
    return jobs


async def pass_deadlines(pool: Pool) -> None:
    """Let an hour and more go by."""
    await pool.execute("update jobs set deadline = deadline - interval '2 hours'")
    await pool.execute("update deadlines set look_at = look_at - interval '2 hours'")


async def state(pool: Pool, job: NewJob) -> str:
    view = await store(pool).job("default", job.job_id)
    assert view is not None
    return view.state


async def test_a_job_whose_deadline_passes_in_the_queue_expires_once(pool: Pool) -> None:
    # Given a job with a deadline and one without, both waiting
    [job] = await with_deadline(pool)
    [endless] = await submitted(pool)
    assert await expire_overdue(pool, RECORDS, 10) == ([], False)
    # When the deadline has passed
    await pass_deadlines(pool)
    assert await expire_overdue(pool, RECORDS, 10) == ([job.job_id], False)
    assert await expire_overdue(pool, RECORDS, 10) == ([], False)
    # Then it has expired, said so once, and its step does not travel any more
    view = await store(pool).job("default", job.job_id)
    assert view is not None
    assert (view.state, view.failure_code) == ("expired", "deadline_exceeded")
    bodies = [orjson.loads(row["body"]) for row in await pool.fetch("select body from outbox where lane = 4")]
    assert [(b["type"], b["terminal"]) for b in bodies] == [("headrace.job.expired", True)]
    assert await pool.fetchval("select count(*) from outbox where lane < 4 and job_id = $1", job.job_id) == 0
    assert await state(pool, endless) == "queued"


async def test_a_job_on_hold_expires_too(pool: Pool) -> None:
    await put_budget(pool, 0)
    held, paused = await with_deadline(pool, 2)
    await (await make_ledger(pool)).reserve([asking(held)])
    await control(pool).pause("default", paused.job_id)
    await pass_deadlines(pool)
    await expire_overdue(pool, RECORDS, 10)
    assert [await state(pool, held), await state(pool, paused)] == ["expired", "expired"]
    assert await pool.fetchval("select count(*) from holds") == 0
    assert await pool.fetchval("select count(*) from outbox where lane < 4") == 0


async def test_a_call_under_way_at_its_deadline_may_still_end_well(pool: Pool) -> None:
    # Given a job whose call is in flight when its deadline passes
    [job] = await with_deadline(pool)
    ledger = await make_ledger(pool)
    await ledger.reserve([asking(job)])
    await pass_deadlines(pool)
    # Then it is left alone, and looked at again later
    assert await expire_overdue(pool, RECORDS, 10) == ([], False)
    assert await pool.fetchval("select count(*) from deadlines where look_at > now()") == 1
    # And its answer, while it is judged, too
    await ledger.settle([answered(job, 1)])
    await pass_deadlines(pool)
    assert await expire_overdue(pool, RECORDS, 10) == ([], False)
    # And a good one ends it as succeeded
    value = Verdict(**reference(job).reference(), verdict=VerdictKind.ACCEPT, output="{}").model_dump_json().encode()
    delivery = Delivery(Topic.VERDICTS, "t", 0, 0, b"", value, ())
    await Writer(pool, None, source="test", shards=1).handle([delivery])
    await pass_deadlines(pool)
    assert await expire_overdue(pool, RECORDS, 10) == ([], False)
    assert await state(pool, job) == "succeeded"
    assert await pool.fetchval("select count(*) from deadlines") == 0


async def test_expired_before_a_call_is_no_call(pool: Pool) -> None:
    [job] = await with_deadline(pool)
    await pass_deadlines(pool)
    [decision] = await (await make_ledger(pool)).reserve([asking(job)])
    assert decision.kind is ReserveKind.EXPIRED
    assert await pool.fetchval("select count(*) from attempts") == 0


async def test_many_sweepers_expire_each_job_once(pool: Pool) -> None:
    jobs = await with_deadline(pool, 60)
    await pass_deadlines(pool)

    async def sweep() -> list[object]:
        found: list[object] = []
        more = True
        while more:
            expired, more = await expire_overdue(pool, RECORDS, 7)
            found += expired
        return found

    swept = [job_id for each in await asyncio.gather(*(sweep() for _ in range(4))) for job_id in each]
    while (rest := await expire_overdue(pool, RECORDS, 100))[0]:
        swept += rest[0]
    assert sorted(map(str, swept)) == sorted(str(job.job_id) for job in jobs)
    assert await pool.fetchval("select count(*) from outbox where lane = 4") == 60


# --- idempotency keys -----------------------------------------------------------------------------------------------


def claiming(key: str, body: bytes = b"body") -> Submission:
    job = new_job()
    return Submission((job,), IdempotencyClaim("default", key, body.ljust(32), job.job_id))


async def test_p7_a_key_is_known_for_a_day_and_then_forgotten(pool: Pool) -> None:
    await store(pool).submit([claiming("old"), claiming("new")])
    await pool.execute("update idempotency set created_at = now() - interval '24 hours 1 second' where key = 'old'")
    await pool.execute("update idempotency set created_at = now() - interval '23 hours 59 minutes' where key = 'new'")
    assert await sweep_keys(pool, 24, 100) == 1
    kinds = [r.kind for r in await store(pool).submit([claiming("old"), claiming("new")])]
    assert kinds == [SubmitKind.CREATED, SubmitKind.REPEATED]


async def test_p7_a_key_swept_while_it_is_submitted_again_never_loses_the_job(pool: Pool) -> None:
    """Whoever is told CREATED has a job; whoever is told REPEATED names one that is there."""
    jobs = store(pool)
    for round_ in range(25):
        keys = [f"k{round_}-{n}" for n in range(6)]
        await jobs.submit([claiming(key) for key in keys])
        await pool.execute("update idempotency set created_at = now() - interval '2 days'")
        # When keys are swept and used again at the same time
        sweeping = [asyncio.create_task(sweep_keys(pool, 24, 3)) for _ in range(4)]
        answers = await asyncio.gather(*(jobs.submit([claiming(key)]) for key in keys for _ in range(2)))
        await asyncio.gather(*sweeping)
        targets = [answer.target_id for [answer] in answers]
        there = await pool.fetchval("select count(*) from jobs where id = any($1)", list(set(targets)))
        assert there == len(set(targets))
        # And of two that ask at once with one key, at most one makes a job
        kinds = [answer.kind for [answer] in answers]
        for pair in zip(kinds[::2], kinds[1::2], strict=True):
            assert pair.count(SubmitKind.CREATED) <= 1
            assert SubmitKind.CONFLICT not in pair
