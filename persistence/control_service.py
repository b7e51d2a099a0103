"""Money and control beside the relay: the releaser, the controller and the sweeper, and what wakes them.

Any number of processes may run it: each transaction takes its own lock, or skips what another has locked.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol
from uuid import UUID

from prometheus_client import CollectorRegistry

from common.process import unless_stopped
from persistence.control_wakes import ControlWakes, keep_hearing
from persistence.controller import Controller
from persistence.postgres.operations import PostgresOperations
from persistence.postgres.pool import Pool, wait_for_pool
from persistence.releaser import Releaser
from persistence.sweeper import Sweeper

_CONNECTIONS: Final = 5  # one listens; the rest are lent for a transaction each


class Endings(Protocol):
    """Who is told that jobs have ended; best effort."""

    async def publish(self, job_ids: Sequence[UUID]) -> None: ...


async def run_control(
    database_url: str,
    stop: asyncio.Event,
    endings: Endings | None,
    registry: CollectorRegistry,
    *,
    source: str,
    shards: int,
    keep_keys_hours: int,
) -> None:
    """Run until ``stop``, on connections of its own. Nothing is drained: what is not committed is found again."""
    pool = await unless_stopped(stop, wait_for_pool(database_url, size=_CONNECTIONS, application="control"))
    try:
        await _run(pool, stop, endings, registry, source=source, shards=shards, keep_keys_hours=keep_keys_hours)
    finally:
        pool.terminate()


async def _run(
    pool: Pool,
    stop: asyncio.Event,
    endings: Endings | None,
    registry: CollectorRegistry,
    *,
    source: str,
    shards: int,
    keep_keys_hours: int,
) -> None:
    wakes = ControlWakes()
    operations = PostgresOperations(pool, shards=shards, source=source)
    sweeper = Sweeper(pool, endings, registry, source=source, shards=shards, keep_keys_hours=keep_keys_hours)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(keep_hearing(pool, wakes), name="control-listener"),
            group.create_task(Releaser(pool, wakes, registry).run(), name="releaser"),
            group.create_task(Controller(operations, wakes, endings).run(), name="controller"),
            group.create_task(sweeper.run(), name="sweeper"),
        ]
        await stop.wait()
        for task in tasks:
            task.cancel()
