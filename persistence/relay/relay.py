"""The relay of one process: leads what shards it can, and runs each led shard's paths side by side.

    leases ──gained──> one task a shard: steps | public | promotion | runway (| housekeeping, shard 0)
           ──lost────> that task is cancelled; what it left behind its successor settles
    LISTEN ──wakes───> every led shard

It never gives up and never fails for a server that is away. On stop, batches under way are finished.
"""

import asyncio
from typing import Final
from uuid import uuid4

import structlog
from prometheus_client import CollectorRegistry

from common.errors import DatabaseUnavailable
from persistence.postgres import outbox
from persistence.postgres.outbox import Installation
from persistence.postgres.pool import Pool, connection, wait_for_pool
from persistence.postgres.wake import EVERYTHING_TOKEN, read_payload
from persistence.relay.housekeeping import keep_trimming
from persistence.relay.leases import LEASE_S, Leases
from persistence.relay.metrics import RelayMetrics
from persistence.relay.path import ShardContext
from persistence.relay.public import PublicPath
from persistence.relay.rows import RecordMaker
from persistence.relay.runway import Runway
from persistence.relay.sessions import keep_in_session
from persistence.relay.steps import StepsPath, keep_promoting
from persistence.relay.wakes import ShardWakes, keep_listening

_POOL_SIZE: Final = 2 + 3 * 64  # leases, LISTEN; three a shard, opened when a shard is led
_DRAIN_S: Final = 5.0
_RETRY_S: Final = 0.5

log = structlog.get_logger(__name__)


class Relay:
    """Moves the outbox of one installation to Kafka. Run it as often as you like: one leads each shard."""

    def __init__(
        self,
        *,
        database_url: str,
        bootstrap: str,
        prefix: str,
        runway: int,
        registry: CollectorRegistry,
        lease_s: float = LEASE_S,
    ) -> None:
        self._database_url = database_url
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._runway = runway
        self._lease_s = lease_s
        self._metrics = RelayMetrics(registry)
        self._records = RecordMaker(prefix)
        self._stopping = asyncio.Event()
        self._wakes: dict[int, ShardWakes] = {}
        self._led: dict[int, asyncio.Task[None]] = {}

    @property
    def led(self) -> frozenset[int]:
        """Return the shards led here now."""
        return frozenset(self._wakes)

    def wake(self, payload: str = EVERYTHING_TOKEN) -> None:
        """Wake from within the process, as a notification with this payload would."""
        for wakes in self._wakes.values():
            wakes.tell(read_payload(payload))

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until ``stop`` is set; then finish the batches under way and give the leases back."""
        async with asyncio.TaskGroup() as group:
            opening = group.create_task(self._open())
            stopped = group.create_task(stop.wait())
            await asyncio.wait((opening, stopped), return_when=asyncio.FIRST_COMPLETED)
            if not opening.done():
                opening.cancel()
                return
            pool, installation = opening.result()
            try:
                await self._serve(stop, pool, installation)
            finally:
                stopped.cancel()
                pool.terminate()

    async def _open(self) -> tuple[Pool, Installation]:
        pool = await wait_for_pool(self._database_url, size=_POOL_SIZE, application="headrace-relay")
        while True:
            try:
                async with connection(pool) as lent:
                    return pool, await outbox.installation(lent)
            except DatabaseUnavailable:
                await asyncio.sleep(_RETRY_S)

    async def _serve(self, stop: asyncio.Event, pool: Pool, installation: Installation) -> None:
        async with asyncio.TaskGroup() as shards:

            async def gained(shard: int, epoch: int) -> None:
                log.info("relay_leads", shard=shard, epoch=epoch)
                wakes = self._wakes[shard] = ShardWakes()
                context = ShardContext(
                    shard=shard,
                    shards=installation.shards,
                    epoch=epoch,
                    prefix=self._prefix,
                    bootstrap=self._bootstrap,
                    pool=pool,
                    wakes=wakes,
                    metrics=self._metrics,
                    records=self._records,
                    stopping=self._stopping,
                )
                before = self._led.get(shard)
                self._led[shard] = shards.create_task(self._lead(context, installation, before))

            async def lost(shard: int) -> None:
                log.warning("relay_lost", shard=shard)
                self._wakes.pop(shard, None)
                self._led[shard].cancel()

            leases = Leases(pool, uuid4(), installation.shards, gained, lost, lease_s=self._lease_s)
            helpers = [
                shards.create_task(leases.keep()),
                shards.create_task(keep_listening(pool, self._wakes)),
            ]
            await stop.wait()
            for helper in helpers:
                helper.cancel()
            await self._drain()
            await leases.release()

    async def _lead(self, context: ShardContext, installation: Installation, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        measured = self._metrics.unfinished
        runway = Runway(self._runway, shards=installation.shards, roused=context.wakes.steps, measured=measured)
        gauge = self._metrics.leader.labels(str(context.shard))
        gauge.set(1)
        try:
            async with asyncio.TaskGroup() as group:
                helpers = [
                    group.create_task(keep_in_session("later", context, lambda: keep_promoting(context))),
                    group.create_task(
                        runway.keep_measuring(self._bootstrap, self._prefix, f"{context.client_id}-runway")
                    ),
                ]
                if context.shard == 0:
                    helpers.append(
                        group.create_task(
                            keep_trimming(
                                self._bootstrap,
                                self._prefix,
                                f"{context.client_id}-housekeeping",
                                self._metrics.trimmed.inc,
                            )
                        )
                    )
                paths = [
                    group.create_task(keep_in_session("steps", context, StepsPath(context, runway).session)),
                    group.create_task(keep_in_session("public", context, PublicPath(context, installation).session)),
                ]
                await asyncio.wait(paths)
                for helper in helpers:
                    helper.cancel()
        finally:
            gauge.set(0)

    async def _drain(self) -> None:
        self._stopping.set()
        self.wake()
        led = list(self._led.values())
        if led:
            await asyncio.wait(led, timeout=_DRAIN_S)
        for task in led:
            task.cancel()
        if led:
            await asyncio.wait(led)
        self._wakes.clear()
