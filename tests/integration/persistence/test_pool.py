"""Connections to a real Postgres that dies while they are held."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from headrace.local.stack import Stack
from persistence.postgres.migrate import migrate
from persistence.postgres.pool import Connection, Pool, connection, create_pool
from persistence.relay.connections import held_connection

pytestmark = pytest.mark.stack


async def test_who_holds_a_connection_that_broke_ends_when_asked_to(state_dir: Path) -> None:
    async with Stack(state_dir, ["postgres"], free_ports=True) as stack:
        pool = await create_pool(stack.endpoints.database_url, size=2, application="holders")
        holders = [asyncio.create_task(hold(pool, lend)) for lend in (connection, held_connection)]
        while pool.get_size() - pool.get_idle_size() < len(holders):
            await asyncio.sleep(0.02)
        await stack.kill_server("postgres")

        for holder in holders:
            holder.cancel()
        await asyncio.wait(holders, timeout=10)

        assert [holder.cancelled() for holder in holders] == [True, True]
        pool.terminate()


async def hold(pool: Pool, lend: Callable[[Pool], AbstractAsyncContextManager[Connection]]) -> None:
    async with lend(pool):
        await asyncio.Event().wait()


async def test_a_schema_is_migrated_by_a_url_with_options(database_url: str) -> None:
    assert await migrate(f"{database_url}?sslmode=disable", shards=1) == 1
