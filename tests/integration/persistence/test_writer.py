"""Ending jobs on real Postgres: one ending each, with its public record in the same transaction (P2)."""

from collections.abc import Sequence
from dataclasses import replace

import orjson
import pytest

from common.contracts import ExtractionNote, FailedAnswer, OutputRecord, RepairNote, Verdict, VerdictKind
from common.ids import derive, uuid7
from common.kafka.consumer import Delivery
from common.outcomes import Done, Reject
from common.pipeline import Topic
from common.ports import NewJob, Outcome, ReserveKind
from persistence.postgres.ledger import PostgresLedger
from persistence.postgres.pool import Pool
from persistence.writer import Writer
from tests.integration.persistence.examples import USD, answered, asking, make_ledger, reference, store, submitted

pytestmark = pytest.mark.stack


def verdict(job: NewJob, kind: VerdictKind, *, attempt: int = 1, code: str | None = None) -> Verdict:
    return Verdict(
        **reference(job, attempt).reference(),
        verdict=kind,
        output='{"title": "é"}' if kind is VerdictKind.ACCEPT else None,
        failure=FailedAnswer(code=code, detail="why") if code else None,
    )


def deliveries(verdicts: Sequence[Verdict]) -> list[Delivery]:
    return [
        Delivery(Topic.VERDICTS, "t.verdicts", 0, n, b"", v.model_dump_json().encode(), ())
        for n, v in enumerate(verdicts)
    ]


async def paid(pool: Pool, job: NewJob, cost_nanos: int = 7) -> None:
    ledger = PostgresLedger(pool, worker=uuid7(), lease_s=30, shards=1, source="test")
    await ledger.reserve([asking(job)])
    await ledger.settle([answered(job, cost_nanos)])


async def test_p2_an_accepted_answer_ends_its_job_with_one_record(pool: Pool) -> None:
    # Given a job with a paid answer
    [job] = await submitted(pool)
    await paid(pool, job)
    writer = Writer(pool, None, source="test", shards=1)
    # When its verdict comes, twice in one batch and again later
    accepted = verdict(job, VerdictKind.ACCEPT)
    await writer.handle(deliveries([accepted, accepted]))
    outcomes = await writer.handle(deliveries([accepted]))
    # Then it has ended once, and one record waits, equal to what the API shows
    assert outcomes == [Done("written")]
    view = await store(pool).job("default", job.job_id)
    assert view is not None
    assert (view.state, view.cost_nanos, view.attempts, view.output) == ("succeeded", 7, 1, '{"title": "é"}'.encode())
    rows = await pool.fetch("select * from outbox where lane = 4")
    assert len(rows) == 1
    record = OutputRecord.model_validate_json(rows[0]["body"])
    assert (record.job_id, record.output, record.revision) == (job.job_id, {"title": "é"}, view.revision)
    assert record.lineage.model_served == "m-served"
    assert record.lineage.cost_usd == "0.000000007"
    headers = dict(orjson.loads(rows[0]["headers"]))
    assert headers["ce_id"] == str(derive(job.job_id, "output"))
    assert (headers["ce_type"], headers["ce_subject"]) == ("headrace.output", str(job.job_id))


async def test_p2_a_rejected_answer_fails_its_job_with_one_event(pool: Pool) -> None:
    [job] = await submitted(pool)
    await paid(pool, job)
    writer = Writer(pool, None, source="test", shards=1)
    rejected = verdict(job, VerdictKind.REJECT, code="invalid_output")
    await writer.handle(deliveries([rejected]))
    await writer.handle(deliveries([rejected, verdict(job, VerdictKind.ACCEPT)]))
    view = await store(pool).job("default", job.job_id)
    assert view is not None
    assert (view.state, view.failure_code, view.output) == ("failed", "invalid_output", None)
    [body] = [row["body"] for row in await pool.fetch("select body from outbox where lane = 4")]
    event = orjson.loads(body)
    assert (event["type"], event["sequence"], event["terminal"]) == ("headrace.job.failed", 1, True)
    attempts = await store(pool).attempts("default", job.job_id)
    assert attempts is not None
    assert [a.verdict for a in attempts] == ["reject"]


async def test_p3_a_hung_worker_that_speaks_of_a_failed_call_late_does_not_end_what_was_asked_since(pool: Pool) -> None:
    # Given a worker that hung until its call was given up, and another one whose call is under way
    [job] = await submitted(pool)
    hung = PostgresLedger(pool, worker=uuid7(), lease_s=0, shards=1, source="test")
    await hung.renew_lease()
    await hung.reserve([asking(job, max_attempts=2)])
    ledger = await make_ledger(pool)
    (decision,) = await ledger.reserve([asking(job, max_attempts=2)])
    assert (decision.kind, decision.attempt, decision.rebought) == (ReserveKind.GRANTED, 2, True)
    # When it wakes up to a time-out, for which the recipe has no try left
    late = replace(answered(job, USD), outcome=Outcome.UNKNOWN, raw=None, error_code="timeout")
    await hung.settle([late])
    writer = Writer(pool, None, source="test", shards=1)
    await writer.handle(deliveries([verdict(job, VerdictKind.REJECT, code="timeout")]))
    # Then the job waits for the call that is under way, and ends by its answer
    view = await store(pool).job("default", job.job_id)
    assert view is not None
    assert view.failure_code is None
    await ledger.settle([answered(job, USD, attempt=2)])
    await writer.handle(deliveries([verdict(job, VerdictKind.ACCEPT, attempt=2)]))
    view = await store(pool).job("default", job.job_id)
    assert view is not None
    assert (view.state, view.attempts, view.cost_nanos) == ("succeeded", 2, 2 * USD)


async def test_p2_a_failed_call_without_a_successor_ends_its_job(pool: Pool) -> None:
    [job] = await submitted(pool)
    ledger = await make_ledger(pool)
    await ledger.reserve([asking(job)])
    await ledger.settle([replace(answered(job, USD), outcome=Outcome.UNKNOWN, raw=None, error_code="timeout")])
    writer = Writer(pool, None, source="test", shards=1)
    await writer.handle(deliveries([verdict(job, VerdictKind.REJECT, code="timeout")]))
    view = await store(pool).job("default", job.job_id)
    assert view is not None
    assert (view.state, view.failure_code) == ("failed", "timeout")


async def test_the_ledger_keeps_how_a_value_was_got_out_of_an_answer(pool: Pool) -> None:
    # Given answers that are accepted: one as it is, one out of a fence
    plain, fenced = await submitted(pool, 2)
    await paid(pool, plain)
    await paid(pool, fenced)
    note = ExtractionNote(
        strict=False,
        confidence="lossless-repair",
        repairs=(RepairNote(kind="fence-removed", start=0, end=8),),
        candidates=1,
        reason="fenced-block: 1 of 1 candidates would do",
    )
    # When their verdicts come
    mended = verdict(fenced, VerdictKind.ACCEPT).model_copy(update={"extraction": note})
    await Writer(pool, None, source="test", shards=1).handle(deliveries([verdict(plain, VerdictKind.ACCEPT), mended]))
    # Then their attempts say so
    shown = {}
    for job in (plain, fenced):
        (attempt,) = await store(pool).attempts("default", job.job_id) or ()
        assert attempt.verdict == "accept"
        shown[job.job_id] = attempt.extraction
    assert shown[fenced.job_id] == note.model_dump(exclude_none=True, mode="json")
    assert (shown[plain.job_id] or {})["strict"] is True


async def test_a_job_past_its_deadline_expires(pool: Pool) -> None:
    [job] = await submitted(pool)
    await Writer(pool, None, source="test", shards=1).handle(
        deliveries([verdict(job, VerdictKind.REJECT, code="deadline_exceeded")])
    )
    view = await store(pool).job("default", job.job_id)
    assert view is not None
    assert view.state == "expired"


async def test_p8_a_cancelled_job_publishes_nothing_more(pool: Pool) -> None:
    [job] = await submitted(pool)
    await paid(pool, job)
    await store(pool).cancel("default", job.job_id)
    await Writer(pool, None, source="test", shards=1).handle(deliveries([verdict(job, VerdictKind.ACCEPT)]))
    topics = [row["topic"] for row in await pool.fetch("select topic from outbox where lane = 4")]
    assert topics == [int(Topic.EVENTS)]


async def test_p6_a_record_that_is_no_verdict_is_rejected_alone(pool: Pool) -> None:
    [job] = await submitted(pool)
    await paid(pool, job)
    good, *_ = deliveries([verdict(job, VerdictKind.ACCEPT)])
    broken = Delivery(Topic.VERDICTS, "t.verdicts", 0, 9, b"", b'{"v": 2}', ())
    outcomes = await Writer(pool, None, source="test", shards=1).handle([broken, good])
    assert isinstance(outcomes[0], Reject)
    view = await store(pool).job("default", job.job_id)
    assert view is not None
    assert view.state == "succeeded"
