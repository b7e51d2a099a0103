"""Connections to Postgres: one bounded pool a process, every session with its time limits.

The limits end what hangs: a lock after 2 s, a statement after 3 s, an idle transaction after 3 s, and any
transaction after 5 s (the only one that frees a session blocked while sending to a hung client).
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from common.cancellation import heed_cancellation
from common.errors import DatabaseUnavailable

# Generic in the stubs only: asyncpg's own classes take no parameters.
if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
else:
    Connection = asyncpg.Connection
    Pool = asyncpg.Pool

_SESSION = {
    "lock_timeout": "2s",
    "statement_timeout": "3s",
    "idle_in_transaction_session_timeout": "3s",
    "transaction_timeout": "5s",
    "jit": "off",
}
_COMMAND_TIMEOUT_S = 4.0
_CONNECT_TIMEOUT_S = 5.0

# SQLSTATE classes that speak of the server, not of the statement: connection, resources, operator, system,
# transaction rollback (deadlock, serialization), lock not available, timeouts of sessions and transactions.
_TRANSIENT_CLASSES = ("08", "40", "53", "57", "58")
_TRANSIENT_STATES = ("55P03", "25P02", "25P03", "25P04", "55006")


async def create_pool(database_url: str, *, size: int, application: str) -> Pool:
    """Open a pool of at most ``size`` connections. Raises DatabaseUnavailable."""
    with database_errors():
        return await asyncpg.create_pool(
            database_url,
            min_size=1,
            max_size=size,
            max_inactive_connection_lifetime=300,
            command_timeout=_COMMAND_TIMEOUT_S,
            timeout=_CONNECT_TIMEOUT_S,
            server_settings={**_SESSION, "application_name": application},
        )


async def wait_for_pool(database_url: str, *, size: int, application: str) -> Pool:
    """Open a pool, waiting with back-off (0.1 to 2 s) for as long as Postgres is away."""
    delay_s = 0.1
    while True:
        try:
            return await create_pool(database_url, size=size, application=application)
        except DatabaseUnavailable:
            await asyncio.sleep(delay_s)
            delay_s = min(2.0, delay_s * 2)


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn what speaks of the server into DatabaseUnavailable; errors of a statement pass through.

    In a task that was cancelled they are the cancellation: a connection that broke cannot be given back in order.
    """
    try:
        yield
    except asyncpg.PostgresError as error:
        heed_cancellation(error)
        state = error.sqlstate or ""
        if state[:2] in _TRANSIENT_CLASSES or state in _TRANSIENT_STATES:
            raise DatabaseUnavailable(f"Postgres answered {type(error).__name__} ({state})") from error
        raise
    except (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError) as error:
        heed_cancellation(error)
        raise DatabaseUnavailable(f"Postgres is not answering: {type(error).__name__}") from error


@asynccontextmanager
async def connection(pool: Pool) -> AsyncIterator[Connection]:
    """Lend a connection; errors of the server become DatabaseUnavailable."""
    with database_errors():
        async with pool.acquire(timeout=_CONNECT_TIMEOUT_S) as lent:
            yield lent


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """Lend a connection inside one transaction. Nothing but Postgres may be awaited within."""
    async with connection(pool) as lent, lent.transaction():
        yield lent


async def sweep(pool: Pool, statement: str, *given: object, rows: int) -> int:
    """Repeat a delete, each in its own transaction, until it takes fewer than ``rows``; return how many in all.

    ``rows`` is the statement's last parameter.
    """
    swept = 0
    while True:
        async with connection(pool) as lent:
            taken = int((await lent.execute(statement, *given, rows)).rpartition(" ")[2])
        swept += taken
        if taken < rows:
            return swept


class PostgresProbe:
    """Health: does Postgres answer?"""

    name = "postgres"

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def check(self) -> None:
        """Raise DatabaseUnavailable when it does not."""
        async with connection(self._pool) as lent:
            await lent.execute("select 1")
