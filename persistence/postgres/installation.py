"""What every process asks once: this installation's id and its shard count."""

import asyncio

import asyncpg

from common.errors import DatabaseUnavailable
from persistence.postgres.outbox import Installation, installation
from persistence.postgres.pool import Pool, connection


async def wait_for_installation(pool: Pool) -> Installation:
    """Return it, waiting with back-off until Postgres answers and is migrated."""
    delay_s = 0.1
    while True:
        try:
            async with connection(pool) as lent:
                return await installation(lent)
        except (DatabaseUnavailable, asyncpg.UndefinedTableError):
            await asyncio.sleep(delay_s)
            delay_s = min(2.0, delay_s * 2)
