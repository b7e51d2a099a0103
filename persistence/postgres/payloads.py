"""Large messages: kept here while a short reference to them travels through Kafka. Erased after their job's end.

Ids are derived from the job and the content, so keeping twice is keeping once.
"""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from common.ports import Payload
from persistence.postgres.pool import Pool, connection

_SWEPT_ROWS: Final = 100  # of up to some MiB each, within the time limit of a statement
_NIL: Final = UUID(int=0)
_ENDED_HOURS: Final = 1

_KEEP = """
insert into payloads (id, job_id, body) select * from unnest($1::uuid[], $2::uuid[], $3::bytea[])
on conflict (id) do nothing
"""
_FETCH = "select id, body from payloads where id = any($1)"
# What is left in Kafka of a job that has ended is a copy, and dropped when its payload is gone.
# By pages of ids, so that payloads of open jobs are passed once a sweep and not once a statement.
_SWEEP = """
with page as materialized (select id, job_id from payloads where id > $1 order by id limit $2),
erased as (
  delete from payloads where id = any(array(
    select p.id from page p
     where (select j.state <> 0 and j.finished_at < now() - $3 * interval '1 hour' from jobs j where j.id = p.job_id)))
  returning 1)
select (select count(*) from page) as seen, (select id from page order by id desc limit 1) as last,
       (select count(*) from erased) as erased
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


async def sweep_payloads(pool: Pool) -> int:
    """Erase what all jobs left behind that ended a while ago, a page a transaction; return how many."""
    erased, after = 0, _NIL
    while True:
        async with connection(pool) as lent:
            page = await lent.fetchrow(_SWEEP, after, _SWEPT_ROWS, _ENDED_HOURS)
        assert page is not None  # noqa: S101 - a select without a table gives one row
        erased += int(page["erased"])
        if page["seen"] < _SWEPT_ROWS:
            return erased
        after = page["last"]
