"""The error log: one row a (job, stage, kind), with first and last time and count; old ones are swept.

Failed calls and rejected answers are not written twice: they are in the ledger, and read from there.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from common.operator_ports import ErrorView
from common.ports import ErrorNote
from persistence.postgres.pool import Pool, connection, sweep

KEPT_DAYS: Final = 30
_NOBODY: Final = UUID(int=0)
_LONGEST_DETAIL: Final = 500
_SWEPT_ROWS: Final = 1_000

_ADD = """
insert into errors as e (job_id, stage, kind, detail, count)
select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[]) order by 1, 2, 3
on conflict (job_id, stage, kind) do update
   set count = e.count + excluded.count, last_at = now(), detail = excluded.detail
"""
_OF_JOB = """
select job_id, stage, kind, detail, count, first_at, last_at from errors where job_id = $1
union all
select job_id, 'model_layer', error_code, 'calls that failed: see the attempts', count(*), min(started_at),
       max(coalesce(ended_at, started_at))
  from attempts where job_id = $1 and error_code is not null group by job_id, error_code
union all
select job_id, 'output_validation', case verdict when 1 then 'asked_again' when 2 then 'escalated' else 'rejected' end,
       'answers that were not accepted: see the attempts', count(*), min(started_at),
       max(coalesce(ended_at, started_at))
  from attempts where job_id = $1 and verdict is not null group by job_id, verdict
 order by last_at desc, stage, kind
"""
_RECENT = """
select nullif(job_id, '00000000-0000-0000-0000-000000000000') as job_id, stage, kind, detail, count, first_at, last_at
  from errors where last_at >= $1 and ($2::text is null or stage = $2) order by last_at desc limit $3
"""
_SWEEP = """
delete from errors where (job_id, stage, kind) in (
  select job_id, stage, kind from errors where last_at < now() - $1 * interval '1 day' order by last_at limit $2)
"""


async def add_errors(pool: Pool, notes: Sequence[ErrorNote]) -> None:
    """Add notes to the log; a (job, stage, kind) may come once."""
    async with connection(pool) as lent:
        await lent.execute(
            _ADD,
            [note.job_id or _NOBODY for note in notes],
            [note.stage for note in notes],
            [note.kind for note in notes],
            [note.detail.replace("\x00", "")[:_LONGEST_DETAIL] for note in notes],
            [note.count for note in notes],
        )


async def sweep_errors(pool: Pool) -> int:
    """Delete what is older than ``KEPT_DAYS``; return how many."""
    return await sweep(pool, _SWEEP, KEPT_DAYS, rows=_SWEPT_ROWS)


class PostgresErrors:
    """``common.operator_ports.Errors`` over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def of_job(self, tenant_id: str, job_id: UUID) -> Sequence[ErrorView] | None:
        """Return all that went wrong for a job, newest first; None where the tenant has no such job."""
        async with connection(self._pool) as lent:
            known = await lent.fetchval("select 1 from jobs where id = $1 and tenant_id = $2", job_id, tenant_id)
            return [_view(row) for row in await lent.fetch(_OF_JOB, job_id)] if known else None

    async def recent(self, *, since: datetime, stage: str | None, limit: int) -> Sequence[ErrorView]:
        """Return what went wrong in the stages since a time, newest first."""
        async with connection(self._pool) as lent:
            return [_view(row) for row in await lent.fetch(_RECENT, since, stage, limit)]


def _view(row: asyncpg.Record) -> ErrorView:
    return ErrorView(
        row["job_id"], row["stage"], row["kind"], row["detail"], row["count"], row["first_at"], row["last_at"]
    )
