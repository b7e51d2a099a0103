"""Leases of the relay's shards, in Postgres time. They serve liveness only: Kafka's producer epoch fences."""

from collections.abc import Sequence
from uuid import UUID

from persistence.postgres.pool import Connection

# An upsert takes the free, the expired, and nobody else's. Each taking is a new epoch.
_ACQUIRE = """
insert into leadership as l (shard, owner, epoch, expires_at)
select shard, $2, 1, clock_timestamp() + make_interval(secs => $3) from unnest($1::smallint[]) shard
on conflict (shard) do update
set owner = excluded.owner, epoch = l.epoch + 1, expires_at = excluded.expires_at
where l.expires_at <= clock_timestamp()
returning l.shard, l.epoch
"""

_RENEW = """
update leadership l set expires_at = clock_timestamp() + make_interval(secs => $4)
from unnest($1::smallint[], $2::bigint[]) held(shard, epoch)
where l.shard = held.shard and l.epoch = held.epoch and l.owner = $3 and l.shard = any($1::smallint[])
  and l.expires_at > clock_timestamp()
returning l.shard
"""

_RELEASE = """
update leadership set expires_at = clock_timestamp() where owner = $1 and expires_at > clock_timestamp()
"""


async def acquire(
    connection: Connection, shards: Sequence[int], owner: UUID, lease_s: float, timeout_s: float
) -> dict[int, int]:
    """Take those of ``shards`` that nobody holds; return their new epochs."""
    rows = await connection.fetch(_ACQUIRE, list(shards), owner, lease_s, timeout=timeout_s)
    return {row[0]: row[1] for row in rows}


async def renew(
    connection: Connection, epochs: dict[int, int], owner: UUID, lease_s: float, timeout_s: float
) -> set[int]:
    """Prolong the leases held (shard to epoch); return the shards that are still ours."""
    rows = await connection.fetch(_RENEW, list(epochs), list(epochs.values()), owner, lease_s, timeout=timeout_s)
    return {row[0] for row in rows}


async def release(connection: Connection, owner: UUID, timeout_s: float) -> None:
    """Give every lease of ``owner`` back at once."""
    await connection.execute(_RELEASE, owner, timeout=timeout_s)
