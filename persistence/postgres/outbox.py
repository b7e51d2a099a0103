"""The outbox as the relay sees it: one function a statement. Rows are named by revision, never by message id.

A row that is parked again under its id gets a new revision, so a delete that names the old one misses it.
Reads lock nothing; the relay is the only one that deletes released rows.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from common.pipeline import Topic
from common.ports import DeadLetter
from persistence.postgres import dead_letters
from persistence.postgres.pool import Connection


class OutboxRow(NamedTuple):
    """One row to send."""

    id: UUID
    rev: int
    tenant_id: str
    deadline: datetime
    job_id: UUID
    topic: int
    body: bytes
    headers: bytes | None
    traceparent: str | None


class Installation(NamedTuple):
    """Which database this is: a restored copy must get a new id."""

    id: UUID
    shards: int


Cursor = tuple[datetime, UUID]  # deadline and id: the order in which a tenant's rows go


class Share(NamedTuple):
    """How many rows of one tenant a release may take, and after which (deadline, id) to look."""

    tenant_id: str
    rows: int
    after: Cursor


FIRST: Cursor = (datetime.min, UUID(int=0))  # asyncpg writes the naive minimum as '-infinity'

_INSTALLATION = "select id, shards from installation"

# Served by outbox_ready: one index probe a tenant, whatever the size of the queue.
_READY = """
select q.* from unnest($3::text[], $4::int[], $5::timestamptz[], $6::uuid[]) t(tenant_id, k, deadline, id)
cross join lateral (
    select id, rev, tenant_id, deadline, job_id, topic, body, headers, traceparent from outbox o
    where o.shard = $1 and o.lane = $2 and o.tenant_id = t.tenant_id and o.not_before is null and o.lane < 4
      and (o.deadline, o.id) > (t.deadline, t.id)
    order by o.deadline, o.id limit t.k) q
"""

# A loose index scan: one probe a tenant that has rows, not one a row.
_READY_TENANTS = """
select g.lane, found.tenant_id from generate_series(0, 3) g(lane) cross join lateral (
    with recursive t as (
        (select tenant_id from outbox where shard = $1 and outbox.lane = g.lane
           and not_before is null and outbox.lane < 4 order by tenant_id limit 1)
        union all
        select (select o.tenant_id from outbox o where o.shard = $1 and o.lane = g.lane
                  and o.not_before is null and o.lane < 4 and o.tenant_id > t.tenant_id
                order by o.tenant_id limit 1)
        from t where t.tenant_id is not null)
    select tenant_id from t where tenant_id is not null) found
"""

# "id = any" beside the join: a plan cached while the table was empty stays right when it is full.
_DELETE_READY = """
delete from outbox o using unnest($1::uuid[], $2::bigint[]) d(id, rev)
where o.id = d.id and o.rev = d.rev and o.id = any($1::uuid[])
"""

_PUBLIC = """
select id, rev, tenant_id, deadline, job_id, topic, body, headers, traceparent from outbox
where shard = $1 and lane = 4 and not_before is null order by rev limit $2
"""

_DELETE_PUBLIC = """
delete from outbox where shard = $1 and lane = 4 and not_before is null and rev = any($2::bigint[])
"""

_PROMOTE = """
update outbox set not_before = null where id = any(array(
    select id from outbox where shard = $1 and not_before is not null and not_before <= clock_timestamp()
    order by not_before limit $2 for update skip locked))
returning lane, tenant_id
"""

_NEXT_DUE = """
select extract(epoch from min(not_before) - clock_timestamp())::float8 from outbox
where shard = $1 and not_before is not null and not_before < 'infinity'
"""


async def installation(connection: Connection) -> Installation:
    """Return the one row that says which installation this database is."""
    row = await connection.fetchrow(_INSTALLATION)
    if row is None:
        raise LookupError("the table installation is empty: apply the migrations")
    return Installation(row["id"], row["shards"])


async def ready(connection: Connection, shard: int, lane: int, shares: Sequence[Share]) -> list[OutboxRow]:
    """Return each tenant's most urgent rows in ``lane`` (0..3), at most its share."""
    rows = await connection.fetch(
        _READY,
        shard,
        lane,
        [share.tenant_id for share in shares],
        [share.rows for share in shares],
        [share.after[0] for share in shares],
        [share.after[1] for share in shares],
    )
    return [OutboxRow._make(row) for row in rows]


async def ready_tenants(connection: Connection, shard: int) -> list[tuple[int, str]]:
    """Return (lane, tenant) of everybody with rows to release in lanes 0..3."""
    return [(row[0], row[1]) for row in await connection.fetch(_READY_TENANTS, shard)]


async def delete_ready(connection: Connection, ids: Sequence[UUID], revs: Sequence[int]) -> None:
    """Delete released rows, unless they were parked again meanwhile (their revision is then another)."""
    await connection.execute(_DELETE_READY, ids, revs)


async def public(connection: Connection, shard: int, limit: int) -> list[OutboxRow]:
    """Return the oldest public rows in order of revision."""
    return [OutboxRow._make(row) for row in await connection.fetch(_PUBLIC, shard, limit)]


async def delete_public(connection: Connection, shard: int, revs: Sequence[int]) -> int:
    """Delete published rows; return how many were still there."""
    return int((await connection.execute(_DELETE_PUBLIC, shard, revs)).rpartition(" ")[2])


async def promote(connection: Connection, shard: int, limit: int) -> list[tuple[int, str]]:
    """Make due rows ready; return (lane, tenant) of each. A hold ('infinity') is never due."""
    return [(row[0], row[1]) for row in await connection.fetch(_PROMOTE, shard, limit)]


async def next_due_s(connection: Connection, shard: int) -> float | None:
    """Return the seconds until the next row for later is due, in Postgres time; None if there is none."""
    due: float | None = await connection.fetchval(_NEXT_DUE, shard)
    return due


async def set_aside(
    connection: Connection, row: OutboxRow, *, topic: str, reason: str, exception: str, source: str, shards: int
) -> None:
    """Move a row that Kafka refuses to the dead letters, its job on hold if still open, in one commit.

    A dead letter's own record that is refused is not told of by another.
    """
    headers = () if row.headers is None else (("outbox-headers", row.headers),)
    letter = DeadLetter(
        stage="relay",
        topic=topic,
        partition=-1,
        offset=row.rev,
        key=str(row.job_id).encode(),
        value=row.body,
        headers=headers,
        reason=reason,
        exception=exception,
        job_id=row.job_id,
    )
    async with connection.transaction():
        await connection.execute("select 1 from jobs where id = $1 for no key update", row.job_id)
        gone = await connection.execute("delete from outbox where id = $1 and rev = $2", row.id, row.rev)
        if not gone.endswith(" 0"):
            told = row.topic != Topic.DEAD_LETTERS
            await dead_letters.keep(connection, [letter], source, shards, told=told)
