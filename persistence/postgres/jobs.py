"""The job store of the API: submit, show, list, cancel. Every statement names the tenant."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson

from common.failpoint import failpoint
from common.ports import AttemptView, BatchView, IdempotencyClaim, JobView, Submission, SubmitResult
from persistence.postgres.control import Records, cancel_jobs, lock_jobs
from persistence.postgres.pool import Pool, connection, transaction
from persistence.postgres.states import LANE_OF_NUMBER, AttemptState, JobState, StepState, VerdictCode
from persistence.postgres.submit import claimed, submit
from persistence.postgres.wake import PUBLIC_TOKEN, notify

LOOKED_AT_JOBS: Final = 20_000
"""By one listing with a filter: there is no index on what is filtered by."""

# Ends that are always given: a plan for any parameters reads no more than the stretch.
_FIRST: Final = UUID(int=0)
_LAST: Final = UUID(int=2**128 - 1)

# Cancelled and expired jobs may have calls in flight, which are charged when they settle: their sums are live too.
_ENDED_WITH_SUMS = frozenset({JobState.SUCCEEDED, JobState.FAILED})
_RUNNING = "exists (select 1 from attempts a where a.job_id = j.id)"

_VIEW = f"""
select j.*, case when j.state = 0 then {_RUNNING} else false end as running, t.attempts as live_attempts,
       t.cost as live_cost, t.input as live_input, t.output as live_output
  from jobs j
  left join lateral (
    select count(*) as attempts,
           coalesce(sum(a.cost_nanos), 0)::bigint as cost,
           coalesce(sum(a.input_tokens), 0)::bigint as input, coalesce(sum(a.output_tokens), 0)::bigint as output
      from attempts a where a.job_id = j.id and j.state in (0, 3, 4)) t on true
"""  # noqa: S608 - the only parts are constants of this module

_JOB = f"""
select v.*, o.body as output, o.lineage
  from ({_VIEW} where j.id = $2 and j.tenant_id = $1) v left join job_outputs o on o.job_id = v.id
"""  # noqa: S608 - as above

_LIST = f"""
{_VIEW}
 where j.tenant_id = $1 and j.id < $2 and j.id >= $7
   and ($3::smallint is null or j.state = $3)
   and ($4::text is null or j.recipe = $4 or split_part(j.recipe, '@', 1) = $4)
   and ($5::text is null or (case $5 when 'held' then j.hold_reason is not null
                                     when 'running' then j.hold_reason is null and {_RUNNING}
                                     else j.hold_reason is null and not {_RUNNING} end))
 order by j.id desc limit $6
"""

_LOOKED_AT = """
select id from jobs where tenant_id = $1 and id < $2 order by id desc offset $3 - 1 limit 1
"""

_BATCH = """
select b.id, b.tenant_id, b.total, b.created_at, s.states, s.cost
  from batches b
 cross join lateral (
   select coalesce(jsonb_object_agg(x.state, x.n), '{}') as states, coalesce(sum(x.cost), 0)::bigint as cost
     from (select case when j.state = 0 and j.hold_reason is not null then -1 else j.state end as state,
                  count(*) as n, sum(coalesce(t.cost, j.cost_nanos)) as cost
             from jobs j
             left join lateral (
               select coalesce(sum(a.cost_nanos), 0)::bigint as cost
                 from attempts a where a.job_id = j.id) t on j.state in (0, 3, 4)
            where j.batch_id = b.id group by 1) x) s
 where b.id = $2 and b.tenant_id = $1
"""

_ATTEMPTS = """
select a.*, s.state as step_state, s.accepted_attempt
  from attempts a left join steps s on s.job_id = a.job_id and s.step = a.step and s.item = a.item
 where a.job_id = $1 order by a.step, a.item, a.attempt
"""

_OPEN_STATES = ("queued", "running", "held")


class PostgresJobStore:
    """``common.ports.JobStore`` over a pool."""

    def __init__(self, pool: Pool, *, shards: int, source: str) -> None:
        self._pool = pool
        self._shards = shards
        self._source = source

    async def submit(self, submissions: Sequence[Submission]) -> Sequence[SubmitResult]:
        """Accept all of them in one transaction."""
        return await submit(self._pool, submissions, self._shards)

    async def claimed(self, claim: IdempotencyClaim) -> SubmitResult | None:
        """Return what a submission by this key would repeat, or None."""
        return await claimed(self._pool, claim)

    async def job(self, tenant_id: str, job_id: UUID) -> JobView | None:
        """Return one job with its output, or None."""
        async with connection(self._pool) as lent:
            row = await lent.fetchrow(_JOB, tenant_id, job_id)
        return _job_view(row) if row else None

    async def jobs(
        self, tenant_id: str, *, state: str | None, recipe: str | None, before: UUID | None, limit: int
    ) -> tuple[Sequence[JobView], UUID | None]:
        """Return jobs before a given id, newest first, without outputs, and before which id there may be more.

        With a filter it looks at ``LOOKED_AT_JOBS`` at most, so it may return fewer than there are.
        """
        number = None if state is None else int(JobState[_state_name(state)])
        open_kind = state if state in _OPEN_STATES else None
        async with connection(self._pool) as lent:
            below, oldest = before or _LAST, None
            if state is not None or recipe is not None:
                oldest = await lent.fetchval(_LOOKED_AT, tenant_id, below, LOOKED_AT_JOBS)
            rows = await lent.fetch(_LIST, tenant_id, below, number, recipe, open_kind, limit + 1, oldest or _FIRST)
        found = [_job_view(row) for row in rows[:limit]]
        return found, found[-1].job_id if len(rows) > limit else oldest

    async def batch(self, tenant_id: str, batch_id: UUID) -> BatchView | None:
        """Return a batch with how many of its jobs are in which state."""
        async with connection(self._pool) as lent:
            row = await lent.fetchrow(_BATCH, tenant_id, batch_id)
        if row is None:
            return None
        return BatchView(
            batch_id=row["id"],
            tenant_id=row["tenant_id"],
            total=row["total"],
            states={_batch_state(int(state)): n for state, n in json.loads(row["states"]).items()},
            created_at=row["created_at"],
            cost_nanos=row["cost"],
        )

    async def attempts(self, tenant_id: str, job_id: UUID) -> Sequence[AttemptView] | None:
        """Return the ledger rows of one job, or None where the tenant has no such job."""
        async with connection(self._pool) as lent:
            known = await lent.fetchval("select 1 from jobs where id = $1 and tenant_id = $2", job_id, tenant_id)
            rows = await lent.fetch(_ATTEMPTS, job_id) if known else None
        return None if rows is None else [_attempt_view(row) for row in rows]

    async def cancel(self, tenant_id: str, job_id: UUID) -> JobView | None:
        """End an open job as cancelled; an ended one is returned as it is. None: no such job."""
        async with transaction(self._pool) as lent:
            rows = await lock_jobs(lent, tenant_id, [job_id])
            if await cancel_jobs(lent, rows, Records(self._source, self._shards)):
                failpoint("cancel.before_commit")
        failpoint("cancel.after_commit")
        async with connection(self._pool) as lent:
            await notify(lent, {PUBLIC_TOKEN})
        return await self.job(tenant_id, job_id)


def _state_name(state: str) -> str:
    return "OPEN" if state in _OPEN_STATES else state.upper()


def _batch_state(number: int) -> str:
    return "held" if number < 0 else JobState(number).name.lower()


def _job_view(row: asyncpg.Record) -> JobView:
    state = JobState(row["state"])
    shown = state.name.lower()
    if state is JobState.OPEN:
        shown = "held" if row["hold_reason"] else "running" if row["running"] else "queued"
    ended = state in _ENDED_WITH_SUMS
    known: dict[str, Any] = dict(row)
    lineage = known.get("lineage")
    return JobView(
        job_id=row["id"],
        tenant_id=row["tenant_id"],
        state=shown,
        recipe=row["recipe"],
        lane=LANE_OF_NUMBER[row["lane"]],
        revision=row["revision"],
        created_at=row["created_at"],
        finished_at=row["finished_at"],
        batch_id=row["batch_id"],
        tags=tuple(row["tags"]),
        deadline=row["deadline"],
        budget_nanos=row["budget_nanos"],
        attempts=row["attempts"] if ended else row["live_attempts"],
        cost_nanos=row["cost_nanos"] if ended else row["live_cost"],
        input_tokens=row["input_tokens"] if ended else row["live_input"],
        output_tokens=row["output_tokens"] if ended else row["live_output"],
        hold_reason=row["hold_reason"],
        failure_code=row["failure_code"],
        failure_detail=row["failure_detail"],
        output=known.get("output"),
        lineage=orjson.loads(lineage) if lineage else None,
        retry_of=row["retry_of"],
    )


def _extraction(noted: str | None, verdict: str | None) -> Mapping[str, Any] | None:
    """Return what the output gate made of an answer; of one that was simply valid nothing is noted."""
    if noted is not None:
        return {"repairs": [], **json.loads(noted)}
    if verdict != "accept":
        return None
    return {"strict": True, "confidence": "strict", "repairs": [], "candidates": 1, "reason": "the text is the value"}


def _attempt_view(row: asyncpg.Record) -> AttemptView:
    verdict = VerdictCode(row["verdict"]).name.lower() if row["verdict"] is not None else None
    if row["step_state"] == StepState.DONE and row["accepted_attempt"] == row["attempt"]:
        verdict = "accept"
    return AttemptView(
        step=row["step"],
        item=row["item"],
        attempt=row["attempt"],
        state=AttemptState(row["state"]).name.lower(),
        deployment=row["deployment"],
        model=row["model"],
        model_served=row["model_served"],
        prompt_hash=row["prompt_hash"],
        reserved_nanos=row["reserved_nanos"],
        cost_nanos=row["cost_nanos"],
        price_version=row["price_version"],
        input_tokens=row["input_tokens"],
        cached_tokens=row["cached_tokens"],
        output_tokens=row["output_tokens"],
        latency_ms=row["latency_ms"],
        finish_reason=row["finish_reason"],
        error_code=row["error_code"],
        request_id=row["request_id"],
        verdict="re-ask" if verdict == "reask" else verdict,
        violations=json.loads(row["violations"]) if row["violations"] else (),
        extraction=_extraction(row["extraction"], verdict),
        started_at=row["started_at"],
        ended_at=row["ended_at"],
    )
