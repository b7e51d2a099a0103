"""Jobs on hold at the writer: nothing of a paused one is published (P8), nothing of an ended one stays behind."""

import pytest

from common.contracts import Verdict, VerdictKind
from common.kafka.consumer import Delivery
from common.pipeline import Topic
from common.ports import NewJob, ReserveKind
from persistence.postgres.job_control import PostgresJobControl
from persistence.postgres.pool import Pool
from persistence.writer import Writer
from tests.integration.persistence.examples import (
    answered,
    asking,
    control,
    make_ledger,
    put_budget,
    reference,
    store,
    submitted,
)

pytestmark = pytest.mark.stack


def verdict(job: NewJob, kind: VerdictKind = VerdictKind.ACCEPT) -> list[Delivery]:
    value = Verdict(**reference(job).reference(), verdict=kind, output='{"n": 1}').model_dump_json().encode()
    return [Delivery(Topic.VERDICTS, "t.verdicts", 0, 0, b"", value, ())]


async def paid_and_paused(pool: Pool) -> tuple[NewJob, PostgresJobControl]:
    """Return a job with a paid answer that was paused while it was judged."""
    [job] = await submitted(pool)
    ledger = await make_ledger(pool)
    await ledger.reserve([asking(job)])
    await ledger.settle([answered(job, 7)])
    steering = control(pool)
    await steering.pause(job.tenant_id, job.job_id)
    return job, steering


async def test_p8_an_answer_judged_after_a_pause_is_charged_and_not_published(pool: Pool) -> None:
    job, _ = await paid_and_paused(pool)
    await Writer(pool, None, source="test", shards=1).handle(verdict(job))
    view = await store(pool).job("default", job.job_id)
    assert view is not None
    assert (view.state, view.hold_reason, view.cost_nanos) == ("held", "paused", 7)
    outputs = await pool.fetchval("select count(*) from outbox where topic = $1", int(Topic.OUTPUTS))
    assert outputs == 0


async def test_p8_resuming_lets_the_verdict_go_which_ends_the_job(pool: Pool) -> None:
    # Given the verdict of a paused job, set aside
    job, steering = await paid_and_paused(pool)
    writer = Writer(pool, None, source="test", shards=1)
    await writer.handle(verdict(job))
    # When the job is resumed, it is in the queue again, as it was
    await steering.resume(job.tenant_id, job.job_id)
    row = await pool.fetchrow("select * from outbox where topic = $1 and not_before <= now()", int(Topic.VERDICTS))
    assert row is not None
    # And when it comes again, the job ends with its one output
    await writer.handle([Delivery(Topic.VERDICTS, "t.verdicts", 0, 1, b"", row["body"], ())])
    view = await store(pool).job("default", job.job_id)
    assert view is not None
    assert (view.state, view.output) == ("succeeded", b'{"n": 1}')
    assert await pool.fetchval("select count(*) from holds") == 0
    assert await pool.fetchval("select count(*) from outbox where topic = $1", int(Topic.OUTPUTS)) == 1


async def test_p8_a_verdict_that_asks_again_goes_on_to_the_ledger_which_holds_it(pool: Pool) -> None:
    job, _ = await paid_and_paused(pool)
    await Writer(pool, None, source="test", shards=1).handle(verdict(job, VerdictKind.REASK))
    [decision] = await (await make_ledger(pool)).reserve([asking(job, attempt=2)])
    assert (decision.kind.value, decision.reason) == ("held", "paused")
    assert await pool.fetchval("select count(*) from attempts") == 1


async def test_a_job_that_ends_by_a_late_answer_leaves_no_message_on_hold(pool: Pool) -> None:
    # Given a call whose worker seems dead, and its message at another worker, on hold for want of money
    [job] = await submitted(pool)
    slow = await make_ledger(pool, lease_s=0.0)
    await slow.reserve([asking(job)])
    await put_budget(pool, 0)
    [decision] = await (await make_ledger(pool)).reserve([asking(job)])
    assert decision.kind is ReserveKind.HELD
    # When the first worker's answer comes after all, and ends the job
    await slow.settle([answered(job, 7)])
    await Writer(pool, None, source="test", shards=1).handle(verdict(job))
    # Then nothing waits for money that would never be spent
    view = await store(pool).job("default", job.job_id)
    assert view is not None
    assert view.state == "succeeded"
    assert await pool.fetchval("select count(*) from holds") == 0
    assert await pool.fetchval("select count(*) from outbox where lane < 4 and not_before = 'infinity'") == 0
