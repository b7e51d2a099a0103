"""What every process asks once: this installation's id and its shard count."""

import asyncio
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from common.errors import DatabaseUnavailable
from persistence.postgres.pool import Pool, connection


@dataclass(frozen=True, slots=True)
class Installation:
    """``id`` names this database's history (a restored copy gets a new one); ``shards`` never changes."""

    id: UUID
    shards: int


async def wait_for_installation(pool: Pool) -> Installation:
    """Return it, waiting with back-off until Postgres answers and is migrated."""
    delay_s = 0.1
    while True:
        try:
            async with connection(pool) as lent:
                row = await lent.fetchrow("select id, shards from installation")
            if row is not None:
                return Installation(row["id"], row["shards"])
        except (DatabaseUnavailable, asyncpg.UndefinedTableError):
            pass
        await asyncio.sleep(delay_s)
        delay_s = min(2.0, delay_s * 2)
