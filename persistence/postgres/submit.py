"""Accepts submissions: one round trip for many POSTs (``submit_2``), then a wake for the relay."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from common.contracts import Step
from common.failpoint import failpoint
from common.ids import shard_of
from common.pipeline import STEPS_OF
from common.ports import IdempotencyClaim, NewJob, Submission, SubmitKind, SubmitResult
from persistence.postgres.pool import Connection, Pool, connection
from persistence.postgres.states import LANE_NUMBER
from persistence.postgres.wake import notify, steps_token

_TAG_SEPARATOR = "\x1f"
# Larger inputs are read from Postgres by the prompt engine instead of travelling in the message.
_INLINE_INPUT_BYTES = 64 * 1024

_LARGE_JOBS = 1_000
_LARGE_BYTES = 8 * 1024 * 1024
_LARGE_S = 60

_SUBMIT = (
    "select tenant_id, key, body_hash, target_id from submit_2("
    "$1::text[], $2::text[], $3::bytea[], $4::uuid[], $5::uuid[], $6::text[], $7::int[], $8::uuid[], $9::uuid[],"
    "$10::text[], $11::uuid[], $12::text[], $13::text[], $14::smallint[], $15::timestamptz[], $16::bigint[],"
    "$17::text[], $18::text[], $19::bytea[], $20::text[], $21::uuid[], $22::smallint[], $23::smallint[],"
    "$24::bytea[], $25::uuid[])"
)


async def claimed(pool: Pool, claim: IdempotencyClaim) -> SubmitResult | None:
    """Return what was accepted under this key before, or None."""
    async with connection(pool) as lent:
        row = await lent.fetchrow(
            "select body_hash, target_id from idempotency where tenant_id = $1 and key = $2", claim.tenant_id, claim.key
        )
    if row is None:
        return None
    kind = SubmitKind.REPEATED if row["body_hash"] == claim.body_hash else SubmitKind.CONFLICT
    return SubmitResult(kind, row["target_id"])


def first_step(job: NewJob) -> Step:
    """Return the message that starts a job's step."""
    inline = len(job.input) <= _INLINE_INPUT_BYTES
    return Step(
        tenant_id=job.tenant_id,
        job_id=job.job_id,
        step=job.step,
        attempt=1,
        lane=job.lane,
        recipe=job.recipe,
        recipe_hash=job.recipe_hash,
        batch_id=job.batch_id,
        deadline_ms=int(job.deadline.timestamp() * 1000) if job.deadline else None,
        budgeted=job.budget_nanos is not None,
        input=job.input.decode() if inline else None,
    )


async def submit(pool: Pool, submissions: Sequence[Submission], shards: int) -> list[SubmitResult]:
    """Accept all, or raise: DatabaseUnavailable (outcome unknown, repeat by key) or asyncpg.DataError."""
    jobs = [job for submission in submissions for job in submission.jobs]
    large = len(jobs) > _LARGE_JOBS or sum(len(job.input) for job in jobs) > _LARGE_BYTES
    async with connection(pool) as lent:
        failpoint("submit.before_commit")
        if large:
            # A session's limits are for micro-batches; ten thousand jobs, or 64 MiB, in one statement take seconds.
            async with lent.transaction():
                await lent.execute(f"set local transaction_timeout = '{_LARGE_S}s'")
                await lent.execute(f"set local statement_timeout = '{_LARGE_S}s'")
                results = await accept(lent, submissions, shards, timeout_s=_LARGE_S)
        else:
            results = await accept(lent, submissions, shards)
        failpoint("submit.after_commit")
        await notify(lent, step_tokens(submissions))
    return results


async def accept(
    lent: Connection, submissions: Sequence[Submission], shards: int, *, timeout_s: float | None = None
) -> list[SubmitResult]:
    """Accept all in one statement, which is a transaction unless the caller has one. The caller wakes the relay.

    ``timeout_s`` replaces the connection's own limit on how long the answer may take.
    """
    winners, repeats = _within_batch(submissions)
    claims = [s.claim for s in winners if s.claim]
    batches = [(s.batch_id, s.jobs[0].tenant_id, len(s.jobs)) for s in winners if s.batch_id and s.jobs]
    lost = await lent.fetch(
        _SUBMIT,
        [c.tenant_id for c in claims],
        [c.key for c in claims],
        [c.body_hash for c in claims],
        [c.target_id for c in claims],
        [b[0] for b in batches],
        [b[1] for b in batches],
        [b[2] for b in batches],
        *_job_columns(winners, shards),
        timeout=timeout_s,
    )
    return _results(submissions, repeats, lost)


def step_tokens(submissions: Sequence[Submission]) -> set[str]:
    """Return what wakes the relay for these."""
    return {steps_token(LANE_NUMBER[j.lane], j.tenant_id) for s in submissions for j in s.jobs}


def _job_columns(submissions: Sequence[Submission], shards: int) -> list[list[object]]:
    """Return the arrays from ``p_id`` to ``p_retry_of`` of ``submit_2``."""
    rows: list[tuple[object, ...]] = []
    for submission in submissions:
        for job in submission.jobs:
            target = submission.claim.target_id if submission.claim else job.job_id
            message = first_step(job)
            rows.append(
                (
                    job.job_id,
                    target,
                    job.tenant_id,
                    job.batch_id,
                    job.recipe,
                    job.recipe_hash,
                    LANE_NUMBER[job.lane],
                    job.deadline,
                    job.budget_nanos,
                    _TAG_SEPARATOR.join(job.tags),
                    job.traceparent,
                    job.input,
                    job.step,
                    message.message_id("steps"),
                    shard_of(job.job_id, shards),
                    int(STEPS_OF[job.lane]),
                    message.model_dump_json(exclude_none=True).encode(),
                    job.retry_of,
                )
            )
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(18)]


def _within_batch(
    submissions: Sequence[Submission],
) -> tuple[list[Submission], dict[tuple[str, str], Submission]]:
    """Keep the first submission of each idempotency key; the others repeat it."""
    first: dict[tuple[str, str], Submission] = {}
    winners: list[Submission] = []
    for submission in submissions:
        claim = submission.claim
        if claim is None:
            winners.append(submission)
        elif (claim.tenant_id, claim.key) not in first:
            first[claim.tenant_id, claim.key] = submission
            winners.append(submission)
    return winners, first


def _results(
    submissions: Sequence[Submission],
    first: dict[tuple[str, str], Submission],
    lost: Sequence[asyncpg.Record],
) -> list[SubmitResult]:
    standing: dict[tuple[str, str], tuple[bytes, UUID]] = {
        (row["tenant_id"], row["key"]): (row["body_hash"], row["target_id"]) for row in lost
    }
    results = []
    for submission in submissions:
        claim = submission.claim
        if claim is None:
            target = submission.batch_id or submission.jobs[0].job_id
            results.append(SubmitResult(SubmitKind.CREATED, target))
            continue
        key = (claim.tenant_id, claim.key)
        winner = first[key].claim
        if key not in standing and winner is claim:
            results.append(SubmitResult(SubmitKind.CREATED, claim.target_id))
            continue
        # Only submissions with a claim are in ``first``.
        body_hash, target = standing.get(key) or (winner.body_hash, winner.target_id)  # type: ignore[union-attr]
        kind = SubmitKind.REPEATED if body_hash == claim.body_hash else SubmitKind.CONFLICT
        results.append(SubmitResult(kind, target))
    return results
