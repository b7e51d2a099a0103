"""Postgres connections that are held for long, and given up hard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from persistence.postgres.pool import Connection, Pool, connection


@asynccontextmanager
async def held_connection(pool: Pool) -> AsyncIterator[Connection]:
    """Lend a connection for long; after an error or a cancel it is closed hard, never reset and reused."""
    async with connection(pool) as lent:
        try:
            yield lent
        except BaseException:
            lent.terminate()
            raise
