"""The composition of the persistence service: writer, relay and indexer, in one process or each in its own."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import AsyncExitStack

import structlog

from common.errors import BrokerUnavailable
from common.kafka.admin import create_topics
from common.process import run_together, unless_stopped
from common.redis import EndingsPublisher
from common.service import JoinedProbe, health_page, make_producer, make_registry, make_runner
from common.settings import Settings
from persistence.control_service import run_control
from persistence.indexer import Indexer
from persistence.postgres.installation import wait_for_installation
from persistence.postgres.outbox import installation as read_installation
from persistence.postgres.parking import PostgresParking
from persistence.postgres.pool import Pool, PostgresProbe, connection, create_pool, wait_for_pool
from persistence.reconciler.reconciler import Reconciler, ReconcilerMetrics, Repaired
from persistence.reconciler.search import Search
from persistence.relay.relay import Relay
from persistence.writer import Writer

log = structlog.get_logger(__name__)

NAME = "persistence"
PARTS = ("writer", "relay", "indexer")
LOOK_PAUSE_S = 2.0


def service(parts: Collection[str]) -> Callable[[Settings, asyncio.Event], Awaitable[None]]:
    """Return the main function that runs these parts."""

    async def main(settings: Settings, stop: asyncio.Event) -> None:
        await _run(settings, stop, parts)

    return main


async def wait_for_topics(settings: Settings, shards: int) -> None:
    """Create the topics of the pipeline, waiting with back-off for as long as Kafka is away."""
    delay_s = 0.1
    while True:
        try:
            created = await create_topics(settings.kafka_bootstrap, settings.installation, shards=shards)
        except BrokerUnavailable as trouble:
            log.warning("topics wait", trouble=str(trouble))
            await asyncio.sleep(delay_s)
            delay_s = min(2.0, delay_s * 2)
        else:
            if created:
                log.info("topics created", count=len(created))
            return


def lost_jobs(settings: Settings, pool: Pool, shards: int) -> Search:
    """Return where the reconciler looks for lost jobs."""
    return Search(
        pool=pool,
        bootstrap=settings.kafka_bootstrap,
        prefix=settings.installation,
        shards=shards,
        grace_s=settings.lost_after_s,
        settle_s=LOOK_PAUSE_S,
    )


async def repair(settings: Settings) -> Repaired:
    """Mend once, by hand. Raises DatabaseUnavailable or BrokerUnavailable."""
    pool = await create_pool(settings.database_url.get_secret_value(), size=4, application="repair")
    try:
        async with connection(pool) as lent:
            shards = (await read_installation(lent)).shards
        metrics = ReconcilerMetrics(make_registry(NAME))
        return await Reconciler(lost_jobs(settings, pool, shards), metrics).repair()
    finally:
        pool.terminate()


async def _run(settings: Settings, stop: asyncio.Event, parts: Collection[str]) -> None:
    registry = make_registry(NAME)
    url = settings.database_url.get_secret_value()
    async with health_page(NAME, settings, registry) as health, AsyncExitStack() as cleanup:
        health.started = False
        pool = await unless_stopped(stop, wait_for_pool(url, size=settings.pool_size, application=NAME))
        cleanup.callback(pool.terminate)
        installation = await unless_stopped(stop, wait_for_installation(pool))
        await unless_stopped(stop, wait_for_topics(settings, installation.shards))
        health.need(PostgresProbe(pool))
        producer = make_producer(NAME, settings)
        cleanup.push_async_callback(producer.close)
        parking = PostgresParking(pool, shards=installation.shards, source=settings.installation)
        work: list[Awaitable[None]] = []
        endings = None
        if settings.redis_url is not None:
            endings = EndingsPublisher(settings.redis_url, settings.installation, registry)
            cleanup.push_async_callback(endings.close)
        if "writer" in parts:
            writer = Writer(pool, endings, source=settings.installation, shards=installation.shards)
            runner = make_runner("persistence", writer, settings, producer, parking, registry)
            health.need(JoinedProbe(runner))
            work.append(runner.run(stop))
        if "relay" in parts:
            relay = Relay(
                database_url=url,
                bootstrap=settings.kafka_bootstrap,
                prefix=settings.installation,
                runway=settings.runway,
                registry=registry,
            )
            work.append(relay.run(stop))
            search = lost_jobs(settings, pool, installation.shards)
            work.append(Reconciler(search, ReconcilerMetrics(registry)).run(stop))
            work.append(
                run_control(
                    url,
                    stop,
                    endings,
                    registry,
                    source=settings.installation,
                    shards=installation.shards,
                    keep_keys_hours=settings.idempotency_keep_hours,
                )
            )
        if "indexer" in parts and settings.elasticsearch_url is not None:
            indexer = Indexer(settings.elasticsearch_url, settings.installation)
            cleanup.push_async_callback(indexer.close)
            work.append(make_runner("indexer", indexer, settings, producer, parking, registry).run(stop))
        health.started = True
        await run_together(stop, *work)
