"""Large messages: kept here while a short reference to them travels through Kafka. Erased with their job.

Ids are derived from the job and the content, so keeping twice is keeping once.
"""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from common.ports import Payload
from persistence.postgres.pool import Connection, Pool, connection

_SWEPT_ROWS: Final = 1_000
_ENDED_HOURS: Final = 1

_KEEP = """
insert into payloads (id, job_id, body) select * from unnest($1::uuid[], $2::uuid[], $3::bytea[])
on conflict (id) do nothing
"""
_FETCH = "select id, body from payloads where id = any($1)"
_ERASE = "delete from payloads where job_id = any($1)"
# What is left in Kafka of a job that has ended is a copy, and dropped when its payload is gone.
_SWEEP = """
delete from payloads where id in (
  select p.id from payloads p join jobs j on j.id = p.job_id
   where j.state <> 0 and j.finished_at < now() - $1 * interval '1 hour' limit $2)
"""


async def keep_payloads(pool: Pool, payloads: Sequence[Payload]) -> None:
    """Keep payloads; those that are there already stay."""
    async with connection(pool) as lent:
        for payload in payloads:  # one a statement: they are large, and time limits are for one statement
            await lent.execute(_KEEP, [payload.payload_id], [payload.job_id], [payload.body])


async def payload_bodies(pool: Pool, ids: Sequence[UUID]) -> Mapping[UUID, bytes]:
    """Return those that are there."""
    async with connection(pool) as lent:
        return {row["id"]: row["body"] for row in await lent.fetch(_FETCH, list(ids))}


async def erase_payloads(lent: Connection, job_ids: Sequence[UUID]) -> None:
    """Erase what is kept for these jobs, inside the caller's transaction."""
    await lent.execute(_ERASE, list(job_ids))


async def sweep_payloads(pool: Pool) -> None:
    """Erase what jobs left behind that ended a while ago."""
    async with connection(pool) as lent:
        await lent.execute(_SWEEP, _ENDED_HOURS, _SWEPT_ROWS)
