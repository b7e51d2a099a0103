"""Ends jobs: one transaction a batch of verdicts (result, states, public records), in three statements."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from common.contracts import Verdict
from common.failpoint import failpoint
from common.pipeline import Topic
from common.ports import ParkedMessage
from persistence.planner import Ending, LedgerRow, Plan
from persistence.postgres.holds import Hold, end_holds, hold, unqueue
from persistence.postgres.parking import park_messages
from persistence.postgres.pool import Connection, Pool, transaction
from persistence.postgres.records import JobRow, public_columns
from persistence.postgres.states import AttemptState, HoldKind, JobState
from persistence.reserve_decision import PAUSED

_JOBS = (
    "select id, tenant_id, batch_id, recipe, recipe_hash, lane, tags, state, revision, event_seq, created_at,"
    " traceparent, paused, hold_reason from jobs where id = any($1) order by id for no key update"
)
_LEDGER = (
    "select job_id, step, item, attempt, state, deployment, model, model_served, price_version, prompt_hash,"
    " reserved_nanos, cost_nanos, input_tokens, output_tokens from attempts where job_id = any($1)"
    " order by job_id, step, item, attempt"
)
# Locks are held already, so one statement may write all of it.
_FINISH = """
with ending as (
  select * from unnest($1::uuid[], $2::smallint[], $3::text[], $4::int[], $5::int[], $6::smallint[], $7::text[],
                       $8::text[], $9::int[], $10::bigint[], $11::bigint[], $12::bigint[], $13::int[])
    e(job, state, step, item, attempt, step_state, code, detail, attempts, cost, input, output, events)),
outputs as (
  insert into job_outputs (job_id, body, lineage)
  select o.job, o.body, o.lineage from unnest($14::uuid[], $15::bytea[], $16::bytea[]) o(job, body, lineage)
  on conflict (job_id) do nothing),
steps_done as (
  update steps s set state = e.step_state, accepted_attempt = case when e.state = 1 then e.attempt end
    from ending e where s.job_id = e.job and s.step = e.step and s.item = e.item and s.job_id = any($1)),
jobs_done as (
  update jobs j set state = e.state, revision = j.revision + 1, event_seq = j.event_seq + e.events,
         hold_reason = null, failure_code = e.code, failure_detail = e.detail, attempts = e.attempts,
         cost_nanos = e.cost, input_tokens = e.input, output_tokens = e.output, finished_at = clock_timestamp()
    from ending e where j.id = e.job and j.id = any($1))
insert into outbox (id, shard, lane, tenant_id, topic, job_id, body, headers, traceparent)
select * from unnest($17::uuid[], $18::smallint[], $19::smallint[], $20::text[], $21::smallint[], $22::uuid[],
                     $23::bytea[], $24::bytea[], $25::text[])
on conflict (id) do nothing
"""
_NOTE = (
    "update attempts a set verdict = coalesce(k.verdict, a.verdict),"
    " violations = coalesce(k.violations::jsonb, a.violations), extraction = k.extraction::jsonb"
    " from unnest($1::uuid[], $2::text[], $3::int[], $4::int[], $5::smallint[], $6::text[], $7::text[])"
    " k(job, step, item, attempt, verdict, violations, extraction)"
    " where a.job_id = k.job and a.step = k.step and a.item = k.item and a.attempt = k.attempt"
    " and a.job_id = any($1)"
)


Planner = Callable[[Mapping[UUID, JobRow], Mapping[UUID, Sequence[LedgerRow]]], Plan]


class PostgresResults:
    """Reads jobs under their locks, lets the planner decide, writes what it planned; all or nothing."""

    def __init__(self, pool: Pool, *, shards: int, source: str) -> None:
        self._pool = pool
        self._shards = shards
        self._source = source

    async def apply(self, job_ids: Sequence[UUID], planner: Planner) -> Plan:
        """Run one transaction over these jobs and return what was written."""
        ids = sorted(set(job_ids))
        async with transaction(self._pool) as lent:
            jobs = {row["id"]: JobRow.of(row) for row in await lent.fetch(_JOBS, ids)}
            open_ids = [i for i, job in jobs.items() if job.state is JobState.OPEN]
            made = planner(jobs, await self._ledger(lent, open_ids))
            if made.notes:
                await lent.execute(_NOTE, *_note_columns(made))
            if made.parked:
                await self._park(lent, made.parked)
            if made.endings:
                # Seldom: only what ends while its own message, or another, is set aside.
                if held := [e.job.job_id for e in made.endings if e.job.held]:
                    await unqueue(lent, await end_holds(lent, held))
                await lent.execute(_FINISH, *_ending_columns(made.endings), *public_columns(made.records))
                failpoint("writer.before_commit")
        return made

    async def _park(self, lent: Connection, verdicts: Sequence[Verdict]) -> None:
        """Set the verdicts of paused jobs aside, for ``resume`` to let go (P8)."""
        holds = [Hold(v.job_id, v.message_id("verdicts"), HoldKind.PAUSED, PAUSED) for v in verdicts]
        await hold(lent, holds, self._source, self._shards)
        messages = [
            ParkedMessage(
                message_id=v.message_id("verdicts"),
                job_id=v.job_id,
                tenant_id=v.tenant_id,
                topic=Topic.VERDICTS,
                body=v.model_dump_json(exclude_none=True).encode(),
                not_before=None,
                reason=PAUSED,
            )
            for v in verdicts
        ]
        await park_messages(lent, messages, self._shards)

    async def _ledger(self, lent: Connection, job_ids: Sequence[UUID]) -> dict[UUID, list[LedgerRow]]:
        found: dict[UUID, list[LedgerRow]] = {}
        for row in await lent.fetch(_LEDGER, job_ids):
            values = tuple(row)
            found.setdefault(values[0], []).append(
                LedgerRow(values[1], values[2], values[3], AttemptState(values[4]), *values[5:])
            )
        return found


def _note_columns(made: Plan) -> tuple[list[Any], ...]:
    return (
        [n.verdict.job_id for n in made.notes],
        [n.verdict.step for n in made.notes],
        [n.verdict.item for n in made.notes],
        [n.verdict.attempt for n in made.notes],
        [n.code if n.code is None else int(n.code) for n in made.notes],
        [n.violations for n in made.notes],
        [n.extraction for n in made.notes],
    )


def _ending_columns(endings: Sequence[Ending]) -> tuple[list[Any], ...]:
    outputs = [e for e in endings if e.lineage is not None]
    return (
        [e.job.job_id for e in endings],
        [int(e.state) for e in endings],
        [e.verdict.step for e in endings],
        [e.verdict.item for e in endings],
        [e.verdict.attempt for e in endings],
        [int(e.step_state) for e in endings],
        [e.failure.code if e.failure else None for e in endings],
        [e.failure.detail if e.failure else None for e in endings],
        [e.attempts for e in endings],
        [e.cost_nanos for e in endings],
        [e.input_tokens for e in endings],
        [e.output_tokens for e in endings],
        [e.events for e in endings],
        [e.job.job_id for e in outputs],
        [(e.verdict.output or "null").encode() for e in outputs],
        [e.lineage for e in outputs],
    )
