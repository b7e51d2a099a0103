"""Money and control beside the relay: the releaser, the controller and the sweeper, and what wakes them.

Any number of processes may run it: each transaction takes its own lock, or skips what another has locked.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from prometheus_client import CollectorRegistry

from persistence.control_wakes import ControlWakes, keep_hearing
from persistence.controller import Controller
from persistence.postgres.operations import PostgresOperations
from persistence.postgres.pool import Pool
from persistence.releaser import Releaser
from persistence.sweeper import Sweeper


class Endings(Protocol):
    """Who is told that jobs have ended; best effort."""

    async def publish(self, job_ids: Sequence[UUID]) -> None: ...


async def run_control(
    pool: Pool,
    stop: asyncio.Event,
    endings: Endings | None,
    registry: CollectorRegistry,
    *,
    source: str,
    shards: int,
    keep_keys_hours: int,
) -> None:
    """Run until ``stop``. Nothing is drained: what a transaction has not committed is found again."""
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
